// What all rooms have in common: somebody watches, then it is joined; nobody does for a while, then it is left.

import { StreamsError, tell } from './errors.js'
import type { Room, RoomFrame, Sender } from './wire.js'

/**
 * - `loading`: nothing has come yet.
 * - `live`: it is what is stored.
 * - `stale`: it may be old. The line is lost, or the gateway has lost its own; it comes back by itself.
 * - `denied`: the gateway refuses it; `error` says why.
 * - `closed`: the client was closed.
 */
export type Status = 'loading' | 'live' | 'stale' | 'denied' | 'closed'

/** What a room needs of its client. */
export interface Line {
  readonly graceMs: number
  /** Whether the gateway has lost its own line: what it told may be old. */
  readonly isStale: boolean
  enter(store: RoomStore<unknown>): void
  leave(store: RoomStore<unknown>): void
  say(message: object): void
  send(room: Room, type: string, data: unknown): Promise<void>
  report(error: StreamsError): void
}

export type EventListener = (data: any, about: { id: string | null; from?: Sender }) => void

/** An external store: `get` returns the same object until something changed, and `subscribe` says when. */
export abstract class RoomStore<S> {
  status: Status = 'loading'
  error: StreamsError | undefined
  protected readonly line: Line
  #state: S | undefined
  #listeners = new Set<() => void>()
  #events = new Map<string, Set<EventListener>>()
  #users = 0
  #leaving: ReturnType<typeof setTimeout> | undefined
  #isJoined = false

  constructor(
    line: Line,
    readonly room: Room,
    /** What the gateway calls this room when it answers. */
    readonly subscription: string,
  ) {
    this.line = line
  }

  /** What there is now. */
  get = (): S => (this.#state ??= this.make())

  /** Be called whenever something changed. The room is joined while anybody is. Returns how to end that. */
  subscribe = (listener: () => void): (() => void) => this.#watch(this.#listeners, listener)

  /** Be called with events of a type. Returns how to end that. */
  on(type: string, listener: EventListener): () => void {
    let listeners = this.#events.get(type)
    if (!listeners) this.#events.set(type, (listeners = new Set()))
    return this.#watch(listeners, listener)
  }

  /** Tell whoever watches the room, but this client. Kept nowhere; at most once. */
  send(type: string, data?: unknown): Promise<void> {
    return this.line.send(this.room, type, data)
  }

  /** Every state from now on, the newest one where they come faster than they are taken. */
  async *[Symbol.asyncIterator](): AsyncGenerator<S, void, undefined> {
    let wake = () => {}
    const end = this.subscribe(() => wake())
    try {
      for (let last: S | undefined; ; ) {
        const state = this.get()
        if (state !== last && this.status !== 'loading') yield (last = state)
        if (this.status === 'denied' && this.error) throw this.error
        if (this.status === 'closed') return
        if (this.get() === state) await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      end()
    }
  }

  /** Wait for a state that is current. Rejects where the room is refused, or the client closed. */
  async ready(): Promise<S> {
    for await (const state of this) if (this.status === 'live') return state
    throw this.error
  }

  // What the client does with it.

  /** What to say to join. */
  joining(): object {
    const { stream, group, id } = this.room
    // What is undefined is left out.
    const data = { streamName: stream, groupId: group, id: id ?? undefined, subscriptionId: this.subscription }
    return { type: 'join', data: { ...data, ...this.wish() } }
  }

  hear(frame: RoomFrame): void {
    const { event } = frame
    if (event.type === 'event') {
      const { type, data, from } = event.event!
      tell(this.#events.get(type) ?? [], data, { id: frame.id, ...(from && { from }) })
    } else if (event.type === 'unauthorized') {
      this.forget()
      this.turn('denied', new StreamsError('ROOM_REFUSED', event.message ?? 'refused', event.code))
      // Motia's pages hear of it like that.
      tell(this.#events.get('error') ?? [], { code: event.code, message: event.message }, frame)
    } else this.take(frame)
  }

  /** The line is lost, or may be behind, or is there again. */
  turn(status: Status, error?: StreamsError): void {
    if (status === 'stale' && this.status !== 'live') return
    if (status === 'live' && this.line.isStale) status = 'stale'
    if (this.status === status && this.error === error) return
    this.status = status
    this.error = error
    this.changed()
  }

  /** What it wants of the room, beside the room. */
  protected wish(): object {
    return {}
  }

  protected abstract make(): S
  protected abstract take(frame: RoomFrame): void
  /** It is not to be had any more: nothing of it may be shown. */
  protected abstract forget(): void

  protected changed(): void {
    this.#state = undefined
    tell(this.#listeners)
  }

  /** Count somebody who needs the room, from now until what comes back is called. */
  protected use(): () => void {
    clearTimeout(this.#leaving)
    // Who comes to a room that was refused asks again, but not who comes because it was refused.
    if (this.#users++ === 0 && (!this.#isJoined || this.status === 'denied')) {
      this.#isJoined = true
      if (this.status === 'denied') this.turn('loading')
      this.line.enter(this)
    }
    let isUsed = true
    return () => {
      if (!isUsed) return
      isUsed = false
      if (--this.#users === 0) this.#leaving = setTimeout(() => this.#leave(), this.line.graceMs)
    }
  }

  #watch<L>(listeners: Set<L>, listener: L): () => void {
    // A listener that is given twice is called twice.
    const own = ((...args: unknown[]) => (listener as (...args: unknown[]) => void)(...args)) as L
    listeners.add(own)
    const end = this.use()
    return () => {
      listeners.delete(own)
      end()
    }
  }

  #leave(): void {
    this.#isJoined = false
    this.line.leave(this)
    if (this.status === 'live') this.turn('stale')
  }
}
