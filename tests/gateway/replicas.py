"""A bucket as several servers have it, of which some are behind, and a line that holds up and loses messages.

Nothing is answered, and no answer arrives, before the test lets it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from streams.changes import Change, ItemDeleted, Stored
from streams.messages import Room
from streams.store import Delta, Epoch, Feed, Position, Record, Records

PAGE_RECORDS = 2
"""Few, so that there are many pages."""

Listener = Callable[[Change], None]


@dataclass
class Replicas(Feed):
    """`choose` says which server answers: from 0, up to a number, by what it has applied."""

    choose: Callable[[int], int]
    history: list[tuple[str, Stored]] = field(default_factory=list)
    """Every write, with its group, in the order of revisions."""
    epoch: Epoch = field(default_factory=lambda: Epoch("first", 0))
    open: list[asyncio.Future[None]] = field(default_factory=list)
    """What waits to be let on."""
    listeners: dict[str, list[tuple[str | None, Listener]]] = field(default_factory=dict)
    """By group: what each listens to, one item or all."""
    lost: list[Callable[[], None]] = field(default_factory=list)
    """What a connection calls that was renewed."""
    reads: list[Room] = field(default_factory=list)

    def newest(self, group: str, upto: int | None = None) -> dict[str, Stored]:
        """The last change of every item of a group, deletes too."""
        return {change.id: change for of, change in self.history[:upto] if of == group}

    def say(self, group: str, change: Change) -> None:
        """To everybody who listens."""
        for item_id, deliver in list(self.listeners.get(group, ())):
            if item_id in (None, change.id):
                deliver(change)

    @asynccontextmanager
    async def listening(self, room: Room, deliver: Listener, lost: Callable[[], None]) -> AsyncIterator[None]:
        heard = self.listeners.setdefault(room.group, [])
        heard.append((room.id, deliver))
        self.lost.append(lost)
        try:
            yield
        finally:
            heard.remove((room.id, deliver))
            self.lost.remove(lost)

    async def end(self, stream: str) -> Position:
        await self._line()
        end = Position(self.epoch, len(self.history))
        await self._line()
        return end

    async def is_guarded(self, stream: str) -> bool:
        return False

    async def changes(self, room: Room, after: int, at_least: Position) -> Delta:
        self.reads.append(room)
        found = await self._found([room], after, at_least)
        return Delta([change for record in found.records if (change := record.change())], found.position)

    async def changes_of(self, stream: str, rooms: Sequence[Room], after: int, at_least: Position) -> Records:
        return await self._found(rooms, after, at_least)

    async def recent(self, stream: str, after: int, at_least: Position) -> Records | None:
        await self._line()
        applied = after + self.choose(len(self.history) - after)
        records = self._records(applied, after)
        page, more = records[:PAGE_RECORDS], len(records[PAGE_RECORDS:])
        if not more and applied < at_least.revision:
            # It is asked again until another one answers that knows enough.
            records = self._records(len(self.history), after)
            page, more = records[:PAGE_RECORDS], len(records[PAGE_RECORDS:])
        upto = page[-1].revision if page else after
        await self._line()
        if not page:
            return None
        heard = [record for record in page if self.listeners.get(record.group)]
        return Records(heard, Position(self.epoch, upto), len(page), more)

    async def _found(self, rooms: Sequence[Room], after: int, at_least: Position) -> Records:
        await self._line()
        wanted = {(room.group, room.id) for room in rooms}
        applied = at_least.revision + self.choose(len(self.history) - at_least.revision)
        records = [
            record
            for record in self._records(applied, after)
            if (record.group, None) in wanted or (record.group, record.id) in wanted
        ]
        await self._line()
        return Records(records, Position(self.epoch, applied), len(records))

    def _records(self, applied: int, after: int) -> list[Record]:
        newest = {(group, change.id): change for group, change in self.history[:applied]}
        found = [
            Record(group, item_id, change.revision, partial(_itself, change))
            for (group, item_id), change in newest.items()
            if change.revision > after
        ]
        return sorted(found, key=lambda record: record.revision)

    async def _line(self) -> None:
        gate = asyncio.get_running_loop().create_future()
        self.open.append(gate)
        try:
            await gate
        finally:
            if gate in self.open:
                # Whoever asked has gone.
                self.open.remove(gate)


def is_there(change: Stored | None) -> bool:
    return change is not None and not isinstance(change, ItemDeleted)


def _itself(change: Stored) -> Stored:
    return change
