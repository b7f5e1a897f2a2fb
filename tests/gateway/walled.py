"""A gateway of two tenants on a store that nobody may touch for what it is told to forbid."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from streams.auth.rules import OwnRules
from streams.changes import Change
from streams.gateway.access import Access
from streams.gateway.hub import Hub
from streams.memory import MemoryStore
from streams.messages import Room
from streams.store import Delta, Position, Records
from tests.everybody import NothingRevoked
from tests.gateway.two_tenants import todo
from tests.tokens import VERIFIER


class Walled:
    """A feed, and a place for events, that nobody may touch for what it is told to forbid."""

    def __init__(self, memory: MemoryStore) -> None:
        self.memory = memory
        self.forbids: Callable[[str | None], bool] = lambda _: False
        """Of a group; None: what is asked of a stream as a whole."""
        self.touched: list[str] = []

    def listening(
        self, room: Room, deliver: Callable[[Change], None], lost: Callable[[], None]
    ) -> AbstractAsyncContextManager[None]:
        self._touch("listening", room.group)
        return self.memory.listening(room, deliver, lost)

    async def end(self, stream: str) -> Position:
        self._touch("end", None)
        return await self.memory.end(stream)

    async def is_guarded(self, stream: str) -> bool:
        self._touch("is_guarded", None)
        return await self.memory.is_guarded(stream)

    async def changes(self, room: Room, after: int, at_least: Position) -> Delta:
        self._touch("changes", room.group)
        return await self.memory.changes(room, after, at_least)

    async def changes_of(self, stream: str, rooms: Sequence[Room], after: int, at_least: Position) -> Records:
        for room in rooms:
            self._touch("changes_of", room.group)
        return await self.memory.changes_of(stream, rooms, after, at_least)

    async def recent(self, stream: str, after: int, at_least: Position) -> Records | None:
        self._touch("recent", None)
        return await self.memory.recent(stream, after, at_least)

    async def send(
        self, stream: str, group: str, item_id: str | None, event: bytes, *, is_awaited: bool = True
    ) -> None:
        self._touch("send", group)
        await self.memory.send(stream, group, item_id, event, is_awaited=is_awaited)

    def _touch(self, what: str, group: str | None) -> None:
        if self.forbids(group):
            self.touched.append(f"{what} {group}")
            raise AssertionError(f"{what} of {group!r} was touched")


@asynccontextmanager
async def walled_hub(walled: Walled) -> AsyncIterator[Hub]:
    async with (
        OwnRules.running([todo], None) as rules,
        Hub.running(
            walled,
            Access(VERIFIER, rules, NothingRevoked(), walled),
            walled,  # Of a store, a gateway uses `send` alone
        ) as hub,
    ):
        yield hub
