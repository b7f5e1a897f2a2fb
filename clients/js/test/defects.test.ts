// What goes wrong with Motia's clients, by the numbers of a list of it; each is a test of ours.

import { describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { until, within } from './gateway.js'
import { client, gateway, statusOf } from './place.js'

const seen = (items: readonly { id: string; n?: number }[]) => items.map(({ id, n }) => [id, n])

describe('the line', () => {
  it('B1: a gateway that is down, refuses, speaks something else or starts again ends no process', async () => {
    const first = await gateway()
    const port = Number(new URL(first.url).port)
    await first.close()
    const seat = client(first.url, { token: 'abc' })
    const inbox = seat.client.group('todo', 'inbox')
    inbox.subscribe(() => {})
    await until(statusOf(seat), () => seat.client.status === 'reconnecting')

    const second = await gateway(port)
    second.refuses = 401
    while (second.upgrades < 2) await new Promise((wake) => setTimeout(wake, 1))
    second.refuses = null
    second.speaks = 'Authorization'
    while (!seat.errors.some((error) => error.code === 'NOT_A_GATEWAY')) await new Promise((wake) => setTimeout(wake, 1))
    second.speaks = 'streams.v2'
    second.set('todo/inbox', 'a', { n: 1 })

    await until(inbox, () => inbox.status === 'live')
    expect(seen(inbox.get().items)).toEqual([['a', 1]])
  })

  it('B2: closing before it is open is fine', async () => {
    const place = await gateway()
    const seat = client(place.url)
    const inbox = seat.client.group('todo', 'inbox')
    inbox.subscribe(() => {})
    seat.client.close()
    expect([seat.client.status, inbox.get().status, inbox.get().error?.code]).toEqual(['closed', 'closed', 'CLOSED'])
  })

  it('B3: frames that are none are left out and reported, and nothing else is disturbed', async () => {
    const place = await gateway()
    const seat = client(place.url)
    const inbox = seat.client.group('todo', 'inbox')
    await within(inbox.ready(), 'the state')
    const tab = await place.tab(1)

    const bad = ['no JSON', 'null', '1', '[]', '{}', '{"type":"stream"}', '{"type":"stream","streamName":"todo","groupId":"inbox","id":null,"event":{"type":"sync"}}']
    for (const each of bad) tab.tell(each)
    for (const fine of [{ type: 'ack', id: '1' }, { type: 'unknown' }]) tab.tell(fine)
    place.set('todo/inbox', 'a', { n: 1 })

    await until(inbox, () => inbox.get().items.length === 1)
    expect(seat.errors.map((error) => error.code)).toEqual(bad.map(() => 'BAD_FRAME'))
    expect(inbox.get().status).toBe('live')
  })

  it('B4: who lost a gateway comes back at any time, later and later', async () => {
    const place = await gateway()
    place.refuses = 503
    const waits: number[] = []
    const real = globalThis.setTimeout
    const spy = vi.spyOn(globalThis, 'setTimeout').mockImplementation(((call: () => void, ms = 0, ...rest: never[]) => {
      waits.push(ms)
      return real(call, ms < 2000 ? 0 : ms, ...rest)
    }) as typeof setTimeout)
    try {
      for (let n = 0; n < 8; n++) client(place.url, { retryMs: [16, 1024] }).client.group('todo', 'inbox').subscribe(() => {})
      while (place.upgrades < 80) await new Promise((wake) => real(wake, 1))
    } finally {
      spy.mockRestore()
    }
    const retries = waits.filter((ms) => ms < 2000)
    expect(new Set(retries).size).toBeGreaterThan(60)
    expect(Math.max(...retries)).toBeLessThanOrEqual(1024)
    expect(Math.max(...retries.slice(0, 8))).toBeLessThanOrEqual(16)
    expect(Math.max(...retries)).toBeGreaterThan(64)
  })

  it('B7, B8: closing while it waits to come back is final', async () => {
    const place = await gateway()
    const seat = client(place.url, { retryMs: [1, 1] })
    await within(seat.client.group('todo', 'inbox').ready(), 'the state')
    place.refuses = 503
    place.cut()
    await until(statusOf(seat), () => seat.client.status === 'reconnecting')
    seat.client.close()
    const upgrades = place.upgrades

    const other = client(place.url, { retryMs: [1, 1] })
    other.client.group('todo', 'inbox').subscribe(() => {})
    while (place.upgrades < upgrades + 5) await new Promise((wake) => setTimeout(wake, 1))
    other.client.close()
    expect(seat.client.status).toBe('closed')
    expect(place.tabs.length).toBe(1)
  })

  it('B10: a token that is refused is asked for anew, and where there is no other one it stops', async () => {
    const place = await gateway()
    const wishes: boolean[] = []
    let token = 'old'
    const seat = client(place.url, {
      token: ({ force }) => {
        wishes.push(force)
        return token
      },
    })
    const inbox = seat.client.group('todo', 'inbox')
    await within(inbox.ready(), 'the state')

    token = 'new'
    ;(await place.tab(1)).socket.close(4401, 'ended')
    const second = await place.tab(2)
    expect([second.offered, wishes]).toEqual([['streams.v2', 'Authorization', 'new'], [false, true]])
    await until(inbox, () => inbox.status === 'live')

    second.socket.close(4401, 'revoked')
    await until(statusOf(seat), () => seat.client.status === 'denied')
    expect([inbox.get().status, inbox.get().error?.code, place.upgrades]).toEqual(['denied', 'TOKEN_REFUSED', 2])

    token = 'third'
    seat.client.reconnect()
    await until(inbox, () => inbox.status === 'live')
  })

  it('B10: a token that is given as it is is not shown again and again', async () => {
    const place = await gateway()
    const seat = client(place.url, { token: 'ended' })
    seat.client.group('todo', 'inbox').subscribe(() => {})
    ;(await place.tab(1)).socket.close(4401, 'ended')
    await until(statusOf(seat), () => seat.client.status === 'denied')
    expect([place.upgrades, seat.errors.map((error) => error.number)]).toEqual([1, [4]])
  })

  it('B11: a line on which nothing comes any more is given up', async () => {
    const place = await gateway()
    place.hello = { ping: 0.02, expires: null }
    const seat = client(place.url)
    const inbox = seat.client.group('todo', 'inbox')
    inbox.subscribe(() => {})

    await place.tab(2)
    place.hello = { ping: 25, expires: null }
    await until(inbox, () => inbox.status === 'live')
  })

  it('B25: any token works, and none is in the address', async () => {
    const place = await gateway()
    client(place.url, { token: 'YWI=' }).client.group('todo', 'inbox').subscribe(() => {})
    const tab = await place.tab(1)
    const said = await tab.heard('auth')
    expect([tab.offered, said.token, tab.said[0]?.type]).toEqual([['streams.v2'], 'YWI=', 'auth'])
  })

  it('has a fresh token before this one ends', async () => {
    const place = await gateway()
    place.hello = { ping: 25, expires: Date.now() / 1000 + 0.05 }
    let made = 0
    client(place.url, { token: () => `token-${made++}` }).client.group('todo', 'inbox').subscribe(() => {})
    expect((await (await place.tab(1)).heard('auth')).token).toBe('token-1')
  })

  it('is elsewhere before a gateway ends that says so', async () => {
    const place = await gateway()
    const seat = client(place.url)
    const inbox = seat.client.group('todo', 'inbox')
    await within(inbox.ready(), 'the state')
    const statuses: string[] = []
    inbox.subscribe(() => statuses.push(inbox.get().status))

    const [first, second] = [await place.tab(1), place.tab()]
    first.tell({ type: 'bye', after: 1 })
    const join = await (await second).heard('join')
    expect(join.data.since).toBe('e.0')
    place.set('todo/inbox', 'a', { n: 1 })
    await until(inbox, () => inbox.get().items.length === 1 && inbox.status === 'live')
    expect(inbox.get().items.length).toBe(1)
  })
})

describe('what is shown', () => {
  it('B5, B12: nothing goes by timestamps', async () => {
    const place = await gateway()
    const seat = client(place.url)
    const [inbox, item] = [seat.client.group('todo', 'inbox'), seat.client.item('todo', 'inbox', 'a')]
    await within(Promise.all([inbox.ready(), item.ready()]), 'the states')
    const tab = await place.tab(1)
    for (let rev = 1; rev <= 20; rev++) {
      const type = rev === 1 ? 'create' : 'update'
      tab.tell(place.frame('todo/inbox', 'a', { type, data: { id: 'a', n: rev } }, { rev, timestamp: 1000 - rev }))
    }
    await until(item, () => item.get().item?.n === 20)
    expect(seen(inbox.get().items)).toEqual([['a', 20]])
  })

  it('B6: who comes back is sent what changed, and told of it as changes', async () => {
    const place = await gateway()
    for (const id of ['a', 'b', 'c']) place.set('todo/inbox', id, { n: 1 })
    const seat = client(place.url)
    const inbox = seat.client.group('todo', 'inbox')
    const told: unknown[] = []
    inbox.changes(({ type, id, item, previous }) => told.push([type, id, item?.n, previous?.n]))
    await within(inbox.ready(), 'the state')
    expect(told).toEqual([])

    place.cut()
    place.set('todo/inbox', 'a', { n: 2 })
    place.delete('todo/inbox', 'b')
    place.set('todo/inbox', 'd', { n: 1 })

    await until(inbox, () => inbox.get().items.some(({ id }) => id === 'd') && inbox.status === 'live')
    expect((await (await place.tab(2)).heard('join')).data.since).toBe('e.3')
    expect(told.sort()).toEqual([
      ['create', 'd', 1, undefined],
      ['delete', 'b', undefined, 1],
      ['update', 'a', 2, 1],
    ])
  })

  it('B9: a room that is refused says so, and who asks later asks again', async () => {
    const place = await gateway()
    place.denied.add('todo/secret')
    const seat = client(place.url)
    const secret = seat.client.group('todo', 'secret')
    await expect(within(secret.ready(), 'the refusal')).rejects.toMatchObject({ number: 6, code: 'STREAM_ACCESS_DENIED' })
    expect(secret.get()).toMatchObject({ status: 'denied', items: [] })

    place.denied.clear()
    expect(await within(secret.ready(), 'the state')).toMatchObject({ status: 'live', error: undefined })
  })

  it('B13: events are heard before there is a state', async () => {
    const place = await gateway()
    place.isAnswering = false
    const heard: unknown[] = []
    client(place.url).client.group('todo', 'inbox').on('typing', (data, { id }) => heard.push([data, id]))
    await (await place.tab(1)).heard('join')
    place.event('todo/inbox', 'typing', 1)
    place.event('todo/inbox', 'typing', 2, 'a')
    while (heard.length < 2) await new Promise((wake) => setTimeout(wake, 1))
    expect(heard).toEqual([[1, null], [2, 'a']])
  })

  it('B18: an empty group is not one that has not come yet, and a lost line is seen', async () => {
    const place = await gateway()
    const seat = client(place.url)
    const inbox = seat.client.group('todo', 'inbox')
    expect(inbox.get()).toMatchObject({ status: 'loading', items: [] })
    const statuses: string[] = []
    inbox.subscribe(() => statuses.push(inbox.get().status))
    await until(inbox, () => inbox.status === 'live')
    place.refuses = 503
    place.cut()
    await until(inbox, () => inbox.status === 'stale')
    place.refuses = null
    await until(inbox, () => inbox.status === 'live')
    expect(statuses).toEqual(['live', 'stale', 'live'])
  })

  it('says that what it shows may be old while the gateway has lost its own line', async () => {
    const place = await gateway()
    const inbox = client(place.url).client.group('todo', 'inbox')
    await within(inbox.ready(), 'the state')
    const tab = await place.tab(1)
    tab.tell({ type: 'stale', stale: true })
    await until(inbox, () => inbox.status === 'stale')
    tab.tell({ type: 'stale', stale: false })
    await until(inbox, () => inbox.status === 'live')
  })

  it('B19: a listener that throws keeps nothing from the others', async () => {
    const place = await gateway()
    const seat = client(place.url)
    const inbox = seat.client.group('todo', 'inbox')
    const thrown: unknown[] = []
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => thrown.push(error))
    try {
      const other = vi.fn()
      const end = inbox.subscribe(() => {
        throw new Error('mine')
      })
      inbox.subscribe(other)
      await until(inbox, () => inbox.status === 'live')
      end()
      expect(other).toHaveBeenCalled()
      await new Promise((wake) => setTimeout(wake))
      expect(String(thrown[0])).toBe('Error: mine')
    } finally {
      process.removeAllListeners('uncaughtException')
      for (const listener of listeners) process.on('uncaughtException', listener)
    }
  })

  it('B20, B22: a room is joined once however many watch it, and left when nobody does', async () => {
    const place = await gateway()
    const seat = client(place.url, { graceMs: 0 })
    const inbox = seat.client.group('todo', 'inbox')
    expect(seat.client.group('todo', 'inbox')).toBe(inbox)
    await within(inbox.ready(), 'the state')
    const ends = Array.from({ length: 100 }, () => inbox.subscribe(() => {}))
    for (const end of ends) {
      end()
      end()
    }
    const tab = await place.tab(1)
    await tab.heard('leave')
    expect(tab.said.map(({ type }) => type)).toEqual(['join', 'leave'])

    await within(inbox.ready(), 'the state again')
    expect(tab.said.filter(({ type }) => type === 'join')[1]?.data.since).toBe('e.0')
  })

  it('B23: who comes after the end is told', async () => {
    const place = await gateway()
    const seat = client(place.url)
    seat.client.close()
    const inbox = seat.client.group('todo', 'inbox')
    await expect(inbox.ready()).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(inbox.send('typing')).rejects.toMatchObject({ number: 1 })
  })
})

