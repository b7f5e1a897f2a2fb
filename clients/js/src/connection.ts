// Keeps a line to some gateway: opens it, notices that it is dead, comes back, and moves when a gateway ends.

import { StreamsError } from './errors.js'
import { type End, type Line, openSocket, type WebSocketClass } from './socket.js'
import type { ControlFrame, Frame } from './wire.js'

/** - `idle`: nothing is needed yet.  - `reconnecting`: the line is lost, or could not be had yet. */
export type ConnectionStatus = 'idle' | 'connecting' | 'online' | 'reconnecting' | 'denied' | 'closed'

/** Gives the token, anew at each try. `force`: the last one was refused, or is about to end. */
export type TokenProvider = (wish: { force: boolean }) => string | null | Promise<string | null>

export interface ConnectionOptions {
  url: string | (() => string | Promise<string>)
  token?: string | TokenProvider | null | undefined
  WebSocket?: WebSocketClass | undefined
  /** First and longest wait before it comes back; each time any number up to twice as long as the time before. */
  retryMs?: [first: number, longest: number] | undefined
}

export interface Listener {
  /** A line stands: whatever is wanted is to be said on it. */
  online(line: Line): void
  /** There is none any more. */
  offline(): void
  heard(frame: Frame): void
  turned(status: ConnectionStatus): void
  report(error: StreamsError): void
}

const STEADY_MS = 5000
const REFRESH_MS = 60_000
const LONGEST_TIMER_MS = 2 ** 31 - 1
const UNAUTHORIZED = 4401

type Timer = ReturnType<typeof setTimeout> | undefined

export class Connection {
  status: ConnectionStatus = 'idle'
  /** What the gateway calls this line; others see it beside its events. */
  session: string | null = null
  #line: Line | null = null
  #next: Line | null = null
  #tries = 0
  #isForced = false
  #refused: string | null = null
  #token: string | null = null
  #retry: Timer
  #steady: Timer
  #silence: Timer
  #refresh: Timer
  #moving: Timer
  #pingMs = 25_000
  /** Which try counts: answers to earlier ones come too late. */
  #number = 0

  constructor(
    private readonly options: ConnectionOptions,
    private readonly listener: Listener,
  ) {
    globalThis.addEventListener?.('online', this.hurry)
  }

  /** Have a line, from now on. */
  open(): void {
    if (this.status === 'idle') void this.#try('connecting')
  }

