// What is said and told: docs/protocol.md, the extended dialect.

/** An item, as it is stored: a JSON object with the `id` of its key. */
export interface Item {
  readonly id: string
}

/** A group, or one item of it. */
export interface Room {
  readonly stream: string
  readonly group: string
  readonly id: string | null
}

/** What happened to a room. Which fields there are depends on `type`. */
export interface RoomEvent {
  type: string
  data?: unknown
  event?: { type: string; data?: unknown; from?: Sender }
  revs?: number[]
  part?: number
  parts?: number
  more?: boolean
  create?: Item[]
  update?: Item[]
  delete?: string[]
  count?: number
  digest?: string
  before?: string
  base?: number
  path?: (string | number)[]
  offset?: number
  text?: string
  value?: unknown
  end?: boolean
  code?: string
  message?: string
}

/** Who said an event, where a client did: functions say theirs without. */
export interface Sender {
  readonly session: string
  readonly sub: string | null
}

/** A frame about a room. */
export interface RoomFrame {
  type: 'stream'
  streamName: string
  groupId: string
  id: string | null
  rev?: number
  at?: string
  reason?: string
  event: RoomEvent
}

/** Any other frame. */
export interface ControlFrame {
  type: 'hello' | 'auth' | 'ack' | 'error' | 'bye' | 'stale' | 'ping' | 'pong' | 'close'
  session?: string
  ping?: number
  sub?: string | null
  expires?: number | null
  after?: number
  stale?: boolean
  ref?: string | number
  code?: string | number
  message?: string
  reason?: string
}

export type Frame = RoomFrame | ControlFrame

/** How a room is called, here and to the gateway. */
export function nameOf({ stream, group, id }: Room): string {
  return JSON.stringify([stream, group, id])
}
