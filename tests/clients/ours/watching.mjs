// Watches a group in every way that our client has, and tells on stdout what it holds when it is asked.
// Called with the folder of our package, the bundle of it, and the address of a gateway.

import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const [, , folder, bundle, url] = process.argv
const { WebSocket } = createRequire(`${folder}/`)('ws')
const { createClient } = await import(bundle)

const errors = []
const client = createClient({ url, WebSocket, retryMs: [5, 50], onError: (error) => errors.push(String(error)) })
const group = client.group('todo', 'inbox')
const item = client.item('todo', 'inbox', 'a')

// What somebody has who hears of changes alone, from the first state on.
const told = new Map()
const faults = []
let isTold = false
group.changes(({ type, id, item, previous, rev }) => {
  if (!isTold) start()
  if (type === 'create' ? told.has(id) : JSON.stringify(told.get(id)) !== JSON.stringify(previous)) {
    faults.push(`${type} of ${id} at ${rev}, which is ${JSON.stringify(told.get(id))}`)
  }
  if (item) told.set(id, item)
  else told.delete(id)
})
group.subscribe(() => {
  if (!isTold && group.status === 'live') start()
})
item.subscribe(() => {})

function start() {
  isTold = true
  for (const each of group.get().items) told.set(each.id, each)
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'state') {
    const { items, status } = group.get()
    const byId = Object.fromEntries(told)
    console.log(JSON.stringify({ items, status, item: item.get().item, told: byId, faults, errors }))
  }
}
client.close()
