// Text that grows: what came since the stored version of an item, put onto it. See docs/protocol.md.

import type { Item, RoomEvent } from './wire.js'

/** An item with the fragments that came since it was stored. */
export interface Draft {
  base: number
  item: Item
}

/** The draft after one more fragment; the one of before where that is of no use. `item` is the stored one. */
export function grown(event: RoomEvent, item: Item | undefined, rev: number, before?: Draft): Draft | undefined {
  const current = before?.base === rev ? before : undefined
  // Of a version that is not the newest any more, or not here yet.
  if (!item || event.base !== rev) return current
  if (event.end) return undefined
  const next = put(current?.item ?? item, event.path ?? [], event)
  return next === undefined ? current : { base: rev, item: next as Item }
}

/** A copy with the fragment at the end of what is at the path. Undefined: something before it is missing. */
function put(value: unknown, path: (string | number)[], event: RoomEvent): unknown {
  const [key, ...rest] = path
  if (key !== undefined) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    const next = put((value as Record<string | number, unknown>)[key], rest, event)
    if (next === undefined) return undefined
    const copy = Array.isArray(value) ? [...value] : { ...value }
    ;(copy as Record<string | number, unknown>)[key] = next
    return copy
  }
  const { offset = 0, text } = event
  if (typeof value === 'string' && text !== undefined) {
    const known = value.length - offset
    // Who holds more has part of it already.
    return known < 0 ? undefined : value + text.slice(known)
  }
  return Array.isArray(value) && 'value' in event && value.length === offset ? [...value, event.value] : undefined
}
