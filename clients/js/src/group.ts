import { type Draft, grown } from './drafts.js'
import { tell } from './errors.js'
import { Held } from './held.js'
import { type Line, RoomStore, type Status } from './store.js'
import type { StreamsError } from './errors.js'
import type { Item, Room, RoomFrame } from './wire.js'

/** What a group holds. Never changed: something that changed is in a new object. */
export interface GroupState<T> {
  /** In the order of their creation, with what is not confirmed yet. */
  readonly items: readonly T[]
  readonly status: Status
  readonly error: StreamsError | undefined
  /** Whether there are older items than these. Undefined: all were asked for. */
  readonly more: boolean | undefined
  /** Own changes that are not confirmed yet. */
  readonly pending: number
}

/** What became of an item. `previous` is what was shown of it before. */
export type Change<T> =
  | { type: 'create'; id: string; item: T; previous: undefined; rev: number }
  | { type: 'update'; id: string; item: T; previous: T; rev: number }
  | { type: 'delete'; id: string; item: undefined; previous: T; rev: number }

/** Makes of an item what it is about to be; null: nothing any more. */
export type Apply<T> = (item: T | undefined) => T | null

interface Pending {
  id: string
  apply: Apply<any>
  /** Of the write, once it was answered. Undefined: not answered yet; 0: nobody said. */
  rev: number | undefined
  /** The newest revision of the item, its removal included, when it began. */
  before: number
}

/** How long an own change is shown, after it was answered without a revision and nothing was heard of it. */
const UNHEARD_MS = 5000

/** The items of one group. */
export class Group<T extends Item = Item> extends RoomStore<GroupState<T>> {
  #held = new Held()
  #drafts = new Map<string, Draft>()
  #pending = new Set<Pending>()
  #changes = new Set<(change: Change<T>) => void>()
  #newest = new Map<string, number>()
  #hasState = false
  #isAsking = false
  #pages = new Set<() => void>()

  constructor(
    line: Line,
    room: Room,
    subscription: string,
    readonly last: number | undefined,
  ) {
    super(line, room, subscription)
  }

  /** The revision of an item; 0: there is none. */
  rev(id: string): number {
    return this.#held.rev(id)
  }

  /** Be called with every change, also with those that were made while the line was lost. */
  changes(listener: (change: Change<T>) => void): () => void {
    this.#changes.add(listener)
    const end = this.use()
    return () => {
      this.#changes.delete(listener)
      end()
    }
  }

  /** Have so many older items, where the group was opened by its newest ones. */
  loadMore(count = this.last ?? 50): Promise<void> {
    const [first] = this.#held.items()
    if (!this.#held.more || !first) return Promise.resolve()
    this.line.say({ type: 'page', data: { subscriptionId: this.subscription, before: first.id, last: count } })
    return new Promise((resolve) => this.#pages.add(resolve))
  }

  /**
   * Show a change at once, and take it back where it fails.
   *
   * `write` does it, by a step of the application. What it resolves with may have a `revision`, as what
   * `set` and `update` of a stream return has: then the change counts as seen when that, or a later one, has come.
   */
  async mutate<R>(id: string, apply: Apply<T>, write: () => Promise<R>): Promise<R> {
    const pending: Pending = { id, apply, rev: undefined, before: this.#newestOf(id) }
    this.#pending.add(pending)
    const end = this.use()
    this.changed()
    try {
      const result = await write()
      const rev = (result as { revision?: unknown } | null | undefined)?.revision
      pending.rev = typeof rev === 'number' ? rev : 0
      this.#settle()
      if (this.#pending.has(pending)) setTimeout(() => this.#pending.delete(pending) && this.changed(), UNHEARD_MS)
      return result
    } catch (error) {
      this.#pending.delete(pending)
      this.changed()
      throw error
    } finally {
      end()
    }
  }

  protected override wish(): object {
    return this.last === undefined ? { since: this.#held.at ?? undefined } : { last: this.last }
  }

  protected override make(): GroupState<T> {
    const { status, error } = this
    let items = this.#held.items().map((item) => this.#drafts.get(item.id)?.item ?? item) as T[]
    for (const { id, apply } of this.#pending) {
      const at = items.findIndex((item) => item.id === id)
      const next = apply(items[at])
      if (next === null) items = items.filter((item) => item.id !== id)
      else if (at < 0) items = [...items, next]
      else items[at] = next
    }
    return { items, status, error, more: this.#held.more, pending: this.#pending.size }
  }

  protected override take(frame: RoomFrame): void {
    const { event } = frame
    if (event.type === 'draft') {
      const id = frame.id!
      const draft = grown(event, this.#held.item(id), this.#held.rev(id), this.#drafts.get(id))
      if (draft === this.#drafts.get(id)) return
      if (draft) this.#drafts.set(id, draft)
      else this.#drafts.delete(id)
      this.changed()
      return
    }
    const wanted = this.#held.take(frame)
    if (frame.id !== null && frame.rev !== undefined) this.#newest.set(frame.id, frame.rev)
    if (event.type === 'page') {
      tell(this.#pages)
      this.#pages.clear()
    }
    if (wanted === 'ids' && !this.#isAsking) this.line.say({ type: 'ids', data: { subscriptionId: this.subscription } })
    if (wanted === 'everything') {
      this.#held.at = null
      this.line.say(this.joining())
    }
    this.#isAsking = wanted !== 'nothing' || (this.#isAsking && frame.id !== null)
    const isWhole = frame.id === null && wanted === 'nothing' && (event.part ?? 1) === (event.parts ?? 1)
    this.#tellChanges(frame)
    this.#settle(true)
    if (isWhole) {
      this.#hasState = true
      this.turn('live')
    }
  }

  protected override forget(): void {
    this.#held = new Held()
    this.#drafts.clear()
    this.#newest.clear()
    this.#hasState = false
  }

  #tellChanges(frame: RoomFrame): void {
    const touched = [...this.#held.touched]
    this.#held.touched.clear()
    const isNews = touched.length > 0 || frame.event.type === 'page'
    for (const [id, before] of touched) {
      const shown = this.#drafts.get(id)?.item ?? before
      this.#drafts.delete(id)
      const [item, rev] = [this.#held.item(id) as T | undefined, this.#held.rev(id) || (frame.rev ?? 0)]
      if (!this.#hasState || (!item && !before)) continue
      const type = !before ? 'create' : item ? 'update' : 'delete'
      tell(this.#changes, { type, id, item, previous: shown as T | undefined, rev } as Change<T>)
    }
    if (isNews) this.changed()
  }

  #newestOf(id: string): number {
    const { at } = this.#held
    // A state that is complete up to a position has every write below it in.
    const complete = at === null ? 0 : Number(at.slice(at.lastIndexOf('.') + 1))
    return Math.max(complete, this.#held.rev(id), this.#newest.get(id) ?? 0)
  }

  /** Own changes that have come are not shown over what there is any more. */
  #settle(isTold = false): void {
    let isChanged = false
    for (const each of this.#pending) {
      if (each.rev === undefined) continue
      const isSeen = each.rev ? this.#newestOf(each.id) >= each.rev : this.#newestOf(each.id) > each.before
      if (isSeen) isChanged = this.#pending.delete(each)
    }
    if (isChanged || (isTold && this.#pending.size)) this.changed()
  }
}