describe('B27: what a client does', () => {
  it('sends events and knows whether they were taken', async () => {
    const place = await gateway()
    const inbox = client(place.url).client.group('todo', 'inbox')
    await within(inbox.ready(), 'the state')
    await within(inbox.send('typing', { at: 1 }), 'the answer')
    const tab = await place.tab(1)
    expect((await tab.heard('send')).data).toEqual({ streamName: 'todo', groupId: 'inbox', event: { type: 'typing', data: { at: 1 } } })

    place.isAnswering = false
    const refused = inbox.send('typing')
    const { ref } = await tab.heard('send', 2)
    tab.tell({ type: 'error', code: 'SEND_DENIED', message: 'no', ref })
    await expect(refused).rejects.toMatchObject({ number: 7, code: 'SEND_DENIED' })

    const lost = inbox.send('typing')
    await tab.heard('send', 3)
    place.cut()
    await expect(lost).rejects.toMatchObject({ number: 2 })
  })

  it('shows own changes at once, and takes them back where they fail', async () => {
    const place = await gateway()
    place.set('todo/inbox', 'a', { n: 1 })
    const inbox = client(place.url).client.group('todo', 'inbox')
    await within(inbox.ready(), 'the state')
    inbox.subscribe(() => {})

    let fail = (_: Error) => {}
    const failing = inbox.mutate('a', (item) => ({ ...item!, n: 2 }), () => new Promise<never>((_, reject) => (fail = reject)))
    expect(inbox.get()).toMatchObject({ items: [{ id: 'a', n: 2 }], pending: 1 })
    fail(new Error('no'))
    await expect(failing).rejects.toThrow('no')
    expect(inbox.get()).toMatchObject({ items: [{ id: 'a', n: 1 }], pending: 0 })
  })

  it('shows an own change until it, or what came over it, is told', async () => {
    const place = await gateway()
    place.set('todo/inbox', 'a', { n: 1 })
    const inbox = client(place.url).client.group('todo', 'inbox')
    await within(inbox.ready(), 'the state')
    const shown: unknown[] = []
    inbox.subscribe(() => shown.push(inbox.get().items.map(({ n }) => n)))

    await inbox.mutate('a', (item) => ({ ...item!, n: 2 }), async () => ({ revision: place.rev + 2 }))
    expect(inbox.get().pending).toBe(1)
    place.set('todo/inbox', 'a', { n: 7 })
    await until(inbox, () => inbox.rev('a') === 2)
    expect(seen(inbox.get().items)).toEqual([['a', 2]])
    place.set('todo/inbox', 'a', { n: 2 })
    await until(inbox, () => inbox.get().pending === 0)
    expect(seen(inbox.get().items)).toEqual([['a', 2]])
    expect(shown).not.toContainEqual([7])
  })

  it('adds and removes items before they are confirmed', async () => {
    const place = await gateway()
    place.set('todo/inbox', 'a', { n: 1 })
    const inbox = client(place.url).client.group('todo', 'inbox')
    await within(inbox.ready(), 'the state')
    inbox.subscribe(() => {})
    void inbox.mutate('b', () => ({ id: 'b', n: 1 }), async () => ({ revision: place.set('todo/inbox', 'b', { n: 1 }) }))
    void inbox.mutate('a', () => null, async () => void place.delete('todo/inbox', 'a'))
    expect(inbox.get().items.map(({ id }) => id)).toEqual(['b'])
    await until(inbox, () => inbox.get().pending === 0)
    expect(inbox.get().items.map(({ id }) => id)).toEqual(['b'])
  })

  it('opens the end of a long group, and its pages', async () => {
    const place = await gateway()
    for (const id of ['a', 'b', 'c']) place.set('todo/inbox', id)
    const chat = client(place.url).client.group('todo', 'inbox', { last: 1 })
    await within(chat.ready(), 'the end')
    expect(chat.get()).toMatchObject({ items: [{ id: 'c' }], more: true })
    chat.subscribe(() => {})
    const more = chat.loadMore(2)
    const tab = await place.tab(1)
    expect((await tab.heard('page')).data).toMatchObject({ before: 'c', last: 2 })
    const event = { type: 'page', before: 'c', more: false, data: [{ id: 'a' }, { id: 'b' }], revs: [1, 2] }
    tab.tell(place.frame('todo/inbox', null, event))
    await within(more, 'the page')
    expect(chat.get()).toMatchObject({ items: [{ id: 'a' }, { id: 'b' }, { id: 'c' }], more: false })
  })

  it('shows text as it grows, and what is stored in the end', async () => {
    const place = await gateway()
    place.set('todo/inbox', 'a', { text: 'Hel' })
    const seat = client(place.url)
    const [inbox, item] = [seat.client.group('todo', 'inbox'), seat.client.item('todo', 'inbox', 'a')]
    await within(Promise.all([inbox.ready(), item.ready()]), 'the states')
    inbox.subscribe(() => {})
    item.subscribe(() => {})
    const tab = await place.tab(1)
    const draft = (more: object) => tab.tell(place.frame('todo/inbox', 'a', { type: 'draft', base: 1, path: ['text'], ...more }))
    draft({ offset: 3, text: 'lo ' })
    draft({ offset: 99, text: 'missed' })
    draft({ offset: 4, text: 'o you' })
    await until(item, () => item.get().item?.text === 'Hello you')
    expect(inbox.get().items[0]?.text).toBe('Hello you')
    draft({ path: undefined, end: true })
    await until(item, () => item.get().item?.text === 'Hel')
    place.set('todo/inbox', 'a', { text: 'Hello!' })
    await until(item, () => item.get().item?.text === 'Hello!')
    expect(inbox.get().items[0]?.text).toBe('Hello!')
  })

  it('repairs what a heartbeat shows to be lost', async () => {
    const place = await gateway()
    for (const id of ['a', 'b']) place.set('todo/inbox', id)
    const inbox = client(place.url).client.group('todo', 'inbox')
    await within(inbox.ready(), 'the state')
    inbox.subscribe(() => {})
    const told: unknown[] = []
    inbox.changes(({ type, id }) => told.push([type, id]))
    place.group('todo/inbox').delete('a')
    place.group('todo/inbox').set('c', { id: 'c', rev: ++place.rev })
    ;(await place.tab(1)).tell(place.frame('todo/inbox', null, { type: 'heartbeat', ...place.digest('todo/inbox') }, place.at))
    await until(inbox, () => inbox.get().items.map(({ id }) => id).join() === 'b,c')
    expect(told.sort()).toEqual([['create', 'c'], ['delete', 'a']])
  })

  it('is a loop over states in Node', async () => {
    const place = await gateway()
    const inbox = client(place.url).client.group('todo', 'inbox')
    const counts: number[] = []
    for await (const { items } of inbox) {
      counts.push(items.length)
      if (items.length === 3) break
      place.set('todo/inbox', `item ${items.length}`)
    }
    expect(counts).toEqual([0, 1, 2, 3])
    expect(WebSocket).toBeDefined()
  })
})
