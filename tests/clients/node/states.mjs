// Runs every case of states.json (standard input) on the clients' state logic, without a server:
// what the browser's WebSocket would be takes the frames from the case.

import { text } from 'node:stream/consumers'
import { generations } from './generations.mjs'

class Line {
  static OPEN = 1
  readyState = 0
  listeners = { open: [], message: [], close: [] }

  constructor() {
    Line.newest = this
  }

  addEventListener(type, listener) {
    this.listeners[type].push(listener)
  }

  dispatch(type, event) {
    for (const listener of this.listeners[type]) listener(event)
  }

  send() {}
}

globalThis.WebSocket = Line

const run = (Stream, { subscriptions, frames }) => {
  const client = new Stream('ws://nowhere')
  const line = Line.newest
  const events = {}
  const joined = Object.entries(subscriptions).map(([name, { streamName, groupId, id, sortKey }]) => {
    const subscription = id
      ? client.subscribeItem(streamName, groupId, id)
      : client.subscribeGroup(streamName, groupId, sortKey)
    events[name] = []
    for (const type of ['ping', 'error']) subscription.onEvent(type, (data) => events[name].push(data))
    return [name, subscription]
  })
  line.readyState = Line.OPEN
  line.dispatch('open', {})

  const throws = []
  frames.forEach((frame, index) => {
    try {
      line.dispatch('message', { data: typeof frame === 'string' ? frame : JSON.stringify(frame) })
    } catch {
      throws.push(index)
    }
  })
  const states = Object.fromEntries(joined.map(([name, subscription]) => [name, subscription.getState()]))
  return { states, events, throws }
}

const { cases } = JSON.parse(await text(process.stdin))
const { 'browser-0.17': new17, 'browser-0.2.2': old2 } = generations
console.log(
  JSON.stringify({
    'browser-0.17': cases.map((one) => run(new17, one)),
    'browser-0.2.2': cases.map((one) => run(old2, one)),
  }),
)
