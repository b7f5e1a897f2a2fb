import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createCaller } from '../src/call.js'

// As `streams types` writes it.
type Todo = { id: string; description: string }
type Steps = {
  CreateTodo: { method: 'POST'; path: '/todo'; body: { description?: string }; response: Todo }
  ListTodos: { method: 'GET'; path: '/todo'; query?: { tag?: string[]; done?: boolean | null }; body: undefined; response: Todo[] }
  ChangeTodo: { method: 'PATCH'; path: '/todo/{todo_id}'; params: { todo_id: string }; body: { done: boolean }; response: unknown }
}
const steps = {
  CreateTodo: { method: 'POST', path: '/todo' },
  ListTodos: { method: 'GET', path: '/todo' },
  ChangeTodo: { method: 'PATCH', path: '/todo/{todo_id}' },
} as const

interface Asked {
  line: string
  body: string
  token: string | undefined
}

let close = () => {}
afterEach(() => close())

async function place(status: number, answer: string): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = []
  const server = createServer(async (request: IncomingMessage, response) => {
    let body = ''
    for await (const part of request) body += part
    asked.push({ line: `${request.method} ${request.url}`, body, token: request.headers.authorization })
    response.writeHead(status).end(answer)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  close = () => void server.close()
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, asked }
}

describe('a step', () => {
  it('is called by its name, with its types', async () => {
    const { url, asked } = await place(200, '{"id":"1","description":"x"}')
    const call = createCaller<Steps>({ url, steps, token: () => 'abc' })

    const todo: Todo = await call('CreateTodo', { description: 'x' })
    expect([todo, asked]).toEqual([
      { id: '1', description: 'x' },
      [{ line: 'POST /todo', body: '{"description":"x"}', token: 'Bearer abc' }],
    ])
  })

  it('takes its parameters from where they belong', async () => {
    const { url, asked } = await place(200, '')
    const call = createCaller<Steps>({ url, steps })
    await call('ChangeTodo', { done: true }, { params: { todo_id: 'a/b ü' } })
    await call('ListTodos', undefined, { query: { tag: ['a', 'b&c'], done: null } })
    await call('ListTodos')
    expect(asked.map(({ line }) => line)).toEqual([
      'PATCH /todo/a%2Fb%20%C3%BC',
      'GET /todo?tag=a&tag=b%26c',
      'GET /todo',
    ])
  })

  it.each([
    [404, '{"error":"there is no todo","code":"NOT_FOUND"}', 'there is no todo', 'NOT_FOUND'],
    [502, '<html>', 'Bad Gateway', 'HTTP_502'],
  ])('that answers %i fails with what it says', async (status, answer, sentence, code) => {
    const { url } = await place(status, answer)
    const failed = createCaller<Steps>({ url, steps })('ListTodos')
    await expect(failed).rejects.toMatchObject({ code, message: expect.stringContaining(sentence) })
  })

  it('that is called wrongly does not compile', () => {
    const call = createCaller<Steps>({ url: 'http://nowhere', steps, fetch: async () => new Response('{}') })
    void (async () => {
      // @ts-expect-error there is no such step
      await call('DeleteEverything')
      // @ts-expect-error the body is another one
      await call('CreateTodo', { description: 7 })
      // @ts-expect-error it needs a body
      await call('CreateTodo')
      // @ts-expect-error it needs a parameter
      await call('ChangeTodo', { done: true })
      // @ts-expect-error it takes no such query
      await call('ListTodos', undefined, { query: { page: 1 } })
      // @ts-expect-error the answer is a list
      const todo: Todo = await call('ListTodos')
      return todo
    })
    expect(Object.keys(steps)).toHaveLength(3)
  })
})
