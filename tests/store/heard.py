"""What tests hear of a feed, and what they read from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from streams.changes import Change, EventSent, Stored
from streams.messages import Room
from streams.store import Feed, Store
from tests.browser import SECONDS

LAST = b'{"type":"last"}'


class Heard:
    """What came, in order."""

    def __init__(self, store: Store, group: str) -> None:
        self.store, self.group = store, group
        self.changes: asyncio.Queue[Change] = asyncio.Queue()

    async def next(self) -> Change:
        return await asyncio.wait_for(self.changes.get(), SECONDS)

    async def all(self) -> list[Change]:
        """Everything that was written or sent before this call: an event comes behind it."""
        await self.store.send("todo", self.group, None, LAST)
        came: list[Change] = []
        while (change := await self.next()) != EventSent(None, LAST):
            came.append(change)
        return came


@asynccontextmanager
async def listening(store: Store, feed: Feed, group: str = "inbox") -> AsyncIterator[Heard]:
    heard = Heard(store, group)
    async with feed.listening(Room("todo", group), heard.changes.put_nowait, lambda: None):
        yield heard


def rooms(groups: Iterable[str]) -> list[Room]:
    return [Room("todo", group) for group in groups]


async def read(feed: Feed, after: int = 0, group: str = "inbox") -> list[Stored]:
    return (await feed.changes(Room("todo", group), after, await feed.end("todo"))).changes
