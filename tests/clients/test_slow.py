"""Motia's clients do not run for a while, and are right when they do again, on the socket that they had."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from itertools import count

import pytest
import pytest_asyncio

from streams import Stream, bound_to
from tests.clients.driver import GENERATIONS, Client, Node
from tests.clients.harness import Harness
from tests.conftest import Backend, Gateway

todo = Stream("todo", dict)

IN_FLIGHT = 32
TWO_KB = "x" * 2000

pytestmark = pytest.mark.node


@pytest_asyncio.fixture
async def clients(jetstream: Backend, gateway: Gateway, node: Node) -> AsyncIterator[list[Client]]:
    """One of each generation, which nobody sends away."""
    clients = [node.open(generation, gateway.url) for generation in GENERATIONS]
    with bound_to(jetstream.store):
        yield clients
    assert [client.opened for client in clients] == [[""]] * len(clients)
    assert [client.closed for client in clients] == [[]] * len(clients)


@contextmanager
def stopped(harness: Harness) -> Iterator[None]:
    """During the block, the Node process does not run, and so reads nothing."""
    assert harness._process is not None
    harness._process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        harness._process.send_signal(signal.SIGCONT)


class Writer:
    """Writes, deletes and makes anew, with many operations under way."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._random = random.Random(7)

    async def set(self, item_id: str, filling: str = "") -> None:
        await todo.set("inbox", item_id, {"v": next(self._numbers), "filling": filling})

    async def write(self, writes: int, item_ids: list[str], *, deletes: float = 0.0) -> None:
        """So many writes of 2 KB to these items, a share of which are deleted before."""
        left = iter(range(writes))

        async def lane() -> None:
            for _ in left:
                item_id = self._random.choice(item_ids)
                if self._random.random() < deletes:
                    await todo.delete("inbox", item_id)
                await self.set(item_id, TWO_KB)

        await asyncio.gather(*(lane() for _ in range(IN_FLIGHT)))


async def test_a_hundred_items_that_were_written_thousands_of_times_meanwhile_are_right(
    harness: Harness, gateway: Gateway, clients: list[Client]
):
    writer = Writer()
    for number in range(90):
        await writer.set(f"item {number}")
    groups = [client.group("inbox") for client in clients]
    items = {name: [client.item("inbox", name) for client in clients] for name in ("item 3", "gone", "new")}
    for subscription in (*groups, *items["item 3"], *items["gone"]):
        await subscription.comes_to(lambda _: True)

    with stopped(harness):
        # What is written before they are behind is on its way, and shown step by step: so it is little.
        while gateway.hub.behind < len(clients):
            await writer.write(50, ["gone", "item 1", "item 2"])
        await writer.write(2000, [f"item {number}" for number in range(100)], deletes=0.2)
        await writer.set("new")
        await todo.delete("inbox", "gone")
        assert gateway.hub.behind == len(clients)

    stored = await todo.get_group("inbox")
    for group in groups:
        await group.shows(stored)
    for name, subscriptions in items.items():
        for subscription in subscriptions:
            await subscription.shows(await todo.get("inbox", name))
    assert not [event for group in groups for event in group.events]


async def test_few_items_of_many_are_right_however_often_it_happens(
    harness: Harness, gateway: Gateway, clients: list[Client]
):
    writer = Writer()
    for number in range(200):
        await writer.set(f"item {number}")
    groups = [client.group("inbox") for client in clients]
    for group in groups:
        await group.comes_to(lambda _: True)

    for turn in range(2):
        names = [f"item {turn}", f"item {turn + 1}", f"new {turn}", f"newer {turn}"]
        with stopped(harness):
            while gateway.hub.behind < len(clients):
                await writer.write(50, names, deletes=0.2)
            await writer.write(100, names, deletes=0.2)
            await todo.delete("inbox", f"item {turn + 50}")
            assert gateway.hub.behind == len(clients)

        stored = await todo.get_group("inbox")
        for group in groups:
            await group.shows(stored)
