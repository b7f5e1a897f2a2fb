"""Revocations in a store: kept, listed and taken back, and asked for there."""

from __future__ import annotations

import logging
from itertools import product

import pytest
import pytest_asyncio

from streams.access import ANONYMOUS, Subscription
from streams.auth.revocations import GROUP, STREAM, is_revoked, revocations, revoke, unrevoke
from streams.errors import UnknownStream
from streams.jetstream.bucket import provision
from streams.jetstream.connection import Connection
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Address, Namespace
from streams.memory import MemoryStore
from streams.store import Store
from tests.auth.revocations_made import INBOX, caller, revoked, table
from tests.conftest import Backend


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


async def test_what_is_revoked_is_listed_until_it_is_taken_back(store: Store):
    ann, room = revoked("ann"), revoked(None, "chat", "room 1/a", before=300.5)
    await revoke(store, ann)
    await revoke(store, room)
    assert await revocations(store) == [ann, room]

    assert await unrevoke(store, sub="ann")
    assert not await unrevoke(store, sub="ann")

    assert await revocations(store) == [room]


async def test_the_later_of_two_revocations_stays(store: Store):
    first, later = revoked("ann", before=200), revoked("ann", before=300)

    assert await revoke(store, first) == first
    assert await revoke(store, later) == later
    assert await revoke(store, first) == later

    assert await revocations(store) == [later]


async def test_one_that_is_not_understood_is_written_over(store: Store, caplog: pytest.LogCaptureFixture):
    ann = revoked("ann", before=5.0)
    await _put(store, ann.address.id, b'{"sub":7}')
    assert await revocations(store) == []
    assert [record.levelno for record in caplog.records] == [logging.ERROR]

    await revoke(store, ann)

    assert await revocations(store) == [ann]


async def test_the_store_says_what_a_table_of_everything_says(store: Store):
    held = [
        revoked("ann", before=110),
        revoked("bob", "todo", before=120),
        revoked("ann", "chat", "room", before=130),
        revoked(None, "chat", "room", before=105),
        revoked(stream="news", before=140),
    ]
    for revocation in held:
        await revoke(store, revocation)
    callers = [
        ANONYMOUS,
        *(caller(sub, made=made) for sub in ("ann", "bob", "eve") for made in range(99, 145, 5)),
    ]
    asked = [
        None,
        INBOX,
        *(Subscription(stream, group) for stream in ("chat", "news") for group in ("room", "x")),
    ]

    for leeway in (0.0, 3.0):
        known = table(*held, leeway=leeway)
        for who, where in product(callers, asked):
            assert await is_revoked(store, who, where, leeway_seconds=leeway) == known.voids(who, where), (
                who,
                where,
            )


async def test_an_item_that_is_not_understood_counts_by_its_key_until_it_was_written(store: Store):
    await _put(store, revoked("ann").address.id, b'{"sub":7}')

    assert await is_revoked(store, caller(made=100), None, leeway_seconds=0)
    assert not await is_revoked(store, caller(made=4e9), None, leeway_seconds=0)
    assert not await is_revoked(store, caller("bob"), None, leeway_seconds=0)


async def test_a_user_that_no_item_can_name_is_not_revoked(store: Store):
    strange = caller("\ud800")

    assert not await is_revoked(store, strange, Subscription("todo", "\ud800"), leeway_seconds=0)


async def test_where_nothing_was_provisioned_nobody_can_say_what_is_revoked(jetstream: Backend):
    for doing in (
        revoke(jetstream.store, revoked("ann")),
        unrevoke(jetstream.store, sub="ann"),
        revocations(jetstream.store),
        is_revoked(jetstream.store, caller(), INBOX, leeway_seconds=0),
    ):
        with pytest.raises(UnknownStream):
            await doing


async def _put(store: Store, item_id: str, value: bytes) -> None:
    await store.write(Address(STREAM, GROUP, item_id), lambda _: value)
