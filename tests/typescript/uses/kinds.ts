// Every kind of type as it may be used, and as it may not.
import { type Colour, type Everything, type EverythingInput, type Nested, type Steps, type Streams, steps } from './types.js'

type Known<S extends Record<string, { item: object; events?: Record<string, unknown> }>> = S
type Item<Name extends keyof Known<Streams>> = Streams[Name]['item']
type Input<Name extends keyof Streams> = Streams[Name]['input']

// Where the steps are is the same at compile time and at run time.
export const same: { readonly [Name in keyof Steps]: { method: Steps[Name]['method']; path: Steps[Name]['path'] } } = steps

declare const everything: Everything
export const input: EverythingInput = {
  id: '1',
  at: '2026-01-01T00:00:00Z',
  price: 1.5,
  key: '00000000-0000-0000-0000-000000000000',
  colour: 'red',
  point: [0, 1],
  part: { name: 'a' },
  notes: { entries: [{ id: '1' }], next: { entries: [] } },
  'content-type': 'text/html',
}
export const colour: Colour = everything.colour
export const size: 's' | 'm' | 40 = everything.size
export const price: string = everything.price
export const double: number = everything.double
export const x: number = everything.point[0]
export const label: string | null | undefined = everything.path[0]?.[1]
export const weight: number | undefined = everything.part.weight
export const reds: number | undefined = everything.by_colour.red
export const first: number | undefined = everything.by_name['a']?.[0]
export const text: string | undefined = everything.notes.next?.entries[0]?.text
export const type: string = everything['content-type']
export const nested: Nested = ['a', { b: ['c'] }]

// @ts-expect-error: there is no such colour
export const green: Colour = 'green'
// @ts-expect-error: there is no such size
export const large: typeof everything.size = 'l'
// @ts-expect-error: a decimal is a text on the wire
export const number: number = everything.price
// @ts-expect-error: there are two
everything.point[2]
// @ts-expect-error: it may not be there
export const heavy: number = everything.part.weight
// @ts-expect-error: nobody knows what it is
everything.anything.length
// @ts-expect-error: there is no such colour
everything.by_colour.green
// @ts-expect-error: the last page has no next one
everything.notes.next.entries
// @ts-expect-error: a number is no part of it
export const wrong: Nested = ['a', { b: 1 }]
// @ts-expect-error: what is computed is not written
export const computed: EverythingInput = { ...input, double: 2 }
// @ts-expect-error: it has another name on the wire
everything.content_type

// Unions that a field tells apart.
export function tricks(owner: Item<'owner'>): number {
  switch (owner.pet.kind) {
    case 'cat':
      return owner.pet.lives
    case 'dog':
      return owner.pet.tricks.length
  }
}
export const dog: Input<'owner'> = { id: '1', pet: { kind: 'dog' } }
// @ts-expect-error: it is not told which
export const which: Input<'owner'> = { id: '1', pet: { lives: 9 } }
// @ts-expect-error: a dog has no lives
export const lives = (owner: Item<'owner'>): number => owner.pet.lives

// Items that say little of themselves.
export const loose: Item<'loose-ends'> = { id: '1', text: 'a', more: 1 }
export const any: Item<'any'> = { id: '1', more: [1] }
export const shape: Item<'shape'> = { id: '1', done: true }
export const record: Item<'record'> = { id: '1' }
export const root: Item<'tree'> = { id: '1', root: { children: [{ by_name: { a: {} } }], span: [1] } }
// @ts-expect-error: every item has an id
export const anonymous: Item<'loose-ends'> = { text: 'a' }
// @ts-expect-error: every item has an id
export const nobody: Item<'any'> = { more: 1 }
// @ts-expect-error: a span has an end at most
export const span: Item<'tree'> = { id: '1', root: { span: ['a'] } }
// @ts-expect-error: it says what it is
export const shapeless: Item<'shape'> = { id: '1' }

// Steps.
export const search: Steps['Search']['query'] = { tag: 'a' }
export const asked: Steps['Search']['params'] = { room: 'lobby' }
export const counted: Steps['Count GET /rooms/{room}/count']['query'] = { last: 3 }
export const answer: Steps['Count GET /rooms/{room}/count']['response'] = 3
export const mark: Steps['Mark']['body'] = { note: { id: '1' }, tags: [] }
export const headers: Steps['Trace']['headers'] = { 'x-trace': '1' }
export const traces: Steps['Trace']['response'] = { a: 'b' }
export const nothing: Steps['Mark']['response'] = null
export const path: '/files/{name}' = steps.Download.path
// @ts-expect-error: the tag is wanted
export const untagged: Steps['Search']['query'] = { last: 3 }
// @ts-expect-error: a URL has no null
export const before: Steps['Count GET /rooms/{room}/count']['query'] = { before: null }
// @ts-expect-error: with several triggers each has a name of its own
export type Count = Steps['Count']
// @ts-expect-error: nobody knows what is answered
export const size2: number = (null as unknown as Steps['Download']['response']).length
