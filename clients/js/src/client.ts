import { Connection, type ConnectionOptions, type ConnectionStatus } from './connection.js'
import { StreamsError, tell } from './errors.js'
import { Group } from './group.js'
import { SingleItem } from './item.js'
import type { Line as Socket } from './socket.js'
import type { Line, RoomStore, Status } from './store.js'
import { type ControlFrame, type Frame, type Item, nameOf, type Room, type RoomEvent } from './wire.js'

/** What `streams types` writes: of each stream, what an item is and which events there are. */
export type StreamTypes = Record<string, { item: object; events?: Record<string, unknown> }>

/** The item of a stream, which always has its id. */
export type ItemOf<S extends StreamTypes, N extends keyof S> = S[N]['item'] & Item

export interface ClientOptions extends ConnectionOptions {
  /** What goes wrong and nobody waits for. Without it, it is written to the console. */
  onError?: (error: StreamsError) => void
  /** How long a room is kept after its last listener: who comes back within has it at once. */
  graceMs?: number
}

export interface Client<S extends StreamTypes = StreamTypes> {
  readonly status: ConnectionStatus
  /** What others see beside events of this client; null: there is no line. */
  readonly session: string | null
  /** Be called when the status changes. Returns how to end that. */
  onStatus(listener: (status: ConnectionStatus) => void): () => void
  /** All items of a group, or its newest ones. The same arguments give the same object. */
  group<N extends keyof S & string>(stream: N, group: string, options?: { last?: number }): Group<ItemOf<S, N>>
  /** One item of a group. The same arguments give the same object. */
  item<N extends keyof S & string>(stream: N, group: string, id: string): SingleItem<ItemOf<S, N>>
  /** Ask for a token anew, where the one there was is refused. */
  reconnect(): void
  /** End for good: rooms are closed, and what waits for an answer fails. */
  close(): void
  [Symbol.dispose](): void
}

const GRACE_MS = 1000

/** A client. It opens a line when something is watched, and keeps it. */
export function createClient<S extends StreamTypes = StreamTypes>(options: ClientOptions): Client<S> {
  return new StreamsClient(options) as unknown as Client<S>
}

interface Question {
  resolve(): void
  reject(error: StreamsError): void
}

class StreamsClient implements Line {
  readonly graceMs: number
  #connection: Connection
  #socket: Socket | null = null
  /** All that there are, by name and how much is wanted. */
  #stores = new Map<string, RoomStore<any>>()
  /** Those that are joined, by room: a group may be there twice, whole and by its newest items. */
  #joined = new Map<string, Set<RoomStore<any>>>()
  #listeners = new Set<(status: ConnectionStatus) => void>()
  #questions = new Map<number, Question>()
  #number = 0
  isStale = false

