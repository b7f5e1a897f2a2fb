import { type Draft, grown } from './drafts.js'
import { Digest } from './digest.js'
import { RoomStore, type Status } from './store.js'
import type { StreamsError } from './errors.js'
import type { Item, RoomFrame } from './wire.js'

/** What one item is. Never changed: something that changed is in a new object. */
export interface ItemState<T> {
  /** Undefined: not known yet; null: there is none. */
  readonly item: T | null | undefined
  readonly rev: number
  readonly status: Status
  readonly error: StreamsError | undefined
}

/** One item, watched by itself. */
export class SingleItem<T extends Item = Item> extends RoomStore<ItemState<T>> {
  #item: T | null | undefined
  #rev = 0
  #draft: Draft | undefined

  protected override make(): ItemState<T> {
    const { status, error } = this
    return { item: (this.#draft?.item as T) ?? this.#item, rev: this.#rev, status, error }
  }

  protected override take(frame: RoomFrame): void {
    const { event, rev = 0 } = frame
    switch (event.type) {
      case 'draft': {
        const draft = grown(event, this.#item ?? undefined, this.#rev, this.#draft)
        if (draft === this.#draft) return
        this.#draft = draft
        break
      }
      case 'sync':
        this.#set(event.data as T | null, rev)
        this.turn('live')
        break
      case 'create':
      case 'update':
      case 'delete':
        if (rev <= this.#rev) return
        this.#set(event.type === 'delete' ? null : (event.data as T), rev)
        break
      case 'heartbeat': {
        const ids = this.#item ? [this.room.id!] : []
        const isRight = event.count === ids.length && event.digest === new Digest(ids).text(() => this.#rev)
        if (!isRight) this.line.say(this.joining())
        return
      }
      default:
        return
    }
    this.changed()
  }

  protected override forget(): void {
    this.#set(undefined, 0)
  }

  #set(item: T | null | undefined, rev: number): void {
    this.#item = item
    this.#rev = rev
    this.#draft = undefined
  }
}
