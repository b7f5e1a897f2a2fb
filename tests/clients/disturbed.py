"""A feed that is slow, fails, or says things twice, in front of the real one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from streams.changes import Change
from streams.messages import Room
from streams.store import Delta, Feed, Position


class Disturbed:
    """The feed `feed`, whose reads wait or fail as the test says, and whose changes can be said again."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self.reading, self.may_read = asyncio.Event(), asyncio.Event()
        """A read has begun; reads may go on."""
        self.failures: list[Exception] = []
        """What the next reads raise, last first."""
        self.heard: list[Change] = []
        self.deliver: Callable[[Change], None]
        """Say something to whoever listens."""
        self.may_read.set()

    def listening(
        self, room: Room, deliver: Callable[[Change], None], lost: Callable[[], None]
    ) -> AbstractAsyncContextManager[None]:
        def hear(change: Change) -> None:
            self.heard.append(change)
            deliver(change)

        self.deliver = deliver
        return self._feed.listening(room, hear, lost)

    async def end(self, stream: str) -> Position:
        return await self._feed.end(stream)

    async def is_guarded(self, stream: str) -> bool:
        return await self._feed.is_guarded(stream)

    async def changes(self, room: Room, after: int, at_least: Position) -> Delta:
        delta = await self._feed.changes(room, after, at_least)
        self.reading.set()
        await self.may_read.wait()
        if self.failures:
            raise self.failures.pop()
        return delta
