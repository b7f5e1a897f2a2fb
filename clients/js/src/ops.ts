// Small changes of an item, shown before they are stored. It is `streams/ops.py` and `streams/updates.py` in
// another language, and the tests of both follow `tests/wire/v1/ops.json`.

/** One key, taken literally (dots mean nothing), or a way through nested objects. `''` is the item itself. */
export type Path = string | readonly string[]

/** One change. A value is what `JSON.stringify` makes of it, as that is what is sent and stored. */
export type Op =
  /** Put a value in place of whatever is there; without one, null. */
  | { type: 'set'; path?: Path; value?: unknown }
  /** Overwrite the keys of an object that `value` has, and no others. A null is stored, not removed. */
  | { type: 'merge'; path?: Path; value: object }
  /** Add a whole number, 1 unless told, or take it away. What is missing counts from 0. */
  | { type: 'increment' | 'decrement'; path?: Path; by?: number }
  /** Add one element to an array, or text to a text. */
  | { type: 'append'; path?: Path; value: unknown }
  /** Take a key out. One that is not there changes nothing. */
  | { type: 'remove'; path?: Path }

/** One of the operations can never work, or does not fit what is there. Nothing was done. */
export class OpsError extends Error {
  override readonly name = 'OpsError'
  /** Which one, from 0. */
  readonly index: number
  /** What the gateway would say of it, such as `increment.not_number`. */
  readonly code: string

  constructor(index: number, code: string, problem: string) {
    super(`operation ${index} was refused (${code}): ${problem}`)
    this.index = index
    this.code = code
  }
}

const MAX_OPS = 256
const MAX_SEGMENTS = 32
const MAX_SEGMENT_BYTES = 256
/** Levels of objects and arrays in a value. */
const MAX_VALUE_DEPTH = 64
const MAX_MERGED_KEYS = 1024
const MAX_MERGED_DEPTH = 16

/** What each operation knows beside its type and path. A map, as an object would know `toString` too. */
const FIELDS = new Map<unknown, 'value' | 'by' | null>([
  ['set', 'value'],
  ['merge', 'value'],
  ['increment', 'by'],
  ['decrement', 'by'],
  ['append', 'value'],
  ['remove', null],
])

/** Keys by which a client could be made to change what all its objects inherit. */
const PROTOTYPE_KEYS = ['__proto__', 'constructor', 'prototype']

const encoder = new TextEncoder()

type JsonObject = Readonly<Record<string, unknown>>

/** An operation that was checked. */
interface Step {
  readonly index: number
  readonly type: string
  readonly path: readonly string[]
  readonly value: unknown
  /** What to add: less than 0 for what a decrement takes away. */
  readonly by: number
}

/**
 * What `ops`, in order, make of an item. Undefined: there is none, which is not the same as null. The item is
 * left as it is, and shares with the result what did not change.
 *
 * Sums beyond 2^53 are as near as a browser's numbers come. Only the gateway knows whether they fit into
 * 64 bits.
 *
 * @throws {OpsError} One operation is refused, and with it all.
 */
export function applyOps(item: unknown, ops: readonly Op[]): unknown {
  if (ops.length > MAX_OPS) {
    throw new OpsError(MAX_OPS, 'ops.too_many', `${ops.length} are too many; ${MAX_OPS} is the limit`)
  }
  // All are checked before one is tried, as in the gateway: else another one would be named.
  return ops.map(checked).reduce((there, step) => changed(there, step, 0), item)
}

function refuse(step: Pick<Step, 'index' | 'type'>, kind: string, problem: string): never {
  throw new OpsError(step.index, `${step.type}.${kind}`, problem)
}

function checked(op: unknown, index: number): Step {
  const invalid = (problem: string) => refuse({ index, type: 'op' }, 'invalid', problem)
  const fields = (op ?? {}) as JsonObject
  const { path: given = '', value, by = 1 } = fields
  const type = fields.type as string
  const field = FIELDS.get(type)
  if (field === undefined) {
    return invalid(`there is no operation ${String(type)}; there are: ${[...FIELDS.keys()].join(', ')}`)
  }
  for (const name of Object.keys(fields)) {
    // What is undefined is not sent, and so not refused by the gateway either.
    if (!['type', 'path', field].includes(name) && fields[name] !== undefined) {
      return invalid(`${type} does not know ${name}`)
    }
  }
  if (type === 'append' && value === undefined) return invalid('append needs a value; null is one')
  const path = typeof given !== 'string' ? given : given ? [given] : []
  if (!isPath(path)) return invalid('the path is not a string or a list of strings')

  const step = { index, type, path, value: null, by: 0 }
  checkPath(step)
  if (field === 'value') return { ...step, value: checkedValue(step, value ?? null) }
  if (field === 'by') {
    // The last number below 2^63 is the last one whose digits in JSON are within 64 bits, on both sides of 0.
    if (typeof by !== 'number' || !Number.isInteger(by) || Math.abs(by) >= 2 ** 63) {
      return invalid('`by` is not a whole number of at most 64 bits')
    }
    // 0 - 0 is 0; -0 would be another number than the stored one.
    return { ...step, by: type === 'increment' ? by : 0 - by }
  }
  return step
}

function isPath(path: unknown): path is readonly string[] {
  return Array.isArray(path) && path.every((segment) => typeof segment === 'string')
}

