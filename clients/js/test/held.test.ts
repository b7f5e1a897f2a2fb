import { describe, expect, it } from 'vitest'
import { Digest } from '../src/digest.js'
import { Held } from '../src/held.js'
import type { Item, RoomEvent, RoomFrame } from '../src/wire.js'

type Versions = [id: string, rev: number][]

const item = (id: string, rev: number): Item => ({ id, n: rev }) as Item
const digestOf = (versions: Versions) => {
  const revs = new Map(versions)
  return { count: revs.size, digest: new Digest(revs.keys()).text((id) => revs.get(id) ?? 0) }
}

function frame(event: RoomEvent, more: Partial<RoomFrame> = {}): RoomFrame {
  return { type: 'stream', streamName: 'todo', groupId: 'inbox', id: null, at: 'e.9', event, ...more }
}

function sync(versions: Versions, more: Partial<RoomEvent> = {}, at = 'e.9'): RoomFrame {
  const event = { type: 'sync', data: versions.map(([id, rev]) => item(id, rev)), revs: versions.map(([, rev]) => rev) }
  return frame({ ...event, ...more }, { at })
}

function change(type: 'create' | 'update' | 'delete', id: string, rev: number): RoomFrame {
  return frame({ type, data: item(id, rev) }, { id, rev })
}

function held(versions: Versions, more: Partial<RoomEvent> = {}): Held {
  const found = new Held()
  expect(found.take(sync(versions, more))).toBe('nothing')
  found.touched.clear()
  return found
}

const shows = (found: Held): Versions => found.items().map(({ id }) => [id, found.rev(id)])

describe('what is held of a group', () => {
  it('is what a state says, in its order', () => {
    expect(shows(held([['b', 3], ['a', 1]]))).toEqual([['b', 3], ['a', 1]])
  })

  it('keeps the objects of items that have not changed', () => {
    const found = held([['a', 1], ['b', 2]])
    const before = found.item('a')
    found.take(sync([['a', 1], ['b', 3]]))
    expect(found.item('a')).toBe(before)
    expect([...found.touched.keys()]).toEqual(['b'])
  })

  it('changes by what happens, and an older version changes nothing', () => {
    const found = held([['a', 1], ['b', 2]])
    for (const each of [change('update', 'a', 5), change('update', 'a', 4), change('create', 'c', 6), change('delete', 'b', 7)]) {
      expect(found.take(each)).toBe('nothing')
    }
    found.take(change('delete', 'c', 3))
    expect(shows(found)).toEqual([['a', 5], ['c', 6]])
  })

  it('puts an item that is made anew behind the others', () => {
    const found = held([['a', 1], ['b', 2]])
    found.take(change('delete', 'a', 3))
    found.take(change('create', 'a', 4))
    expect(shows(found)).toEqual([['b', 2], ['a', 4]])
  })

  it('is not there before the last part of a state', () => {
    const found = held([['old', 1]])
    found.take(sync([['a', 2]], { part: 1, parts: 3 }))
    found.take(sync([['b', 3]], { part: 1, parts: 2 }))
    expect(shows(found)).toEqual([['old', 1]])
    found.take(sync([['c', 4]], { part: 2, parts: 2 }, 'e.10'))
    expect([shows(found), found.at]).toEqual([[['b', 3], ['c', 4]], 'e.10'])
  })

  it('asks for the ids when something is told of that it does not hold', () => {
    expect(held([['a', 1]]).take(change('update', 'b', 5))).toBe('ids')
  })
})

describe('coming back', () => {
  const resumed = (event: Partial<RoomEvent>, versions: Versions) =>
    frame({ type: 'resumed', create: [], update: [], delete: [], revs: [], ...event, ...digestOf(versions) }, { at: 'e.20' })

  it('takes in what changed, and has proof of it', () => {
    const found = held([['a', 1], ['b', 2], ['c', 3]])
    const event = { create: [item('d', 11), item('b', 12)], update: [item('a', 10)], delete: ['c'], revs: [11, 12, 10] }
    expect(found.take(resumed(event, [['a', 10], ['d', 11], ['b', 12]]))).toBe('nothing')
    expect([shows(found), found.at]).toEqual([[['a', 10], ['d', 11], ['b', 12]], 'e.20'])
  })

  it('asks for the ids where a delete has left no trace, and drops what is not among them', () => {
    const found = held([['a', 1], ['b', 2]])
    expect(found.take(resumed({}, [['a', 1]]))).toBe('ids')
    expect(found.at).toBe('e.9')
    expect(found.take(frame({ type: 'ids', data: ['a'], revs: [1] }, { at: 'e.21' }))).toBe('nothing')
    expect([shows(found), found.at]).toEqual([[['a', 1]], 'e.21'])
  })

  it('takes the order of the ids', () => {
    const found = held([['a', 1], ['b', 2]])
    found.take(frame({ type: 'ids', data: ['b', 'a'], revs: [2, 1] }))
    expect(shows(found)).toEqual([['b', 2], ['a', 1]])
  })

  it.each([
    ['lacks an item', [['a', 1], ['b', 2]]],
    ['has an older version', [['a', 5]]],
  ] as [string, Versions][])('wants everything where it %s', (_, there) => {
    const found = held([['a', 1]])
    const ids = { type: 'ids', data: there.map(([id]) => id), revs: there.map(([, rev]) => rev) }
    expect(found.take(frame(ids))).toBe('everything')
  })

  it('is told by heartbeats whether it lacks something', () => {
    const found = held([['a', 1]])
    const beat = (versions: Versions) => frame({ type: 'heartbeat', ...digestOf(versions) }, { at: 'e.30' })
    expect(found.take(beat([['a', 2]]))).toBe('ids')
    expect(found.at).toBe('e.9')
    expect(found.take(beat([['a', 1]]))).toBe('nothing')
    expect(found.at).toBe('e.30')
  })
})

describe('the end of a long group', () => {
  const page = (before: string, versions: Versions, more: boolean) =>
    frame({ type: 'page', before, more, data: versions.map(([id, rev]) => item(id, rev)), revs: versions.map(([, rev]) => rev) })

  it('is put behind the pages that are asked for', () => {
    const found = held([['c', 3]], { more: true })
    found.take(page('c', [['a', 1], ['b', 2]], false))
    expect([shows(found), found.more]).toEqual([[['a', 1], ['b', 2], ['c', 3]], false])
  })

  it('is not touched by the answer to an older question', () => {
    const found = held([['c', 3]], { more: true })
    found.take(page('x', [['a', 1]], false))
    expect([shows(found), found.more]).toEqual([[['c', 3]], true])
  })

  it('ignores what happens to items that it does not hold, and heartbeats', () => {
    const found = held([['c', 3]], { more: true })
    expect(found.take(change('update', 'a', 9))).toBe('nothing')
    expect(found.take(change('delete', 'b', 10))).toBe('nothing')
    expect(found.take(frame({ type: 'heartbeat', count: 7, digest: '0' }))).toBe('nothing')
    expect(shows(found)).toEqual([['c', 3]])
  })
})
