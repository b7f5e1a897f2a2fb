// What a client holds of one group, from frames alone. It is `streams/client/held.py` in another language, and
// the tests of both follow the same conversations.

import { Digest } from './digest.js'
import type { Item, RoomFrame } from './wire.js'

/** What has to be asked for: the ids, as something else is held than there is; or all of it anew. */
export type Wanted = 'nothing' | 'ids' | 'everything'

/** The items of one group, in order, and up to which position they are complete. */
export class Held {
  /** What to join with, to be told what changed since. */
  at: string | null = null
  /** Whether there are older items. Undefined: all of them were asked for. */
  more: boolean | undefined
  /** What changed with the last frames, by id: what was held before. Whoever looks at it clears it. */
  readonly touched = new Map<string, Item | undefined>()
  #items = new Map<string, [rev: number, item: Item]>()
  #digest: Digest | null = null
  #parts: [Item, number][] = []

  get size(): number {
    return this.#items.size
  }

  rev = (id: string): number => this.#items.get(id)?.[0] ?? 0

  item(id: string): Item | undefined {
    return this.#items.get(id)?.[1]
  }

  items(): Item[] {
    return Array.from(this.#items.values(), ([, item]) => item)
  }

  /** Take in a frame about the group. */
  take(frame: RoomFrame): Wanted {
    const { event, rev = 0 } = frame
    switch (event.type) {
      case 'sync':
        if ((event.part ?? 1) === 1) this.#parts = []
        this.#parts.push(...pairs(event.data as Item[], event.revs!))
        if ((event.part ?? 1) < (event.parts ?? 1)) return 'nothing'
        this.#replace(this.#parts)
        this.#parts = []
        this.at = frame.at ?? null
        this.more = event.more
        return 'nothing'
      case 'create': {
        const item = event.data as Item
        if (this.rev(item.id) < rev) this.#put(item, rev, true)
        return 'nothing'
      }
      case 'update':
        return this.#update(event.data as Item, rev)
      case 'delete':
        if (this.rev(frame.id!) < rev) this.#drop(frame.id!)
        return 'nothing'
      case 'resumed': {
        const { create = [], update = [], revs = [] } = event
        for (const id of event.delete ?? []) this.#drop(id)
        update.forEach((item, n) => this.#update(item, revs[create.length + n]!))
        create.forEach((item, n) => this.#put(item, revs[n]!, true))
        return this.#compare(frame)
      }
      case 'heartbeat':
        return this.#compare(frame)
      case 'ids':
        return this.#keepOnly(frame)
      case 'page':
        // Else it is the answer to a question about something that has changed meanwhile.
        if (event.before === this.#items.keys().next().value) {
          const newer = this.#items
          this.#items = new Map()
          for (const [item, itemRev] of pairs(event.data as Item[], event.revs!)) this.#put(item, itemRev)
          for (const [id, held] of newer) this.#items.set(id, held)
          this.more = event.more
          this.#digest = null
        }
    }
    return 'nothing'
  }

  #update(item: Item, rev: number): Wanted {
    const held = this.rev(item.id)
    // Of a group of which only a part is held, others change too.
    if (held < rev && (held || this.more === undefined)) this.#put(item, rev)
    // Of what is not there, the making was lost, and with it its place among the others.
    return held || this.more !== undefined ? 'nothing' : 'ids'
  }

  #compare({ event, at }: RoomFrame): Wanted {
    if (this.more !== undefined) return 'nothing'
    this.#digest ??= new Digest(this.#items.keys())
    if (event.count !== this.size || event.digest !== this.#digest.text(this.rev)) return 'ids'
    this.at = at ?? null
    return 'nothing'
  }

  #keepOnly({ event, at }: RoomFrame): Wanted {
    const there = event.data as string[]
    if (there.some((id, n) => this.rev(id) !== event.revs![n])) return 'everything'
    const wanted = new Set(there)
    for (const id of [...this.#items.keys()]) if (!wanted.has(id)) this.#drop(id)
    this.#items = new Map(there.map((id) => [id, this.#items.get(id)!]))
    this.at = at ?? null
    return 'nothing'
  }

  #replace(pairs: [Item, number][]): void {
    const before = this.#items
    this.#items = new Map()
    for (const [item, rev] of pairs) {
      const held = before.get(item.id)
      before.delete(item.id)
      // The same object where nothing changed: whoever compares need not look into it.
      if (held?.[0] !== rev) this.#touch(item.id, held?.[1])
      this.#items.set(item.id, held?.[0] === rev ? held : [rev, item])
    }
    for (const [id, [, item]] of before) this.#touch(id, item)
    this.#digest = null
  }

  #put(item: Item, rev: number, isBehind = false): void {
    this.#note(item.id)
    if (isBehind) this.#items.delete(item.id)
    this.#items.set(item.id, [rev, item])
  }

  #drop(id: string): void {
    if (!this.#items.has(id)) return
    this.#note(id)
    this.#items.delete(id)
  }

  #note(id: string): void {
    this.#touch(id, this.item(id))
    this.#digest?.note(id, this.rev(id))
  }

  #touch(id: string, before: Item | undefined): void {
    if (!this.touched.has(id)) this.touched.set(id, before)
  }
}

function pairs(items: Item[], revs: number[]): [Item, number][] {
  return items.map((item, n) => [item, revs[n]!])
}
