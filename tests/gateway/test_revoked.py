"""What a gateway knows of revocations, and what it does while it cannot know."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import orjson
import pytest
import pytest_asyncio

from streams.access import Caller, Claims, Subscription
from streams.auth.revocations import GROUP, STREAM, Revocation, revoke, unrevoke
from streams.changes import Change
from streams.dev.nats_server import NatsServer
from streams.errors import BucketNotUsable, StoreUnavailable
from streams.gateway import follower as follower_module
from streams.gateway import revoked as revoked_module
from streams.gateway.revoked import Revoked
from streams.jetstream.bucket import provision
from streams.jetstream.connection import Connection, connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Address, Namespace
from streams.memory import MemoryStore
from streams.store import Delta, Feed, Position, Store
from tests.browser import SECONDS
from tests.buckets import api
from tests.conftest import Backend
from tests.gateway.waiting import until
from tests.store.jetstream.proxy import line_to

INBOX = Subscription("todo", "inbox")
ANN = Revocation("ann", None, None, 200.0)
BOB = Revocation("bob", None, None, 200.0)


def caller(sub: str = "ann") -> Caller:
    return Caller(Claims({"sub": sub, "iat": 100, "exp": 5000}), None)


@pytest_asyncio.fixture
async def provisioned(connection: Connection, namespace: Namespace) -> Backend:
    await provision(connection, namespace, STREAM)
    return Backend(KvStore(connection, namespace), JetStreamFeed(connection, namespace))


@pytest.fixture(params=["memory", "jetstream"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """One with the bucket of revocations in it."""
    if request.param == "memory":
        memory = MemoryStore([STREAM])
        return Backend(memory, memory)
    found: Backend = request.getfixturevalue("provisioned")
    return found


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
        self, stream: str, group: str, deliver: Callable[[Change], None], lost: Callable[[], None]
    ) -> AbstractAsyncContextManager[None]:
        self.renewed = lost
        return self.feed.listening(
            stream, group, lambda change: None if self.is_deaf else deliver(change), lost
        )

    async def end(self, stream: str) -> Position:
        self.asked += 1
        if self.is_away:
            raise StoreUnavailable("the line is cut")
        return await self.feed.end(stream)

    async def is_guarded(self, stream: str) -> bool:
        return await self.feed.is_guarded(stream)

    async def changes(self, stream: str, group: str, after: int, at_least: Position) -> Delta:
        delta = await self.feed.changes(stream, group, after, at_least)
        self.reading.set()
        await self.may_read.wait()
        return delta


async def test_what_was_revoked_before_is_known_from_the_beginning(store: Store, feed: Feed):
    await revoke(store, ANN)

    async with following(feed) as now:
        assert now.revoked.voids(caller("ann"))
        assert now.revoked.voids(caller("ann"), INBOX)
        assert not now.revoked.voids(caller("bob"))
        assert len(now.revoked) == 1
        assert now.told == []


async def test_what_is_revoked_meanwhile_is_told_once_it_counts(store: Store, feed: Feed):
    later, sooner = Revocation("ann", None, None, 300.0), Revocation("ann", None, None, 150.0)
    async with following(feed) as now:
        await revoke(store, ANN)
        await revoke(store, later)
        await revoke(store, sooner)
        await _put(store, ANN.address.id, sooner.as_item())
        await revoke(store, BOB)

        await now.until_told(ANN, later, BOB)


async def test_what_is_taken_back_counts_no_more_and_is_not_told(store: Store, feed: Feed):
    await revoke(store, ANN)
    async with following(feed) as now:
        assert await unrevoke(store, sub="ann")

        await until(lambda: not now.revoked.voids(caller("ann")))
    assert now.told == []


async def test_what_was_lost_on_the_way_is_found_by_itself(store: Store, feed: Feed):
    line = Line(feed, is_deaf=True)
    async with following(line) as now:
        await revoke(store, ANN)
        await now.until_told(ANN)

        await unrevoke(store, sub="ann")
        await until(lambda: not now.revoked.voids(caller("ann")))


async def test_one_that_is_not_understood_is_said_and_disturbs_no_other(
    store: Store, feed: Feed, caplog: pytest.LogCaptureFixture
):
    async with following(feed) as now:
        await revoke(store, ANN)
        await _put(store, "nobody", b'{"sub":7}')
        # What it said before still counts.
        await _put(store, ANN.address.id, b'{"sub":7}')
        await revoke(store, BOB)
        await now.until_told(ANN, BOB)

        assert now.revoked.voids(caller("ann"))
    async with following(feed) as now:
        assert not now.revoked.voids(caller("ann"))
        assert now.revoked.voids(caller("bob"))
    assert len([each for each in caplog.records if each.levelno == logging.ERROR]) == 4


async def test_one_of_another_program_counts_as_it_says_with_a_word_in_the_log(
    store: Store, feed: Feed, caplog: pytest.LogCaptureFixture
):
    async with following(feed) as now:
        await _put(store, "mine", orjson.dumps({"sub": "ann"}))
        await until(lambda: now.revoked.voids(caller("ann")))

    assert "only gateways apply it item=revoked/all/mine" in caplog.text


async def test_a_gateway_without_the_bucket_does_not_begin(jetstream: Backend):
    for feed in (MemoryStore([]), jetstream.feed):
        with pytest.raises(
            BucketNotUsable, match=r"no bucket in this namespace yet; run `streams provision`$"
        ):
            async with following(feed):
                pass


async def test_a_gateway_begins_when_nats_has_told_it_what_is_revoked(store: Store, feed: Feed):
    await revoke(store, ANN)
    line = Line(feed, is_away=True)
    beginning = asyncio.create_task(_voids_ann_at_first(line))
    await until(lambda: line.asked > 2)
    assert not beginning.done()

    line.is_away = False

    assert await asyncio.wait_for(beginning, SECONDS)


async def test_a_join_asks_nobody_while_what_is_known_is_new(store: Store, feed: Feed):
    line = Line(feed)
    async with following(line, verify_seconds=60) as now:
        asked = line.asked
        for _ in range(10):
            await now.revoked.current()
        assert line.asked == asked


async def test_after_a_renewed_connection_joins_wait_for_the_leader_once_and_together(
    store: Store, feed: Feed
):
    line = Line(feed, is_deaf=True)
    async with following(line, verify_seconds=60) as now:
        await revoke(store, ANN)
        line.is_away = True
        line.renewed()
        joins = asyncio.gather(*(now.revoked.current() for _ in range(50)))
        asked = line.asked
        await until(lambda: line.asked > asked)
        assert not joins.done()

        line.is_away = False
        failed = line.asked
        await asyncio.wait_for(joins, SECONDS)

        assert now.revoked.voids(caller("ann"))
        # Those who come while one question is under way share the next one.
        assert line.asked <= failed + 2


async def test_an_answer_to_a_question_from_before_the_renewal_does_not_count(store: Store, feed: Feed):
    line = Line(feed, is_deaf=True)
    async with following(line) as now:
        line.may_read.clear()
        line.reading.clear()
        await revoke(store, ANN)
        await asyncio.wait_for(line.reading.wait(), SECONDS)
        await revoke(store, BOB)

        line.renewed()
        line.is_away = True
        line.may_read.set()
        await now.until_told(ANN)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(now.revoked.current(), 0.05)

        line.is_away = False
        await asyncio.wait_for(now.revoked.current(), SECONDS)
        assert now.revoked.voids(caller("bob"))


@pytest.mark.parametrize("ticks", range(5))
async def test_a_gateway_that_ends_as_it_looks_for_what_it_missed_ends(feed: Feed, ticks: int):
    line = Line(feed)
    async with asyncio.timeout(SECONDS):
        async with following(line):
            line.renewed()
            for _ in range(ticks):
                await asyncio.sleep(0)


async def test_what_is_too_old_for_a_join_is_asked_for(
    store: Store, feed: Feed, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(follower_module, "SETTLE_SECONDS", 60.0)
    monkeypatch.setattr(revoked_module, "VERIFIED_SECONDS", 0.05)
    async with following(Line(feed, is_deaf=True), verify_seconds=60) as now:
        await until(lambda: now.revoked.age_seconds > 0.05)
        await revoke(store, ANN)
        assert not now.revoked.voids(caller("ann"))

        await now.revoked.current()

        assert now.revoked.voids(caller("ann"))


async def test_without_nats_for_long_what_is_known_is_stale_until_it_is_back(
    store: Store, feed: Feed, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(revoked_module, "TRUSTED_SECONDS", 0.2)
    line = Line(feed)
    async with following(line) as now:
        await revoke(store, ANN)
        await now.until_told(ANN)
        assert not now.revoked.is_stale

        line.is_away = True
        await until(lambda: now.revoked.is_stale)
        assert now.revoked.voids(caller("ann"))

        line.is_away = False
        await until(lambda: not now.revoked.is_stale)


async def test_a_bucket_made_anew_counts_only_when_it_was_read(
    provisioned: Backend, connection: Connection, namespace: Namespace
):
    await revoke(provisioned.store, ANN)
    line = Line(provisioned.feed)
    async with following(line) as now:
        line.may_read.clear()
        line.reading.clear()
        await _delete_bucket(connection, namespace)
        await provision(connection, namespace, STREAM)
        await revoke(provisioned.store, BOB)
        await asyncio.wait_for(line.reading.wait(), SECONDS)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(now.revoked.current(), 0.05)
        assert now.revoked.voids(caller("ann"))

        line.may_read.set()
        await asyncio.wait_for(now.revoked.current(), SECONDS)

        assert now.told == [BOB]
        assert not now.revoked.voids(caller("ann"))


async def test_while_the_bucket_is_gone_all_that_was_revoked_stays_so(
    provisioned: Backend,
    connection: Connection,
    namespace: Namespace,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(revoked_module, "TRUSTED_SECONDS", 0.2)
    monkeypatch.setattr(revoked_module, "RETRY_SECONDS", 0.02)
    await revoke(provisioned.store, ANN)
    async with following(provisioned.feed) as now:
        await _delete_bucket(connection, namespace)

        await until(lambda: now.revoked.is_stale)
        assert now.revoked.voids(caller("ann"))

        await provision(connection, namespace, STREAM)
        await until(lambda: not now.revoked.is_stale)
        assert not now.revoked.voids(caller("ann"))


async def test_a_gateway_that_was_cut_from_nats_lets_no_join_through_with_what_it_missed(
    provisioned: Backend, nats: NatsServer, namespace: Namespace
):
    async with line_to(nats.url) as cable, connected_to(cable.url) as gateway:
        line = Line(JetStreamFeed(gateway, namespace))
        async with following(line, verify_seconds=60) as now:
            renewed = asyncio.Event()
            gateways_own = line.renewed
            _listener(gateway).lost = lambda: (gateways_own(), renewed.set())
            cable.swallows_requests = cable.swallows_answers = True
            await revoke(provisioned.store, ANN)

            cable.cut()
            await asyncio.wait_for(renewed.wait(), SECONDS)
            await now.revoked.current()

            assert now.revoked.voids(caller("ann"))


async def test_revocations_outlive_a_server_that_is_killed(own_nats: NatsServer, namespace: Namespace):
    async with connected_to(own_nats.url) as operator, connected_to(own_nats.url) as gateway:
        await provision(operator, namespace, STREAM)
        store = KvStore(operator, namespace)
        await revoke(store, ANN)
        async with following(JetStreamFeed(gateway, namespace)) as now:
            own_nats.kill()
            await own_nats.restart()
            await revoke(store, BOB)

            await now.until_told(BOB)
            assert now.revoked.voids(caller("ann"))


async def _voids_ann_at_first(feed: Feed) -> bool:
    async with following(feed) as now:
        return now.revoked.voids(caller("ann"))


def _listener(connection: Connection):
    (listener,) = connection._listeners
    return listener


async def _put(store: Store, item_id: str, value: bytes) -> None:
    await store.write(Address(STREAM, GROUP, item_id), lambda _: value)


async def _delete_bucket(connection: Connection, namespace: Namespace) -> None:
    await api(connection, f"STREAM.DELETE.{namespace.bucket_stream(STREAM)}")
