"""A bucket that was made anew, or restored, begins a new epoch."""

from __future__ import annotations

import pytest

from streams.jetstream.bucket import provision
from streams.jetstream.feed import JetStreamFeed
from streams.keys import LAYOUT_VERSION
from streams.messages import Room
from streams.store import EpochChanged, Position
from tests.buckets import delete_bucket, write_meta
from tests.store.heard import read
from tests.store.writes import address, content, put


async def test_a_bucket_that_was_made_anew_begins_a_new_epoch(store, feed, connection, namespace):
    await put(store, "old")
    before = await feed.end("todo")

    await delete_bucket(connection, namespace)
    await provision(connection, namespace, "todo")

    after = await feed.end("todo")
    assert after == await JetStreamFeed(connection, namespace).end("todo")
    assert after.epoch.name != before.epoch.name
    assert after.epoch.base_ms >= before.epoch.base_ms
    assert after.revision < before.revision
    with pytest.raises(EpochChanged):
        await feed.changes(Room("todo", "inbox"), 0, Position(before.epoch, after.revision))
    assert await read(feed) == []


async def test_a_feed_that_slept_through_a_new_bucket_notices_as_it_reads(store, feed, connection, namespace):
    await put(store, "old")
    before = await feed.end("todo")
    await delete_bucket(connection, namespace)
    await provision(connection, namespace, "todo")
    for number in range(3):
        await put(store, number)

    with pytest.raises(EpochChanged):
        await feed.changes(Room("todo", "inbox"), 0, before)


async def test_a_new_record_of_the_bucket_ends_the_epoch(store, feed, connection, namespace):
    revision = (await put(store, "first")).revision
    before = await feed.end("todo")
    await write_meta(
        connection, namespace, {"v": LAYOUT_VERSION, "epoch": "restored", "base": 1_800_000_000_000}
    )

    with pytest.raises(EpochChanged):
        await feed.changes(Room("todo", "inbox"), revision, await feed.end("todo"))

    after = await feed.end("todo")
    assert after.epoch != before.epoch
    assert after.epoch.base_ms == 1_800_000_000_000
    assert [content(item) for item in await read(feed)] == ["first"]


async def test_whoever_restored_a_bucket_begins_an_epoch(store, feed, connection, namespace):
    await put(store, "kept")
    before = await feed.end("todo")

    for _ in range(2):
        assert (await provision(connection, namespace, "todo", is_restored=True)).outcome == "updated"

    with pytest.raises(EpochChanged):
        await feed.changes(Room("todo", "inbox"), before.revision, before)
    after = await feed.end("todo")
    assert after == await JetStreamFeed(connection, namespace).end("todo")
    assert after.epoch.name != before.epoch.name
    assert after.epoch.base_ms >= before.epoch.base_ms
    assert [content(item) for item in await read(feed)] == ["kept"]
    assert (await provision(connection, namespace, "todo")).outcome == "unchanged"


async def test_all_feeds_name_an_epoch_alike(feed, connection, namespace):
    assert await JetStreamFeed(connection, namespace).end("todo") == await feed.end("todo")


async def test_a_store_goes_on_with_a_bucket_that_was_made_anew(store, connection, namespace):
    for number in range(5):
        await put(store, number)
    await delete_bucket(connection, namespace)
    await provision(connection, namespace, "todo")

    await put(store, "new", address("2"))

    assert [content(item) for item in await store.get_group("todo", "inbox")] == ["new"]
    assert await store.get(address()) is None
