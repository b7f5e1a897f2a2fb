// A gateway that speaks the extended dialect, as far as a test wants it to: it says what the test says.

import { once } from 'node:events'
import type { AddressInfo, Socket as TcpSocket } from 'node:net'
import { createServer, type Server } from 'node:http'
import { WebSocket, WebSocketServer } from 'ws'
import { Digest } from '../src/digest.js'

export interface Said {
  type: string
  ref?: number
  token?: string
  data?: any
}

/** One line, as the gateway sees it. */
export class Tab {
  readonly said: Said[] = []
  #waiting: (() => void)[] = []

  constructor(
    readonly socket: WebSocket,
    readonly offered: string[],
    private readonly place: FakeGateway,
  ) {
    socket.on('message', (data) => {
      const said = JSON.parse(String(data)) as Said
      this.said.push(said)
      place.answer(this, said)
      for (const wake of this.#waiting.splice(0)) wake()
    })
  }

  tell(frame: object | string): void {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  }

  /** Wait until so many messages of a type were said. The last one of them. */
  async heard(type: string, count = 1): Promise<Said> {
    for (;;) {
      const found = this.said.filter((said) => said.type === type)
      if (found.length >= count) return found[count - 1]!
      await within(new Promise<void>((wake) => this.#waiting.push(wake)), `the ${count}. ${type}`)
    }
  }
}

export interface Stored {
  id: string
  rev: number
  [field: string]: unknown
}

export class FakeGateway {
  readonly tabs: Tab[] = []
  hello: object = { ping: 25, expires: null }
  /** Upgrades are refused with this status. */
  refuses: number | null = null
  speaks = 'streams.v2'
  /** By `stream/group`. */
  readonly groups = new Map<string, Map<string, Stored>>()
  readonly denied = new Set<string>()
  rev = 0
  epoch = 'e'
  /** Whether joins are answered by themselves. */
  isAnswering = true
  upgrades = 0
  #waiting: (() => void)[] = []
  #tcp = new Set<TcpSocket>()

  private constructor(
    readonly server: Server,
    readonly url: string,
  ) {}

  static async open(port = 0): Promise<FakeGateway> {
    const server = createServer()
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    const gateway = new FakeGateway(server, `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    const sockets = new WebSocketServer({
      noServer: true,
      handleProtocols: (offered) => (offered.has(gateway.speaks) ? gateway.speaks : false),
    })
    server.on('connection', (socket) => {
      gateway.#tcp.add(socket)
      socket.on('close', () => gateway.#tcp.delete(socket))
    })
    server.on('upgrade', (request, socket, head) => {
      gateway.upgrades++
      if (gateway.refuses !== null) {
        socket.end(`HTTP/1.1 ${gateway.refuses} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`)
        return
      }
      sockets.handleUpgrade(request, socket, head, (opened) => {
        const offered = (request.headers['sec-websocket-protocol'] ?? '').split(/,\s*/)
        const tab = new Tab(opened, offered, gateway)
        gateway.tabs.push(tab)
        tab.tell({ type: 'hello', session: `s${gateway.tabs.length}`, ...gateway.hello })
        for (const wake of gateway.#waiting.splice(0)) wake()
      })
    })
    return gateway
  }

  /** The next line, or the one that there is of that number (from 1). */
  async tab(count = this.tabs.length + 1): Promise<Tab> {
    while (this.tabs.length < count) {
      await within(new Promise<void>((wake) => this.#waiting.push(wake)), `line ${count}`)
    }
    return this.tabs[count - 1]!
  }

  /** Cut every line, as a network does. */
  cut(): void {
    for (const socket of this.#tcp) socket.destroy()
  }

  async close(): Promise<void> {
    this.cut()
    if (!this.server.listening) return
    this.server.close()
    await once(this.server, 'close')
  }

  // What is stored, and what is said of it.

  group(name: string): Map<string, Stored> {
    const found = this.groups.get(name) ?? new Map<string, Stored>()
    this.groups.set(name, found)
    return found
  }

  /** Write an item, and tell everybody who has joined. */
  set(name: string, id: string, value: object = {}): number {
    const group = this.group(name)
    const kind = group.has(id) ? 'update' : 'create'
    group.set(id, { ...value, id, rev: ++this.rev })
    this.tellAll(name, id, { type: kind, data: { ...value, id } })
    return this.rev
  }

  delete(name: string, id: string): number {
    this.group(name).delete(id)
    this.rev++
    this.tellAll(name, id, { type: 'delete', data: { id } })
    return this.rev
  }

  event(name: string, type: string, data: unknown, id: string | null = null): void {
    this.tellAll(name, id, { type: 'event', event: { type, data } }, false)
  }

  tellAll(name: string, id: string | null, event: object, hasRev = true): void {
    for (const tab of this.tabs) {
      const joined = tab.said.some(
        ({ type, data }) =>
          type === 'join' && `${data.streamName}/${data.groupId}` === name && (data.id === undefined || data.id === id),
      )
      if (joined && tab.socket.readyState === WebSocket.OPEN) tab.tell(this.frame(name, id, event, hasRev ? { rev: this.rev } : {}))
    }
  }

  frame(name: string, id: string | null, event: object, more: object = {}): object {
    const [streamName, groupId] = name.split('/')
    return { type: 'stream', streamName, groupId, id, ...more, event }
  }

  get at(): { at: string } {
    return { at: `${this.epoch}.${this.rev}` }
  }

  digest(name: string): { count: number; digest: string } {
    const items = this.group(name)
    return { count: items.size, digest: new Digest(items.keys()).text((id) => items.get(id)?.rev ?? 0) }
  }

  answer(tab: Tab, said: Said): void {
    if (!this.isAnswering || !said.data) return
    const { streamName, groupId, id, since, last } = said.data
    const name = `${streamName}/${groupId}`
    const items = [...this.group(name).values()]
    const bare = ({ rev: _, ...item }: Stored) => item
    if (said.type === 'send') tab.tell({ type: 'ack', ref: said.ref })
    if (said.type === 'ids') {
      // The subscription is the name of its room.
      const [stream, group] = JSON.parse(said.data.subscriptionId)
      const there = [...this.group(`${stream}/${group}`).values()]
      tab.tell(this.frame(`${stream}/${group}`, null, { type: 'ids', revs: there.map((i) => i.rev), data: there.map((i) => i.id) }, this.at))
    }
    if (said.type !== 'join') return
    if (this.denied.has(name)) {
      tab.tell(this.frame(name, id ?? null, { type: 'unauthorized', code: 'STREAM_ACCESS_DENIED', message: 'not yours' }))
    } else if (id !== undefined) {
      const item = this.group(name).get(id)
      tab.tell(this.frame(name, id, { type: 'sync', data: item ? bare(item) : null }, { ...this.at, ...(item && { rev: item.rev }) }))
    } else if (since?.startsWith(`${this.epoch}.`)) {
      const after = Number(since.split('.')[1])
      const changed = items.filter((item) => item.rev > after)
      tab.tell(
        this.frame(
          name,
          null,
          { type: 'resumed', create: changed.map(bare), update: [], delete: [], revs: changed.map((i) => i.rev), ...this.digest(name) },
          this.at,
        ),
      )
    } else {
      const shown = last === undefined ? items : items.slice(-last)
      const more = last === undefined ? {} : { more: shown.length < items.length }
      tab.tell(this.frame(name, null, { type: 'sync', data: shown.map(bare), revs: shown.map((i) => i.rev), ...more }, this.at))
    }
  }
}

/** What comes of it, within the time that anything may take. */
export async function within<T>(promise: Promise<T>, what: string, ms = 5000): Promise<T> {
  let timer: NodeJS.Timeout
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come`)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Wait until something is so; looked at whenever the store, or the client, has changed. */
export async function until(watched: { subscribe(listener: () => void): () => void }, isSo: () => boolean): Promise<void> {
  let end = () => {}
  await within(
    new Promise<void>((resolve) => {
      const look = () => isSo() && resolve()
      end = watched.subscribe(look)
      look()
    }),
    String(isSo),
  ).finally(() => end())
}
