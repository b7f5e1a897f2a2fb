"""Buckets that are gone, of a newer layout, or without a usable record."""

from __future__ import annotations

import asyncio

import pytest

from streams import BucketNotUsable, UnknownStream
from streams.jetstream.bucket import provision
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import LAYOUT_VERSION
from streams.messages import Room
from tests.buckets import change_config, config_of, delete_bucket, write_meta
from tests.store.writes import address, content, put, value


async def test_a_bucket_that_is_gone_is_no_stream(store, feed, connection, namespace):
    await put(store, "first")
    end = await feed.end("todo")
    await delete_bucket(connection, namespace)

    for doing in (
        store.get(address()),
        store.get_group("todo", "inbox"),
        store.write(address(), lambda _: b"{}"),
        feed.end("todo"),
        feed.changes(Room("todo", "inbox"), 0, end),
    ):
        with pytest.raises(
            UnknownStream, match=r"^there is no stream 'todo'; it has no bucket yet: provision it first$"
        ):
            await asyncio.wait_for(doing, 3)


async def test_a_bucket_of_a_newer_layout_is_not_written_to(store, connection, namespace):
    await put(store, "first")
    newer = {"v": LAYOUT_VERSION + 1, "shape": "unknown"}
    await write_meta(connection, namespace, newer)
    config = await config_of(connection, namespace)
    fresh = KvStore(connection, namespace)

    for doing in (
        fresh.write(address(), lambda _: value("second")),
        fresh.write(address(), lambda _: None),
        fresh.send("todo", "inbox", None, b'{"type":"typing"}'),
        provision(connection, namespace, "todo"),
        JetStreamFeed(connection, namespace).end("todo"),
    ):
        with pytest.raises(BucketNotUsable) as refused:
            await doing
        assert str(refused.value) == (
            f"bucket '{namespace.bucket('todo')}' has layout 2, and this release knows 1; update the library"
        )

    assert content(await fresh.get(address())) == "first"
    assert await config_of(connection, namespace) == config


async def test_provisioning_leaves_the_config_of_a_newer_layout_alone(jetstream, connection, namespace):
    await write_meta(connection, namespace, {"v": LAYOUT_VERSION + 1, "epoch": "e", "base": 1})
    await change_config(connection, namespace, max_msg_size=2_000_000, allow_direct=False)
    config = await config_of(connection, namespace)

    with pytest.raises(BucketNotUsable, match=r"has layout 2, and this release knows 1; update the library$"):
        await provision(connection, namespace, "todo")

    assert await config_of(connection, namespace) == config


@pytest.mark.parametrize(
    "meta", [[], {}, {"v": "1", "epoch": "e", "base": 1}, {"v": 1, "epoch": "e"}], ids=repr
)
async def test_a_bucket_with_a_broken_record_says_so(jetstream, connection, namespace, meta):
    await write_meta(connection, namespace, meta)

    with pytest.raises(BucketNotUsable, match="has no usable `_meta` record; "):
        await KvStore(connection, namespace).write(address(), lambda _: b"{}")
    with pytest.raises(BucketNotUsable, match="has no usable `_meta` record; "):
        await provision(connection, namespace, "todo")
