// One of Motia's clients with one group, unchanged, which its parent stops and lets go on. Standard input
// brings the states that it is to come to, one a line; when it has, one line says so and what it got.

import { createInterface } from 'node:readline'
import { WebSocket } from 'ws'
import { generations } from './generations.mjs'

globalThis.WebSocket = WebSocket

const [url, generation, streamName, groupId] = process.argv.slice(2)
const print = (what) => console.log(JSON.stringify(what))

const client = new generations[generation](url)
const socket = client.ws.ws ?? client.ws
const got = { bytes: 0, frames: 0, closed: 0 }
socket.on('message', (message) => {
  got.bytes += message.length
  got.frames += 1
})
socket.on('close', () => {
  got.closed += 1
})

const group = client.subscribeGroup(streamName, groupId)
let wanted
const look = () => {
  if (wanted === undefined || JSON.stringify(group.getState()) !== wanted) return
  wanted = undefined
  print(got)
}
group.addChangeListener(look)

for await (const line of createInterface({ input: process.stdin })) {
  wanted = JSON.stringify(JSON.parse(line))
  look()
}
process.exit()
