"""One who follows revocations and notes what is told, and a line to follow them over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from streams.access import Caller, Claims
from streams.auth.revocations import STREAM, Revocation
from streams.changes import Change
from streams.errors import StoreUnavailable
from streams.gateway.revoked import Revoked
from streams.jetstream.bucket import provision
from streams.jetstream.connection import Connection
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.messages import Room
from streams.store import Delta, Feed, Position
from tests.conftest import Backend
from tests.gateway.waiting import until

ANN = Revocation("ann", None, None, 200.0)
BOB = Revocation("bob", None, None, 200.0)


def caller(sub: str = "ann") -> Caller:
    return Caller(Claims({"sub": sub, "iat": 100, "exp": 5000}), None)


async def with_revocations(connection: Connection, namespace: Namespace) -> Backend:
    """NATS, with the bucket of revocations in it."""
    await provision(connection, namespace, STREAM)
    return Backend(KvStore(connection, namespace), JetStreamFeed(connection, namespace))


@dataclass
class Following:
    """Follows, and notes what is told."""

    revoked: Revoked
    told: list[Revocation]
    """What `changed` was called with, as far as it counted by then."""

    async def until_told(self, *revocations: Revocation) -> None:
        await until(lambda: len(self.told) >= len(revocations))
        assert self.told == list(revocations)


@asynccontextmanager
async def following(feed: Feed, *, verify_seconds: float = 0.02) -> AsyncIterator[Following]:
    told: list[Revocation] = []

    def changed(revocations: list[Revocation]) -> None:
        found = [each for each in revocations if revoked.voids(caller(each.sub or ""))]
        told.extend(found)

    async with Revoked.running(feed, changed, verify_seconds=verify_seconds) as revoked:
        yield Following(revoked, told)


@dataclass
class Line:
    """A feed behind a line that is cut, or loses what is said, as the test wants."""

    feed: Feed
    is_away: bool = False
    is_deaf: bool = False
    asked: int = 0
    """How often it was asked how far the bucket has come."""
    renewed: Callable[[], None] = lambda: None
    """Say that something may have been lost, as a connection does that was renewed."""
    may_read: asyncio.Event = field(default_factory=asyncio.Event)
    """Answers to reads are on their way until this is set."""
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    """A read was answered, and its answer is on its way."""

    def __post_init__(self) -> None:
        self.may_read.set()

    def listening(
        self, room: Room, deliver: Callable[[Change], None], lost: Callable[[], None]
    ) -> AbstractAsyncContextManager[None]:
        self.renewed = lost
        return self.feed.listening(room, lambda change: None if self.is_deaf else deliver(change), lost)

    async def end(self, stream: str) -> Position:
        self.asked += 1
        if self.is_away:
            raise StoreUnavailable("the line is cut")
        return await self.feed.end(stream)

    async def is_guarded(self, stream: str) -> bool:
        return await self.feed.is_guarded(stream)

    async def changes(self, room: Room, after: int, at_least: Position) -> Delta:
        delta = await self.feed.changes(room, after, at_least)
        self.reading.set()
        await self.may_read.wait()
        return delta
