// Every published generation of Motia's stream clients, by the name that the tests give it.

import { register } from 'node:module'

register('./bundler.mjs', import.meta.url)

const node17 = await import('motia-node-0.17')
const browser17 = await import('motia-browser-0.17')
const browser2 = await import('motia-browser-0.2')

export const generations = {
  'node-0.17': node17.Stream,
  'browser-0.17': browser17.Stream,
  'browser-0.2.2': browser2.Stream,
}
