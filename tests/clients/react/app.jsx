// A todo list as somebody wrote it who has used Motia so far. Which generation of
// the client it gets, the bundler decides: both are imported by the same name.
import {
  MotiaStreamProvider,
  useStreamEventHandler,
  useStreamGroup,
  useStreamItem,
} from '@motiadev/stream-client-react'
import { StrictMode, useEffect, useState } from 'react'
import { createRoot } from 'react-dom/client'
import './app.css'

const query = new URLSearchParams(location.search)
const api = query.get('api')
const streamName = query.get('stream') ?? 'todo'
const sortKey = query.get('sort') ?? undefined
const groups = query.get('groups')?.split(',') ?? ['inbox', 'work']
// Made once: another array at a render would be another socket. The 0.2 provider takes none.
const protocols = query.has('token') ? ['Authorization', query.get('token')] : undefined

async function ask(method, path, body) {
  const answer = await fetch(api + path, {
    method,
    headers: { 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  })
  if (!answer.ok) throw new Error((await answer.json()).error)
}

function App() {
  const [groupId, setGroupId] = useState(groups[0])
  const [opened, setOpened] = useState(query.get('opened') ?? undefined)
  const [problem, setProblem] = useState('')
  return (
    <main>
      <header>
        <h1>Todos</h1>
        <small>{query.get('title')}</small>
        <nav>
          {groups.map((id) => (
            <button key={id} aria-pressed={id === groupId} onClick={() => setGroupId(id)}>
              {id}
            </button>
          ))}
        </nav>
      </header>
      <NewTodo onProblem={setProblem} />
      <p role="alert">{problem}</p>
      <Group groupId={groupId} onOpen={setOpened} onProblem={setProblem} />
      {opened && <Opened key={opened} groupId={groupId} id={opened} />}
    </main>
  )
}

function NewTodo({ onProblem }) {
  const [description, setDescription] = useState('')
  const add = (submitted) => {
    submitted.preventDefault()
    ask('POST', '/todo', { description }).then(
      () => (setDescription(''), onProblem('')),
      (error) => onProblem(error.message),
    )
  }
  return (
    <form onSubmit={add}>
      <input
        aria-label="What is to be done"
        placeholder="What is to be done?"
        value={description}
        onChange={(typed) => setDescription(typed.target.value)}
      />
      <button>Add</button>
    </form>
  )
}

function Group({ groupId, onOpen, onProblem }) {
  const { data: todos, event } = useStreamGroup({ streamName, groupId, sortKey })
  const [isHearing, setIsHearing] = useState(false)
  const [said, setSaid] = useState([])
  useStreamEventHandler({ event, type: 'nudge', listener: (nudge) => setSaid((all) => [...all, nudge.text]) }, [])
  useStreamEventHandler({ event, type: 'error', listener: (error) => setSaid((all) => [...all, error.message]) }, [])
  // Below the handlers: when it says so, they are there.
  useEffect(() => setIsHearing(event !== null), [event])
  const tell = (error) => onProblem(error.message)
  return (
    <section aria-label={groupId}>
      <p role="status">{isHearing ? 'Listening' : 'Not listening yet'}</p>
      <ul>
        {todos.map(({ id, description, completed_at }) => (
          <li key={id}>
            <input
              type="checkbox"
              aria-label={`Done: ${description}`}
              checked={completed_at !== null}
              onChange={() => ask('PATCH', `/todo/${id}`, { done: completed_at === null }).catch(tell)}
            />
            <span className="description" onClick={() => onOpen(id)}>
              {description}
            </span>
            <button aria-label={`Delete: ${description}`} onClick={() => ask('DELETE', `/todo/${id}`).catch(tell)}>
              ×
            </button>
          </li>
        ))}
      </ul>
      <ol role="log" aria-label="Said to the group">
        {said.map((text, index) => (
          <li key={index}>{text}</li>
        ))}
      </ol>
    </section>
  )
}

function Opened({ groupId, id }) {
  const { data: todo, event } = useStreamItem({ streamName, groupId, id })
  const [said, setSaid] = useState([])
  useStreamEventHandler({ event, type: 'nudge', listener: (nudge) => setSaid((all) => [...all, nudge.text]) }, [])
  useStreamEventHandler({ event, type: 'error', listener: (error) => setSaid((all) => [...all, error.message]) }, [])
  return (
    <aside aria-label="Opened">
      <p>{todo ? todo.description : todo === null ? 'There is no such todo' : 'Not here yet'}</p>
      {todo && <small>{todo.completed_at ? 'done' : 'to do'}</small>}
      <ol role="log" aria-label="Said to the todo">
        {said.map((text, index) => (
          <li key={index}>{text}</li>
        ))}
      </ol>
    </aside>
  )
}

// As Vite's template has it: nothing in a production build, every effect twice in a development build.
createRoot(document.querySelector('#root')).render(
  <StrictMode>
    <MotiaStreamProvider address={query.get('ws')} protocols={protocols}>
      <App />
    </MotiaStreamProvider>
  </StrictMode>,
)
