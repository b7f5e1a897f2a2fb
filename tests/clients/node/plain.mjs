// One socket of a program that has no client library: it says what it was given to say, and ends
// when it was told enough. Everything that happens is one JSON line on standard output.

import { text } from 'node:stream/consumers'
import { WebSocket as WsPackage } from 'ws'

const { isBuiltIn, url, protocols, headers, says, frames } = JSON.parse(process.argv[2])

const print = (what, value) => console.log(JSON.stringify([what, value]))

const socket = isBuiltIn ? new WebSocket(url, protocols) : new WsPackage(url, protocols, { headers })
let left = frames
socket.addEventListener('open', () => {
  print('opened', socket.protocol)
  for (const message of says) socket.send(JSON.stringify(message))
})
socket.addEventListener('message', ({ data }) => {
  print('told', JSON.parse(data))
  left -= 1
  if (left === 0) socket.close()
})
socket.addEventListener('close', ({ code, wasClean }) => print('closed', [code, wasClean]))
// Without a word of why: the built-in socket tells nobody.
socket.addEventListener('error', () => print('failed', null))
// Instead of an error: what the package can say of an answer, and a browser cannot.
socket.on?.('unexpected-response', async (_, answer) => {
  print('refused', [answer.statusCode, JSON.parse(await text(answer))])
})
