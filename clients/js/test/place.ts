// A gateway and clients of it, for one test.

import { afterEach } from 'vitest'
import { WebSocket } from 'ws'
import { type Client, type ClientOptions, createClient } from '../src/index.js'
import type { StreamsError } from '../src/errors.js'
import type { WebSocketClass } from '../src/socket.js'
import { FakeGateway } from './gateway.js'

const opened: { close(): unknown }[] = []

afterEach(async () => {
  // Clients first: no gateway waits for them.
  for (const each of opened.splice(0).reverse()) await each.close()
})

export async function gateway(port = 0): Promise<FakeGateway> {
  const found = await FakeGateway.open(port)
  opened.push(found)
  return found
}

export type Todos = { todo: { item: { id: string; n?: number; text?: string } } }

export interface Seat {
  client: Client<Todos>
  errors: StreamsError[]
}

/** A client that comes back soon, and notes what it reports. */
export function client(url: string, options: Partial<ClientOptions> = {}): Seat {
  const errors: StreamsError[] = []
  const made = createClient<Todos>({
    url,
    WebSocket: WebSocket as unknown as WebSocketClass,
    retryMs: [5, 20],
    onError: (error) => errors.push(error),
    ...options,
  })
  opened.push(made)
  return { client: made, errors }
}

/** Something with a status, as it is watched by `until`. */
export function statusOf({ client }: Seat): { subscribe(listener: () => void): () => void } {
  return { subscribe: (listener) => client.onStatus(listener) }
}
