"""What a gateway knows of revocations, and what it does while it cannot know."""

from __future__ import annotations

import asyncio
import logging

import orjson
import pytest
import pytest_asyncio

from streams.access import Subscription
from streams.auth.revocations import GROUP, STREAM, Revocation, revoke, unrevoke
from streams.errors import BucketNotUsable
from streams.gateway import follower as follower_module
from streams.gateway import revoked as revoked_module
from streams.jetstream.connection import Connection
from streams.keys import Address, Namespace
from streams.memory import MemoryStore
from streams.store import Feed, Store
from tests.browser import SECONDS
from tests.conftest import Backend
from tests.gateway.following import ANN, BOB, Line, caller, following, with_revocations
from tests.gateway.waiting import until

INBOX = Subscription("todo", "inbox")


@pytest_asyncio.fixture
async def provisioned(connection: Connection, namespace: Namespace) -> Backend:
    return await with_revocations(connection, namespace)


@pytest.fixture(params=["memory", "jetstream"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """One with the bucket of revocations in it."""
    if request.param == "memory":
        memory = MemoryStore([STREAM])
        return Backend(memory, memory)
    found: Backend = request.getfixturevalue("provisioned")
    return found


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


async def _voids_ann_at_first(feed: Feed) -> bool:
    async with following(feed) as now:
        return now.revoked.voids(caller("ann"))


async def _put(store: Store, item_id: str, value: bytes) -> None:
    await store.write(Address(STREAM, GROUP, item_id), lambda _: value)
