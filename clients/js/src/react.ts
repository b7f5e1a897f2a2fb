// Hooks for React, and those of Motia's frontends under their names: a page of theirs changes one import.

import { createContext, createElement, type ReactNode, useCallback, useContext, useEffect, useRef, useSyncExternalStore } from 'react'
import { type Client, createClient, type ItemOf, type StreamTypes } from './client.js'
import type { ConnectionStatus } from './connection.js'
import type { Group, GroupState } from './group.js'
import type { ItemState, SingleItem } from './item.js'
import type { EventListener, RoomStore } from './store.js'
import type { Item } from './wire.js'

const Context = createContext<Client<any> | null>(null)

/** Everything inside uses this client. Make it once, outside of components. */
export function StreamsProvider(props: { client: Client<any>; children?: ReactNode }): ReactNode {
  return createElement(Context.Provider, { value: props.client }, props.children)
}

export function useClient<S extends StreamTypes = StreamTypes>(): Client<S> {
  const client = useContext(Context)
  if (!client) throw new Error('there is no client here; put <StreamsProvider client={client}> around')
  return client
}

const never = () => () => {}
const NO_GROUP: GroupState<never> = { items: [], status: 'loading', error: undefined, more: undefined, pending: 0 }
const NO_ITEM: ItemState<never> = { item: undefined, rev: 0, status: 'loading', error: undefined }

function useStore<T>(store: RoomStore<T> | null, nothing: T): T {
  // On a server nothing is watched: what is shown there is what the first moment in a browser shows.
  return useSyncExternalStore(store?.subscribe ?? never, store?.get ?? (() => nothing), () => nothing)
}

/** All items of a group, or its newest ones. `null` for the group: nothing yet. */
export function useGroup<S extends StreamTypes, N extends keyof S & string>(
  stream: N,
  group: string | null | undefined,
  options?: { last?: number },
): GroupState<ItemOf<S, N>> & { group: Group<ItemOf<S, N>> | null } {
  const client = useClient<S>()
  const store = group == null ? null : client.group(stream, group, options)
  return { ...useStore<GroupState<ItemOf<S, N>>>(store, NO_GROUP), group: store }
}

/** One item. `null` for the group or the id: nothing yet. */
export function useItem<S extends StreamTypes, N extends keyof S & string>(
  stream: N,
  group: string | null | undefined,
  id: string | null | undefined,
): ItemState<ItemOf<S, N>> & { store: SingleItem<ItemOf<S, N>> | null } {
  const client = useClient<S>()
  const store = group == null || id == null ? null : client.item(stream, group, id)
  return { ...useStore<ItemState<ItemOf<S, N>>>(store, NO_ITEM), store }
}

/** Call the newest listener with events of a type, to a group or an item. */
export function useStreamEvent(room: RoomStore<any> | null | undefined, type: string, listener: EventListener): void {
  const newest = useRef(listener)
  useEffect(() => {
    newest.current = listener
  })
  useEffect(() => room?.on(type, (data, about) => newest.current(data, about)), [room, type])
}

/** How the line is. */
export function useStatus(): ConnectionStatus {
  const client = useClient()
  const subscribe = useCallback((changed: () => void) => client.onStatus(changed), [client])
  return useSyncExternalStore(subscribe, () => client.status, () => 'idle')
}

/** The hooks, which know the streams of an application: `createHooks<Streams>()`. */
export function createHooks<S extends StreamTypes>(): {
  useClient: () => Client<S>
  useGroup: <N extends keyof S & string>(
    stream: N,
    group: string | null | undefined,
    options?: { last?: number },
  ) => GroupState<ItemOf<S, N>> & { group: Group<ItemOf<S, N>> | null }
  useItem: <N extends keyof S & string>(
    stream: N,
    group: string | null | undefined,
    id: string | null | undefined,
  ) => ItemState<ItemOf<S, N>> & { store: SingleItem<ItemOf<S, N>> | null }
} {
  return { useClient, useGroup, useItem } as never
}

// What Motia's frontends know.

interface MotiaProps {
  address: string
  authToken?: string
  protocols?: string | string[]
  children?: ReactNode
}

/** One line for everything inside, for as long as address and token stay the same. */
export function MotiaStreamProvider({ address, authToken, protocols, children }: MotiaProps): ReactNode {
  const [, given] = typeof protocols === 'string' ? [] : (protocols ?? [])
  const token = authToken ?? given ?? null
  // Not made anew by a new array that says the same.
  const made = useRef<{ key: string; client: Client } | null>(null)
  const key = `${address} ${token}`
  if (made.current?.key !== key) made.current = { key, client: createClient({ url: address, token }) }
  const { client } = made.current
  // Later than the components inside leave their rooms; and not where an effect is only run twice.
  const users = useRef(0)
  useEffect(() => {
    users.current++
    return () => {
      users.current--
      setTimeout(() => (users.current === 0 || made.current?.client !== client) && client.close())
    }
  }, [client])
  return createElement(StreamsProvider, { client }, children)
}

export function useStreamGroup<T extends Item>(args: {
  streamName: string
  groupId: string
  sortKey?: keyof T
  setData?: (data: T[]) => void
}): { data: T[]; event: Group<T> | null } {
  const { items, group } = useGroup(args.streamName, args.groupId)
  const { sortKey, setData } = args
  const sorted = useRef<{ of: unknown; by: unknown; data: T[] } | null>(null)
  if (sorted.current?.of !== items || sorted.current.by !== sortKey) {
    const data = [...items] as unknown as T[]
    if (sortKey) data.sort((a, b) => (a[sortKey] < b[sortKey] ? -1 : a[sortKey] > b[sortKey] ? 1 : 0))
    sorted.current = { of: items, by: sortKey, data }
  }
  const { data } = sorted.current
  const newest = useRef(setData)
  useEffect(() => {
    newest.current = setData
  })
  useEffect(() => newest.current?.(data), [data])
  return { data, event: group as unknown as Group<T> | null }
}

export function useStreamItem<T extends Item>(args: {
  streamName: string
  groupId: string
  id?: string | null
}): { data: T | null | undefined; event: SingleItem<T> | null } {
  const { item, store } = useItem(args.streamName, args.groupId, args.id)
  return { data: item as unknown as T | null | undefined, event: store as unknown as SingleItem<T> | null }
}

/** The dependencies are not needed: it is always the newest listener that is called. */
export function useStreamEventHandler(
  args: { event: RoomStore<any> | null | undefined; type: string; listener: (data: any) => void },
  _dependencies?: unknown[],
): void {
  useStreamEvent(args.event, args.type, args.listener)
}
