// Hosts Motia's clients, unchanged, and lets Python drive them: one JSON object a line, commands
// on standard input, what the clients see on standard output. Ends when standard input does.
// One process serves many tests, one after the other.

import { createInterface } from 'node:readline'
import { WebSocket } from 'ws'
import { generations } from './generations.mjs'

globalThis.WebSocket = WebSocket

/** What belongs to the test that runs. */
let test

// The clients come back after 2000 ms, which nothing can be said about to them. Shortening this
// one delay makes them come back sooner, and changes nothing else.
const motiasDelay = 2000
const realSetTimeout = globalThis.setTimeout
globalThis.setTimeout = (then, ms, ...args) => {
  if (ms !== motiasDelay) return realSetTimeout(then, ms, ...args)
  // A client that was never closed goes no further than its test.
  const scheduledBy = test
  return realSetTimeout(() => scheduledBy === test && then(...args), test.reconnectMs)
}

const print = (of, what, value) => process.stdout.write(`${JSON.stringify({ of, what, value })}\n`)

const socketOf = (stream) => stream.ws.ws ?? stream.ws

const watch = (name, stream) => {
  const socket = socketOf(stream)
  const tell = (what, value) => print(name, what, value)
  test.sockets.add(socket)
  socket.on('open', () => tell('opened', socket.protocol))
  // Before the client takes it: whoever sees a state has its frame already.
  socket.prependListener('message', (message) => tell('frame', message.toString()))
  socket.on('close', (code) => tell('closed', code))
  // The Node client listens to no errors, so a refused connection ends its process. No server can help that.
  socket.on('error', (error) => tell('failed', error.message))
}

const commands = {
  begin({ reconnectMs }) {
    test = { reconnectMs, clients: new Map(), subscriptions: new Map(), sockets: new Set() }
  },

  end() {
    for (const socket of test.sockets) {
      socket.removeAllListeners()
      socket.on('error', () => {})
      socket.terminate()
    }
    test = undefined
    print('test', 'ended')
  },

  open({ client, generation, url, protocols }) {
    const stream = new generations[generation](url, protocols && { protocols })
    test.clients.set(client, stream)
    watch(client, stream)
    const createSocket = stream.createSocket
    stream.createSocket = () => {
      const made = createSocket.call(stream)
      watch(client, stream)
      return made
    }
  },

  subscribe({ client, subscription, stream, group, item, sortKey, events }) {
    const tell = (what, value) => print(subscription, what, value)
    const of = test.clients.get(client)
    const made = item
      ? of.subscribeItem(stream, group, item)
      : of.subscribeGroup(stream, group, sortKey ?? undefined)
    test.subscriptions.set(subscription, made)
    made.addChangeListener((state) => tell('state', state))
    for (const type of events) made.onEvent(type, (data) => tell('event', [type, data]))
  },

  unsubscribe({ subscription }) {
    test.subscriptions.get(subscription).close()
  },

  // What the client would never send by itself: `binary` sends the text as a binary message.
  say({ client, text, binary }) {
    socketOf(test.clients.get(client)).send(binary ? Buffer.from(text) : text)
  },

  close({ client }) {
    test.clients.get(client).close()
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line)
  commands[command.do](command)
}
process.exit()