  /** The network is said to be there again: try at once. */
  hurry = (): void => {
    if (this.status !== 'reconnecting' || this.#next) return
    this.#tries = 0
    clearTimeout(this.#retry)
    void this.#try('reconnecting')
  }

  /** Try anew, where no token was to be had. */
  again(): void {
    if (this.status !== 'denied') return
    this.#refused = null
    this.#isForced = true
    void this.#try('connecting')
  }

  /** End it for good. */
  close(): void {
    this.#number++
    globalThis.removeEventListener?.('online', this.hurry)
    this.#drop()
    this.#next?.end()
    this.#next = null
    clearTimeout(this.#retry)
    clearTimeout(this.#moving)
    this.#turn('closed')
  }

  async #try(status: ConnectionStatus): Promise<void> {
    const number = ++this.#number
    if (status !== 'online') this.#turn(status)
    let url: string
    let token: string | null
    try {
      const { url: given, token: giver } = this.options
      url = typeof given === 'function' ? await given() : given
      token = typeof giver === 'function' ? await giver({ force: this.#isForced }) : (giver ?? null)
    } catch (error) {
      if (number !== this.#number) return
      this.listener.report(new StreamsError('TOKEN_FAILED', `no token or address: ${error}`))
      return this.#later()
    }
    if (number !== this.#number) return
    if (token !== null && token === this.#refused) return this.#deny('no other token')
    this.#isForced = false
    this.#token = token
    let line: Line | null = null
    const isCurrent = () => line && (line === this.#line || line === this.#next)
    try {
      line = openSocket(this.#WebSocket(), url, token, {
        opened: () => isCurrent() && this.#opened(line!),
        heard: (frame) => isCurrent() && this.#heard(frame, line!),
        garbled: () => this.listener.report(new StreamsError('BAD_FRAME', 'a message was no frame')),
        ended: (end) => isCurrent() && this.#ended(end, line!),
      })
    } catch (error) {
      // An address that is none, or a token that cannot be sent.
      this.listener.report(new StreamsError('NOT_A_GATEWAY', String(error)))
      return this.#later()
    }
    this.#next = line
    this.#listen()
  }

  #WebSocket(): WebSocketClass {
    const found = this.options.WebSocket ?? (globalThis.WebSocket as unknown as WebSocketClass | undefined)
    if (!found) throw new Error('no WebSocket here: give that of the package ws')
    return found
  }

  #opened(line: Line): void {
    // The one before, where it moves, was served until now.
    this.#drop()
    this.#line = line
    this.#next = null
    this.#refused = null
    this.#steady = setTimeout(() => (this.#tries = 0), STEADY_MS)
    this.#turn('online')
    this.#listen()
    this.listener.online(line)
  }

  #heard(frame: Frame, line: Line): void {
    if (line === this.#line) this.#listen()
    if (frame.type === 'stream' || line !== this.#line) {
      if (line === this.#line) this.listener.heard(frame)
      return
    }
    switch (frame.type) {
      case 'hello':
        this.session = frame.session ?? null
        this.#pingMs = (frame.ping ?? 25) * 1000
        this.#expire(frame)
        break
      case 'auth':
        this.#expire(frame)
        break
      case 'bye':
        // All who are told so go at any time before then, and not at once.
        this.#moving = setTimeout(() => void this.#try('online'), Math.random() * (frame.after ?? 0))
    }
    this.listener.heard(frame)
  }

  #ended({ code, reason, isForeign }: End, line: Line): void {
    if (isForeign) this.listener.report(new StreamsError('NOT_A_GATEWAY', reason))
    if (line === this.#next) {
      this.#next = null
      // A browser does not say why; a token that has ended is a usual reason.
      this.#isForced = this.#tries % 2 === 1
      if (this.#line) return
    }
    if (line === this.#line) this.#drop()
    if (code === UNAUTHORIZED) {
      this.#isForced = true
      this.#refused = this.#token
      if (typeof this.options.token !== 'function') return this.#deny(reason)
    }
    this.#later()
  }

  #later(): void {
    const [first, longest] = this.options.retryMs ?? [500, 30_000]
    this.#turn('reconnecting')
    clearTimeout(this.#retry)
    // Any number in between: all who lose a gateway at once do not come back at once.
    const ms = Math.random() * Math.min(longest, first * 2 ** this.#tries++)
    this.#retry = setTimeout(() => void this.#try('reconnecting'), ms)
  }

  #deny(reason: string): void {
    this.#drop()
    this.listener.report(new StreamsError('TOKEN_REFUSED', reason || 'the token is not accepted'))
    this.#turn('denied')
  }

  /** Notice when nothing comes any more. The gateway says something every `ping` seconds. */
  #listen(): void {
    clearTimeout(this.#silence)
    const line = this.#line ?? this.#next
    this.#silence = setTimeout(() => {
      if (!line || (line !== this.#line && line !== this.#next)) return
      line.end()
      this.#ended({ code: 1006, reason: '' }, line)
    }, 2.5 * this.#pingMs)
  }

  /** Have a fresh token before this one ends. */
  #expire({ expires }: ControlFrame): void {
    clearTimeout(this.#refresh)
    const { token } = this.options
    if (typeof expires !== 'number' || typeof token !== 'function') return
    const left = Math.max(0, expires * 1000 - Date.now())
    // Of one that lives shorter than twice that, halfway.
    const ms = Math.min(LONGEST_TIMER_MS, left > 2 * REFRESH_MS ? left - REFRESH_MS : left / 2)
    this.#refresh = setTimeout(async () => {
      const line = this.#line
      try {
        const fresh = await token({ force: true })
        if (fresh === null || line !== this.#line) return
        this.#token = fresh
        line?.say({ type: 'auth', token: fresh })
      } catch (error) {
        this.listener.report(new StreamsError('TOKEN_FAILED', `no fresh token: ${error}`))
      }
    }, ms)
  }

  #drop(): void {
    for (const timer of [this.#steady, this.#silence, this.#refresh, this.#moving]) clearTimeout(timer)
    const line = this.#line
    this.#line = null
    this.session = null
    if (!line) return
    line.end()
    this.listener.offline()
  }

  #turn(status: ConnectionStatus): void {
    if (this.status === status) return
    this.status = status
    this.listener.turned(status)
  }
}
