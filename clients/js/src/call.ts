// Calls an application's HTTP steps by their names, typed in and out by what `streams types` writes.

import type { TokenProvider } from './connection.js'
import { StreamsError } from './errors.js'

/** `Steps` of the file that `streams types` writes. */
export type StepTypes = Record<
  string,
  { method: string; path: string; params?: object; query?: object; headers?: object; body: unknown; response: unknown }
>

/** `steps` of that file: where each is. */
export type StepPlaces<S extends StepTypes> = { readonly [N in keyof S]: { readonly method: string; readonly path: string } }

export interface CallerOptions<S extends StepTypes> {
  /** Where the steps are served, such as `https://api.example.com`. */
  url: string
  steps: StepPlaces<S>
  token?: string | TokenProvider | null
  fetch?: typeof globalThis.fetch
}

/** What a call has beside its body. */
export type Beside<T> = Pick<T, keyof T & ('params' | 'query' | 'headers')> & { signal?: AbortSignal }

/** The arguments of a call: its body, where there is one, and what it has beside it, where it needs that. */
export type Arguments<T extends StepTypes[string]> = {} extends Beside<T>
  ? undefined extends T['body']
    ? [body?: T['body'], beside?: Beside<T>]
    : [body: T['body'], beside?: Beside<T>]
  : [body: T['body'], beside: Beside<T>]

/** Calls a step. Rejects with a `StreamsError` whose `code` is the answer's, or else `HTTP_` and its status. */
export type Caller<S extends StepTypes> = <N extends keyof S & string>(
  name: N,
  ...request: Arguments<S[N]>
) => Promise<S[N]['response']>

interface Request {
  params?: Record<string, unknown>
  query?: Record<string, unknown>
  headers?: Record<string, unknown>
  signal?: AbortSignal
}

export function createCaller<S extends StepTypes>(options: CallerOptions<S>): Caller<S> {
  const { url, steps, token, fetch = globalThis.fetch } = options
  const call = async (name: string, body?: unknown, beside: Request = {}): Promise<unknown> => {
    const { method, path } = steps[name]!
    const { params = {}, query = {}, headers = {}, signal } = beside
    const given = typeof token === 'function' ? await token({ force: false }) : token
    const at = path.replace(/{(\w+)}/g, (_, key: string) => encodeURIComponent(String(params[key])))
    const answer = await fetch(url.replace(/\/$/, '') + at + asked(query), {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(given && { authorization: `Bearer ${given}` }),
        ...Object.fromEntries(Object.entries(headers).map(([key, value]) => [key, String(value)])),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    })
    const said = parsed(await answer.text())
    if (answer.ok) return said
    const { error, message, code } = (said ?? {}) as { error?: unknown; message?: unknown; code?: unknown }
    throw new StreamsError('REFUSED', String(error ?? message ?? answer.statusText), String(code ?? `HTTP_${answer.status}`))
  }
  return call as Caller<S>
}

function asked(query: Record<string, unknown>): string {
  const found = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) if (each != null) found.append(key, String(each))
  }
  return found.size ? `?${found}` : ''
}

/** What a text says in JSON; the text itself where it says nothing in JSON. */
function parsed(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text)
  } catch {
    return text
  }
}
