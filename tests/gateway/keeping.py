"""Groups that a keeper keeps, with those who watch them, and a line to their bucket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from streams.changes import Change
from streams.errors import StoreUnavailable
from streams.gateway.follower import Follower
from streams.gateway.group import Shown
from streams.gateway.keepers import Keepers
from streams.gateway.measures import Measures
from streams.messages import Room
from streams.store import Delta, Feed, Position, Records, Store
from streams.tasks import BackgroundTasks, background_tasks
from tests.browser import SECONDS
from tests.store.writes import address, put

NEVER = 1000.0
"""Seconds until losses are looked for by themselves, where a test is not about that."""


GROUPS = [f"group {number}" for number in range(40)]


@dataclass
class CountedLine:
    """A feed behind a line that loses what is said, or is cut, as the test wants. It counts what is asked."""

    feed: Feed
    is_deaf: bool = False
    """Live changes are lost."""
    away: set[str] = field(default_factory=set)
    """Streams of which nobody can be asked."""
    ends: int = 0
    reads: list[str] = field(default_factory=list)
    """Groups that were read by themselves."""
    asked: list[str] = field(default_factory=list)
    """Groups that were asked for with others."""
    pages: int = 0
    lost: list[Callable[[], None]] = field(default_factory=list)
    """What a connection calls that was renewed."""
    before_page: Callable[[int], object] = lambda number: None
    """Called before a page is asked for, with how many there were."""
    may_arrive: asyncio.Event = field(default_factory=asyncio.Event)
    """Pages and reads that were answered are on their way until this is set."""
    answers: int = 0
    """How many were answered. Each is on its way, or has arrived."""

    def __post_init__(self) -> None:
        self.may_arrive.set()

    @asynccontextmanager
    async def listening(
        self, room: Room, deliver: Callable[[Change], None], lost: Callable[[], None]
    ) -> AsyncIterator[None]:
        def heard(change: Change) -> None:
            if not self.is_deaf:
                deliver(change)

        self.lost.append(lost)
        try:
            async with self.feed.listening(room, heard, lost):
                yield
        finally:
            self.lost.remove(lost)

    async def end(self, stream: str) -> Position:
        self.ends += 1
        self._reach(stream)
        return await self.feed.end(stream)

    async def is_guarded(self, stream: str) -> bool:
        return await self.feed.is_guarded(stream)

    async def changes(self, room: Room, after: int, at_least: Position) -> Delta:
        self.reads.append(str(room).partition("/")[2])
        self._reach(room.stream)
        delta = await self.feed.changes(room, after, at_least)
        await self._arrival()
        return delta

    async def changes_of(self, stream: str, rooms: Sequence[Room], after: int, at_least: Position) -> Records:
        self.asked += [str(room).partition("/")[2] for room in rooms]
        self._reach(stream)
        return await self.feed.changes_of(stream, rooms, after, at_least)

    async def recent(self, stream: str, after: int, at_least: Position) -> Records | None:
        self.before_page(self.pages)
        self.pages += 1
        self._reach(stream)
        records = await self.feed.recent(stream, after, at_least)
        await self._arrival()
        return records

    def renew(self) -> None:
        """As a connection that was lost, and is there again."""
        for lost in list(self.lost):
            lost()

    def _reach(self, stream: str) -> None:
        if stream in self.away:
            raise StoreUnavailable("the line is cut")

    async def _arrival(self) -> None:
        self.answers += 1
        await self.may_arrive.wait()


@dataclass(eq=False)
class Watched:
    """A group, and what one sees of it who watches it from its first read on."""

    follower: Follower
    restarts: int = 0
    failed: Exception | None = None
    revisions: dict[str, int] = field(default_factory=dict)
    """What is on the screen."""

    def begin(self) -> None:
        self.revisions = {item.id: item.revision for item in self.follower.group.items()}

    def show(self, changes: list[Shown]) -> None:
        for change in changes:
            assert (change.id in self.revisions) == (change.kind != "create")
            if change.kind == "delete":
                del self.revisions[change.id]
            else:
                assert change.revision > self.revisions.get(change.id, 0)
                self.revisions[change.id] = change.revision

    def restart(self) -> None:
        self.restarts += 1

    async def fresh(self) -> dict[str, int]:
        """What a join would show."""
        await asyncio.wait_for(self.follower.fresh(), SECONDS)
        assert self.revisions == {item.id: item.revision for item in self.follower.group.items()}
        return dict(self.revisions)


@dataclass
class Keeping:
    """A process that watches groups."""

    feed: Feed
    keepers: Keepers
    measures: Measures
    tasks: BackgroundTasks
    running: dict[Watched, asyncio.Task[None]] = field(default_factory=dict)

    def watch(self, group: str, stream: str = "todo", *, item_id: str | None = None) -> Watched:
        """Begin to watch a group, or one item of it alone, without waiting for it."""
        # They know of each other: what it shows is for the one who is made with it.
        told: list[Watched] = []
        follower = Follower(
            self.feed,
            Room(stream, group, item_id),
            shown=lambda changes: told[0].show(changes),
            event=lambda _: None,
            restarted=lambda: told[0].restart(),
            begun=lambda: told[0].begin(),
        )
        told.append(Watched(follower))
        self.running[told[0]] = self.tasks.start(self._follow(stream, told[0]), name=f"follow {group}")
        return told[0]

    async def watching(self, *groups: str) -> list[Watched]:
        """Watch them, and return when all were read."""
        watched = [self.watch(group) for group in groups]
        await asyncio.gather(*(each.fresh() for each in watched))
        return watched

    async def leave(self, watched: Watched) -> None:
        task = self.running.pop(watched)
        task.cancel()
        await asyncio.wait([task])

    @property
    def sweeps(self) -> dict[str, int]:
        return dict(self.measures.sweeps)

    async def _follow(self, stream: str, watched: Watched) -> None:
        try:
            with self.keepers.keeping(stream, watched.follower):
                await watched.follower.run()
        except Exception as error:
            watched.failed = error


@asynccontextmanager
async def keeping(feed: Feed, *, seconds: float = NEVER) -> AsyncIterator[Keeping]:
    """Groups of this feed, kept while the block lasts. Losses are looked for every so many seconds."""
    measures = Measures()
    async with background_tasks() as tasks:
        yield Keeping(feed, Keepers(feed, tasks, measures, seconds), measures, tasks)


async def put_in_all(store: Store, what: object, item_id: str = "1") -> None:
    """Write one item to each of the groups."""
    await asyncio.gather(*(put(store, what, address(item_id, group)) for group in GROUPS))


async def held(store: Store, group: str) -> dict[str, int]:
    """What the bucket holds."""
    return {item.id: item.revision for item in await store.get_group("todo", group)}
