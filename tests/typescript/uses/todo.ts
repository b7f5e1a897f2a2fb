// How a frontend of the todo app uses its types, and what the compiler does not let it do.
import { type Steps, type Streams, steps, type Todo } from './types.js'

// What our client takes, and one that is typed by itself.
type Known<S extends Record<string, { item: object; events?: Record<string, unknown> }>> = S
type Todos = Known<Streams>['todo']
declare function call<Name extends keyof Steps>(name: Name, body: Steps[Name]['body']): Promise<Steps[Name]['response']>

export const todo: Todos['item'] = {
  id: '1',
  description: 'call mum',
  created_at: '2026-01-01T00:00:00Z',
  due_date: null,
  completed_at: null,
}
export const written: Todos['input'] = { id: '1', description: 'call mum', created_at: todo.created_at }
export const due: string | null = todo.due_date
export const keyed: Record<string, unknown> = todo

// @ts-expect-error: it always comes
export const short: Todo = { id: '1', description: '', created_at: '', due_date: null }
// @ts-expect-error: it may be null
export const never: string = todo.due_date
// @ts-expect-error: a number is no text
export const wrong: Todos['input'] = { id: 1, description: '', created_at: '' }
// @ts-expect-error: there is no such field
todo.titel
// @ts-expect-error: there is no such stream
export type Other = Streams['other']

export async function use(): Promise<void> {
  const made = await call('CreateTodo', { description: 'call mum' })
  const text: string = made.new_value.description
  const before: Todo | null = made.old_value
  const all: Todo[] = await call('ListTodos', undefined)
  const changed = await call('UpdateTodo', { done: true })
  void [text, before, all, changed.changed]

  // @ts-expect-error: there is no such step
  await call('MakeTodo', {})
  // @ts-expect-error: a text is wanted
  await call('CreateTodo', { description: 1 })
  // @ts-expect-error: there is no such field
  await call('CreateTodo', { titel: 'call mum' })
  // @ts-expect-error: it takes no body
  await call('ListTodos', {})
  // @ts-expect-error: there may have been none
  made.old_value.id
}

export const method: 'PATCH' = steps.UpdateTodo.method
export const path: Steps['DeleteTodo']['path'] = steps.DeleteTodo.path
export const params: Steps['DeleteTodo']['params'] = { id: '1' }
// @ts-expect-error: it is a PATCH
export const post: 'POST' = steps.UpdateTodo.method
// @ts-expect-error: the id is wanted
export const none: Steps['DeleteTodo']['params'] = {}
