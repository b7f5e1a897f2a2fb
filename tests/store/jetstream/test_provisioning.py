"""Buckets are made, repaired, and left as they were chosen."""

from __future__ import annotations

import asyncio

import pytest

from streams.jetstream.bucket import Provisioned, provision, read_meta
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from tests.buckets import change_config, config_of
from tests.store.writes import address, content, put


async def test_a_bucket_is_made_once_and_then_left_as_it_is(connection, namespace):
    bucket = namespace.bucket("notes")

    assert await provision(connection, namespace, "notes") == Provisioned("notes", bucket, "created")
    made = await read_meta(connection, namespace, "notes")
    assert await provision(connection, namespace, "notes") == Provisioned("notes", bucket, "unchanged")
    assert await read_meta(connection, namespace, "notes") == made


async def test_several_who_make_a_bucket_at_once_make_one(connection, namespace):
    made = await asyncio.gather(*(provision(connection, namespace, "notes") for _ in range(8)))

    assert sorted(done.outcome for done in made) == ["created", *["unchanged"] * 7]


@pytest.mark.parametrize(
    "changed",
    [
        {"republish": None},
        {"max_msg_size": 1000},
        {"allow_direct": False},
        {"max_age": 3600 * 10**9, "duplicate_window": 60 * 10**9},
        {"description": "mine"},
    ],
    ids=lambda changed: next(iter(changed)),
)
async def test_a_bucket_that_was_changed_is_repaired(store, feed, connection, namespace, changed):
    await put(store, "first")
    config, meta = await config_of(connection, namespace), await read_meta(connection, namespace, "todo")
    await change_config(connection, namespace, **changed)
    assert await config_of(connection, namespace) != config

    repaired = await provision(connection, namespace, "todo")

    assert repaired.outcome == "updated"
    assert await config_of(connection, namespace) == config
    assert await read_meta(connection, namespace, "todo") == meta
    assert content(await store.get(address())) == "first"
    assert (await provision(connection, namespace, "todo")).outcome == "unchanged"


async def test_a_repair_does_not_end_the_epoch(store, feed, connection, namespace):
    before = await feed.end("todo")
    await change_config(connection, namespace, description="mine")

    await provision(connection, namespace, "todo")

    assert await feed.end("todo") == before
    assert await JetStreamFeed(connection, namespace).end("todo") == before


async def test_what_was_chosen_for_one_deployment_stays(jetstream, connection, namespace):
    await change_config(connection, namespace, max_bytes=10_000_000, description="mine")

    await provision(connection, namespace, "todo", replicas=1)

    assert (await config_of(connection, namespace))["max_bytes"] == 10_000_000


async def test_two_namespaces_do_not_see_each_other(store, connection):
    other = Namespace("another-stage")
    await provision(connection, other, "todo")
    await put(store, "ours")

    found = await KvStore(connection, other).get(address())

    assert found is None
