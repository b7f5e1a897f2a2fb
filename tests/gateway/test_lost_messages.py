"""A message is lost on the way, at either end of a gateway: it is noticed without a reconnect, and mended."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from streams import Stream, bound_to
from streams.changes import Change, EventSent
from streams.gateway import client_line
from streams.messages import Room
from streams.store import Feed
from tests.browser import SECONDS
from tests.conftest import Backend, gateway_on
from tests.gateway.returning import Returning

todo = Stream("todo", dict)
WRITES = 20
ITEMS = "abcde"


class LosingOne:
    """A feed whose line loses one change."""

    def __init__(self, feed: Feed, lost: int) -> None:
        self._feed, self._left = feed, lost
        self.has_lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)

    @asynccontextmanager
    async def listening(
        self, room: Room, deliver: Callable[[Change], None], lost: Callable[[], None]
    ) -> AsyncIterator[None]:
        def through(change: Change) -> None:
            if not isinstance(change, EventSent):
                self._left -= 1
                if self._left == 0:
                    self.has_lost = True
                    return
            deliver(change)

        async with self._feed.listening(room, through, lost):
            yield


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a loss stands for as long as a minute: until the next comparison, and the next ping after it."""
    monkeypatch.setattr(client_line, "PING_SECONDS", 0.1)


async def write_something(chance: random.Random) -> None:
    for number in range(WRITES):
        item_id = chance.choice(ITEMS)
        if chance.random() < 0.3:
            await todo.delete("inbox", item_id)
        else:
            await todo.set("inbox", item_id, {"n": number})


async def shows_what_is_stored(client: Returning, *, is_ordered: bool = True) -> None:
    def in_order(items: Sequence[Any]) -> list[Any]:
        return list(items) if is_ordered else sorted(items, key=lambda item: str(item["id"]))

    stored = in_order([dict(item) for item in await todo.get_group("inbox")])
    async with asyncio.timeout(2 * SECONDS):
        while in_order(client.held.items) != stored:
            await client.next()


@pytest.mark.parametrize("seed", range(20))
async def test_between_nats_and_a_gateway(jetstream: Backend, opened: AsyncExitStack, seed: int):
    chance = random.Random(seed)
    feed = LosingOne(jetstream.feed, chance.randint(1, WRITES // 2))
    gateway = await opened.enter_async_context(gateway_on(feed, look_for_losses_seconds=0.1))
    client = Returning()
    with bound_to(jetstream.store):
        await client.come(gateway.url, opened)
        await write_something(chance)
        # Of an item that was deleted and made anew unheard, a gateway knows no more than that it has changed.
        await shows_what_is_stored(client, is_ordered=False)

    assert feed.has_lost
    assert client.kinds.count("sync") == 1


@pytest.mark.parametrize("seed", range(20))
async def test_between_a_gateway_and_a_client(jetstream: Backend, opened: AsyncExitStack, seed: int):
    chance = random.Random(seed)
    gateway = await opened.enter_async_context(gateway_on(jetstream.feed))
    client = Returning()
    lost = chance.randint(1, WRITES // 2)
    with bound_to(jetstream.store):
        await client.come(gateway.url, opened)
        writing = asyncio.create_task(write_something(chance))
        while lost:
            frame = await client.tab.next()
            # Pings and heartbeats are frames too, and one of them may be the one that is lost.
            lost -= 1
            if lost:
                await client.take(frame)
        await writing
        await shows_what_is_stored(client)