  constructor(private readonly options: ClientOptions) {
    this.graceMs = options.graceMs ?? GRACE_MS
    this.#connection = new Connection(options, {
      online: (socket) => this.#online(socket),
      offline: () => this.#offline(),
      heard: (frame) => this.#heard(frame),
      turned: (status) => this.#turned(status),
      report: (error) => this.report(error),
    })
  }

  get status(): ConnectionStatus {
    return this.#connection.status
  }

  get session(): string | null {
    return this.#connection.session
  }

  onStatus(listener: (status: ConnectionStatus) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  group(stream: string, group: string, { last }: { last?: number } = {}): Group<any> {
    const room = { stream, group, id: null }
    return this.#store(nameOf(room) + (last ?? ''), (name) => new Group(this, room, name, last))
  }

  item(stream: string, group: string, id: string): SingleItem<any> {
    const room = { stream, group, id }
    return this.#store(nameOf(room), (name) => new SingleItem(this, room, name))
  }

  reconnect(): void {
    this.#connection.again()
  }

  close(): void {
    if (this.status === 'closed') return
    const stores = [...this.#stores.values()]
    this.#connection.close()
    this.#stores.clear()
    this.#joined.clear()
    for (const store of stores) store.turn('closed', closed())
  }

  [Symbol.dispose](): void {
    this.close()
  }

  // What rooms need.

  enter(store: RoomStore<any>): void {
    if (this.status === 'closed') {
      queueMicrotask(() => store.turn('closed', closed()))
      return
    }
    const name = nameOf(store.room)
    const joined = this.#joined.get(name) ?? new Set()
    this.#joined.set(name, joined.add(store))
    // It may have been given up, and be watched again by who has kept it.
    this.#stores.set(store.subscription, store)
    this.#connection.open()
    this.say(store.joining())
  }

  leave(store: RoomStore<any>): void {
    const name = nameOf(store.room)
    if (this.#stores.get(store.subscription) === store) this.#stores.delete(store.subscription)
    const joined = this.#joined.get(name)
    const wasJoined = joined?.delete(store)
    if (!joined?.size) this.#joined.delete(name)
    if (!wasJoined) return
    this.say({ type: 'leave', data: { subscriptionId: store.subscription } })
  }

  say(message: object): void {
    this.#socket?.say(message)
  }

  async send({ stream, group, id }: Room, type: string, data: unknown): Promise<void> {
    if (this.status === 'closed') throw closed()
    if (!this.#socket) throw new StreamsError('LINE_LOST', 'there is no line')
    const ref = ++this.#number
    // What is undefined is left out.
    this.say({ type: 'send', ref, data: { streamName: stream, groupId: group, id: id ?? undefined, event: { type, data } } })
    return new Promise((resolve, reject) => this.#questions.set(ref, { resolve, reject }))
  }

  report(error: StreamsError): void {
    tell([this.options.onError ?? console.error], error)
  }

  // What the connection says.

  #online(socket: Socket): void {
    this.#socket = socket
    this.isStale = false
    for (const joined of this.#joined.values()) for (const store of joined) this.say(store.joining())
  }

  #offline(): void {
    this.#socket = null
    for (const ref of [...this.#questions.keys()]) {
      this.#answer(ref, new StreamsError('LINE_LOST', 'the line was lost; it may have been sent'))
    }
    this.#turnAll('stale')
  }

  #turned(status: ConnectionStatus): void {
    if (status === 'denied') {
      this.#turnAll('denied', new StreamsError('TOKEN_REFUSED', 'the token is not accepted'))
    }
    tell(this.#listeners, status)
  }

  #heard(frame: Frame): void {
    if (frame.type === 'stream') this.#route(frame)
    else this.#control(frame)
  }

  #route(frame: Extract<Frame, { type: 'stream' }>): void {
    const { streamName: stream, groupId: group, id = null, event } = frame
    const joined = (id: string | null) => this.#joined.get(nameOf({ stream, group, id })) ?? []
    // What is said of an item by itself is for who watches it alone; what happens to it, for its group as well.
    const isForBoth = id !== null && !/sync|heartbeat|unauthorized/.test(event.type)
    for (const store of [...joined(id), ...(isForBoth ? joined(null) : [])]) {
      try {
        if (isFor(store, event)) store.hear(frame)
      } catch (error) {
        this.report(new StreamsError('BAD_FRAME', `a frame could not be taken in: ${String(error)}`))
      }
      // The gateway has forgotten who is refused. The store stays what it is to those who watch it.
      if (event.type === 'unauthorized') this.#joined.get(nameOf(store.room))?.delete(store)
    }
  }

  #control(frame: ControlFrame): void {
    switch (frame.type) {
      case 'stale':
        this.isStale = frame.stale === true
        this.#turnAll(this.isStale ? 'stale' : 'live')
        break
      case 'ack':
        this.#answer(frame.ref)
        break
      case 'error': {
        const error = new StreamsError('REFUSED', frame.message!, String(frame.code))
        if (!this.#answer(frame.ref, error)) this.report(error)
      }
    }
  }

  #turnAll(status: Status, error?: StreamsError): void {
    for (const joined of this.#joined.values()) {
      for (const store of joined) if (status !== 'live' || store.status === 'stale') store.turn(status, error)
    }
  }

  #answer(ref: string | number | undefined, error?: StreamsError): boolean {
    const question = this.#questions.get(ref as number)
    if (!question) return false
    this.#questions.delete(ref as number)
    if (error) question.reject(error)
    else question.resolve()
    return true
  }

  #store<T extends RoomStore<any>>(name: string, make: (name: string) => T): T {
    const found = (this.#stores.get(name) as T | undefined) ?? make(name)
    this.#stores.set(name, found)
    return found
  }
}

/** What is about all items is not for who has asked for the newest ones, and the other way round. */
function isFor(store: RoomStore<any>, { type, more }: RoomEvent): boolean {
  if (!(store instanceof Group) || !/sync|resumed|ids|page/.test(type)) return true
  return (store.last === undefined) === (more === undefined)
}

function closed(): StreamsError {
  return new StreamsError('CLOSED', 'the client was closed')
}
