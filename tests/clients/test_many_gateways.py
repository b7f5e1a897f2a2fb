"""Motia's clients move at random between gateways while everybody writes, and end on what is stored."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from streams import Stream, bound_to
from streams.dev.nats_server import NatsServer
from streams.jetstream.connection import connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.store import Store
from tests.clients.driver import GENERATIONS, Client, Node, Subscription
from tests.clients.front import Front, front_of
from tests.conftest import Backend, Gateway, gateway_on
from tests.store.jetstream.proxy import Line, line_to

GROUPS = ("one", "two / *")
IDS = ("a", "b", "c", "g:item:a", "é")
WRITERS = 4
OPERATIONS = 500
"""Of each writer."""

todo = Stream("todo", dict)

pytestmark = pytest.mark.node


@dataclass
class Written:
    """What several writers have done, each on a connection of its own."""

    revisions: dict[str, int] = field(default_factory=dict)
    """Of everything that was written, by the mark in it."""

    async def write(self, store: Store, writer: int, chance: random.Random) -> None:
        with bound_to(store):
            for number in range(OPERATIONS):
                await self._one(f"{writer}.{number}", chance)

    async def _one(self, mark: str, chance: random.Random) -> None:
        group, item = chance.choice(GROUPS), chance.choice(IDS)
        match chance.choices(("set", "update", "delete", "send"), (5, 3, 2, 2))[0]:
            case "set":
                result = await todo.set(group, item, {"mark": mark})
                self.revisions[mark] = result.revision
            case "update":
                updated = await todo.update(group, item, lambda old: old and {**old, "mark": mark})
                if updated.revision is not None:
                    self.revisions[mark] = updated.revision
            case "delete":
                await todo.delete(group, item)
            case "send":
                await todo.send({"groupId": group, "id": item}, {"type": "ping", "data": mark})


@dataclass
class Watching:
    """One client with both groups and every item of them."""

    client: Client
    groups: dict[str, Subscription] = field(init=False)
    items: dict[tuple[str, str], Subscription] = field(init=False)

    def __post_init__(self) -> None:
        self.groups = {group: self.client.group(group) for group in GROUPS}
        self.items = {(group, item): self.client.item(group, item) for group in GROUPS for item in IDS}

    async def ends_on(self, stored: dict[str, list[dict[str, Any]]]) -> None:
        """Wait until everything shows what is stored, whatever the order."""
        for name, group in self.groups.items():
            await group.comes_to(lambda state, name=name: by_id(state) == by_id(stored[name]))
        for (name, item_id), item in self.items.items():
            await item.shows(by_id(stored[name]).get(item_id))

    def histories(self) -> Iterator[list[str]]:
        """The marks of every item in the order in which they were shown, as each subscription saw them."""
        for item in self.items.values():
            yield [state["mark"] for state in item.states if state]
        for group in self.groups.values():
            for item_id in IDS:
                held = (by_id(state).get(item_id) for state in group.states)
                yield [item["mark"] for item in held if item]


def by_id(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in items}


@asynccontextmanager
async def cutting(front: Front, to_nats: list[Line], chance: random.Random) -> AsyncIterator[None]:
    """Lines of clients, and now and then one of a gateway to NATS, are cut for the length of the block."""

    async def cut() -> None:
        while True:
            await asyncio.sleep(chance.uniform(0.005, 0.05))
            front.cut_one()
            if chance.random() < 0.05:
                chance.choice(to_nats).cut()

    task = asyncio.create_task(cut())
    yield
    task.cancel()


@pytest.fixture
async def to_nats(opened: AsyncExitStack, nats: NatsServer) -> list[Line]:
    """The line of each gateway to NATS."""
    return [await opened.enter_async_context(line_to(nats.url)) for _ in range(2)]


@pytest.fixture
async def gateways(opened: AsyncExitStack, to_nats: list[Line], namespace: Namespace) -> list[Gateway]:
    """Two, that share nothing but the server."""
    connections = [await opened.enter_async_context(connected_to(line.url)) for line in to_nats]
    return [
        await opened.enter_async_context(gateway_on(JetStreamFeed(connection, namespace)))
        for connection in connections
    ]


@pytest.fixture
async def stores(opened: AsyncExitStack, nats: NatsServer, namespace: Namespace) -> list[Store]:
    """One for each writer, each on a connection of its own."""
    connections = [await opened.enter_async_context(connected_to(nats.url)) for _ in range(WRITERS)]
    return [KvStore(connection, namespace) for connection in connections]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_clients_that_move_between_gateways_amid_writes_end_on_what_is_stored(
    jetstream: Backend,
    stores: list[Store],
    to_nats: list[Line],
    gateways: list[Gateway],
    node: Node,
    opened: AsyncExitStack,
    seed: int,
):
    chance = random.Random(seed)
    front = await opened.enter_async_context(front_of(*[gateway.url for gateway in gateways], chance=chance))
    watchers = [Watching(node.open(generation, front.url)) for generation in GENERATIONS * 2]
    for watching in watchers:
        await watching.client.is_open()

    written = Written()
    async with cutting(front, to_nats, chance), asyncio.TaskGroup() as writing:
        for number, store in enumerate(stores):
            writing.create_task(written.write(store, number, random.Random(f"{seed}.{number}")))

    with bound_to(jetstream.store):
        stored = {group: await todo.get_group(group) for group in GROUPS}
    for watching in watchers:
        await watching.ends_on(stored)
        for history in watching.histories():
            revisions = [written.revisions[mark] for mark in history]
            assert revisions == sorted(revisions), "an item went back to what it was before"
    assert all(len(gateway.hub.audiences) == len(GROUPS) for gateway in gateways), "one was never visited"
    assert sum(len(watching.client.opened) for watching in watchers) > 3 * len(watchers)
