// One WebSocket, from its first try to its end.

import type { ControlFrame, Frame } from './wire.js'

/** What a line says of itself. Nothing is said after `ended`. */
export interface Ears {
  opened(): void
  heard(frame: Frame): void
  /** Something came that is no frame. */
  garbled(): void
  ended(end: End): void
}

export interface End {
  code: number
  reason: string
  /** What answered speaks something else. */
  isForeign?: boolean
}

export interface Line {
  say(message: object): void
  /** End it, at once and without a word to the ears. */
  end(): void
}

/** What is needed of a WebSocket: that of browsers and Node 22 has it, and that of `ws`. */
export type WebSocketClass = new (url: string, protocols: string[]) => {
  protocol: string
  onopen: unknown
  onmessage: unknown
  onclose: unknown
  onerror: unknown
  send(data: string): void
  close(code?: number, reason?: string): void
}

const DIALECT = 'streams.v2'
/** What may be a subprotocol, by RFC 7230. A token with anything else goes into the first message. */
const PLAIN = /^[\w!#$%&'*+.^`|~-]+$/

export function openSocket(WebSocket: WebSocketClass, url: string, token: string | null, ears: Ears): Line {
  const isPlain = token !== null && PLAIN.test(token)
  const socket = new WebSocket(url, isPlain ? [DIALECT, 'Authorization', token] : [DIALECT])
  let isOpen = false
  let isOver = false
  const over = (end: End) => {
    if (isOver) return
    isOver = true
    ears.ended(end)
  }
  const say = (message: object) => {
    // What is said to a line that has just been lost is said again on the next one, or fails there.
    if (isOpen && !isOver) socket.send(JSON.stringify(message))
  }
  socket.onopen = () => {
    if (isOver) return socket.close()
    if (socket.protocol !== DIALECT) {
      socket.close()
      return over({ code: 1002, reason: `it does not speak ${DIALECT}`, isForeign: true })
    }
    isOpen = true
    if (token !== null && !isPlain) say({ type: 'auth', token })
    ears.opened()
  }
  socket.onmessage = ({ data }: { data: unknown }) => {
    if (isOver) return
    const frame = read(data)
    if (frame) ears.heard(frame)
    else ears.garbled()
  }
  socket.onclose = ({ code, reason }: { code: number; reason: string }) => over({ code, reason })
  // A close follows, which says more. Without a listener, `ws` would end the process.
  socket.onerror = () => {}
  return {
    say,
    end() {
      isOver = true
      try {
        socket.close(1000)
      } catch {
        // It was not open yet; `onopen` closes it then.
      }
    },
  }
}

/** The frame in a message; null: there is none. */
export function read(data: unknown): Frame | null {
  try {
    const frame = JSON.parse(typeof data === 'string' ? data : '') as Frame
    if (typeof frame?.type !== 'string') return null
    if (frame.type === 'stream') return typeof frame.event?.type === 'string' ? frame : null
    return frame as ControlFrame
  } catch {
    return null
  }
}