function checkPath(step: Step): void {
  const { path } = step
  if (path.length > MAX_SEGMENTS) {
    refuse(step, 'path.too_deep', `a path of ${path.length} segments; ${MAX_SEGMENTS} is the limit`)
  }
  for (const segment of path) {
    if (!segment) refuse(step, 'path.empty_segment', 'a path has an empty segment')
    const bytes = encoder.encode(segment).length
    if (bytes > MAX_SEGMENT_BYTES) {
      refuse(step, 'path.segment_too_long', `a segment of ${bytes} bytes; ${MAX_SEGMENT_BYTES} is the limit`)
    }
    if (PROTOTYPE_KEYS.includes(segment)) refuse(step, 'path.proto_polluted', `${segment} cannot be a key`)
  }
}

/** The value as it will be stored: a copy, which stays as it is when the caller's own is changed later. */
function checkedValue(step: Step, value: unknown): unknown {
  const isMerge = step.type === 'merge'
  if (isMerge) {
    if (!isObject(value)) return refuse(step, 'value.not_an_object', 'only an object can be merged')
    const keys = Object.keys(value).length
    if (keys > MAX_MERGED_KEYS) {
      refuse(step, 'value.too_many_keys', `${keys} keys; ${MAX_MERGED_KEYS} is the limit`)
    }
  }
  const depth = checkKeys(step, value)
  if (isMerge && depth > MAX_MERGED_DEPTH) {
    refuse(step, 'value.too_deep', `${depth} levels; ${MAX_MERGED_DEPTH} is the limit`)
  }
  // A function is nothing in JSON.
  return JSON.parse(JSON.stringify(value) ?? 'null')
}

/** The levels of objects and arrays in a value, whose keys may all be there. */
function checkKeys(step: Step, value: unknown): number {
  let deepest = 0
  const waiting: [inner: unknown, level: number][] = [[value, 1]]
  for (let next; (next = waiting.pop()); ) {
    const [inner, level] = next
    if (typeof inner === 'bigint' || (typeof inner === 'number' && !Number.isFinite(inner))) {
      refuse({ ...step, type: 'op' }, 'invalid', `${inner} is no number in JSON`)
    }
    if (isObject(inner)) {
      const found = PROTOTYPE_KEYS.find((key) => Object.hasOwn(inner, key))
      if (found) refuse(step, 'value.proto_polluted', `${found} cannot be a key`)
    } else if (!Array.isArray(inner)) {
      continue
    }
    if (level > MAX_VALUE_DEPTH) refuse(step, 'value.too_deep', `more than ${MAX_VALUE_DEPTH} levels`)
    deepest = Math.max(deepest, level)
    for (const child of Object.values(inner)) waiting.push([child, level + 1])
  }
  return deepest
}

/** What becomes of what is at this depth of the path; the same where nothing does. */
function changed(there: unknown, step: Step, depth: number): unknown {
  const { type, path } = step
  const key = path[depth]
  if (key === undefined) return put(there, step)
  let parent: JsonObject
  if (isObject(there)) {
    parent = there
  } else {
    // What is missing becomes an object, and null inside the item. A merge makes one of anything in its
    // way, an append of anything inside the item.
    const isInside = depth > 0 && (there === null || type === 'append')
    if (there !== undefined && type !== 'merge' && !isInside) {
      refuse(step, 'target_not_object', `what is at ${text(path.slice(0, depth))} is not an object`)
    }
    if (type === 'remove') return there
    parent = {}
  }
  // Its own keys alone: there is a `toString` in every object.
  const inner = Object.hasOwn(parent, key) ? parent[key] : undefined
  if (type === 'remove' && depth === path.length - 1) {
    const { [key]: _, ...others } = parent
    return Object.hasOwn(parent, key) ? others : parent
  }
  const next = changed(inner, step, depth + 1)
  return next === inner ? parent : { ...parent, [key]: next }
}

/** What comes to the end of the path, where there is something, or undefined: nothing. */
function put(there: unknown, step: Step): unknown {
  const { type, path, value, by } = step
  switch (type) {
    case 'merge':
      // An item that is no object is left: there is nothing to merge into.
      if (!isObject(there) && there !== undefined && !path.length) return there
      return { ...(isObject(there) ? there : {}), ...(value as JsonObject) }
    case 'increment':
    case 'decrement': {
      const before = there === undefined ? 0 : there
      if (typeof before !== 'number' || !Number.isFinite(before + by)) {
        return refuse(step, 'not_number', `there would be no finite number at ${text(path)}`)
      }
      return before + by
    }
    case 'append':
      if (Array.isArray(there)) return [...there, value]
      if (there === undefined || there === null) {
        return typeof value === 'string' && path.length < 2 ? value : [value]
      }
      if (typeof there === 'string' && typeof value === 'string') return there + value
      return refuse(step, 'type_mismatch', `it cannot be added to what is at ${text(path)}`)
    default:
      // A `set`; or an item is removed, which has no value and leaves null.
      return value
  }
}

/** Whether it is an object in JSON: no array, and neither a Date, which becomes a text, nor a Map. */
function isObject(value: unknown): value is JsonObject {
  return Object.prototype.toString.call(value) === '[object Object]'
}

function text(path: readonly string[]): string {
  return path.join('/') || 'the item itself'
}
