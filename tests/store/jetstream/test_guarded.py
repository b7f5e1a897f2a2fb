"""Provisioning writes into a bucket whether a rule says who may see its stream."""

from __future__ import annotations

import asyncio

import pytest

from streams.errors import BucketNotUsable
from streams.jetstream.bucket import provision, read_meta
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.jetstream.provisioning import provision_application
from streams.keys import LAYOUT_VERSION, REVOKED_STREAM
from streams.messages import Room
from streams.store import EpochChanged
from streams.stream import Stream
from tests.buckets import delete_bucket, write_meta
from tests.store.heard import read
from tests.store.writes import address, content, put


async def test_a_bucket_is_guarded_from_the_moment_that_it_is_made(connection, namespace, feed):
    await delete_bucket(connection, namespace)

    done = await provision(connection, namespace, "todo", guarded=True)

    assert done.outcome == "created"
    assert await feed.is_guarded("todo")
    assert (await feed.end("todo")).epoch.is_guarded


async def test_a_rule_that_comes_or_goes_is_written_down_and_the_epoch_goes_on(
    store, feed, connection, namespace
):
    await put(store, "first")
    before, made = await feed.end("todo"), await read_meta(connection, namespace, "todo")

    for guarded in (True, False):
        assert (await provision(connection, namespace, "todo", guarded=guarded)).outcome == "updated"
        assert (await provision(connection, namespace, "todo", guarded=guarded)).outcome == "unchanged"
        assert await feed.is_guarded("todo") is guarded

        meta = await read_meta(connection, namespace, "todo")
        after = await JetStreamFeed(connection, namespace).end("todo")
        assert (meta.epoch, meta.base_ms, meta.is_guarded) == (made.epoch, made.base_ms, guarded)
        assert (after.epoch.name, after.epoch.base_ms) == (before.epoch.name, before.epoch.base_ms)
        assert after.epoch.is_guarded is guarded
    assert content(await store.get(address())) == "first"


async def test_a_new_rule_is_news_to_every_group(store, feed, connection, namespace):
    await put(store, "first")
    await put(store, "first", address("1", "work"))
    before = await feed.end("todo")

    await provision(connection, namespace, "todo", guarded=True)

    with pytest.raises(EpochChanged):
        await feed.changes(Room("todo", "inbox"), before.revision, await feed.end("todo"))
    # The feed knows by now. The other group still has to hear of it.
    after = await feed.end("todo")
    assert after.epoch != before.epoch
    with pytest.raises(EpochChanged):
        await feed.changes(Room("todo", "work"), before.revision, before)
    assert [content(item) for item in await read(feed, group="work")] == ["first"]


@pytest.mark.parametrize("guarded", [{}, {"guarded": None}, {"guarded": 0}, {"guarded": "no"}], ids=repr)
async def test_a_record_that_does_not_say_counts_as_guarded(feed, connection, namespace, guarded):
    record = {"v": LAYOUT_VERSION, "epoch": "e", "base": 1_700_000_000_000, **guarded}
    await write_meta(connection, namespace, record)

    assert await feed.is_guarded("todo")
    assert (await provision(connection, namespace, "todo", guarded=True)).outcome == "unchanged"
    assert (await provision(connection, namespace, "todo")).outcome == "updated"
    assert not await feed.is_guarded("todo")


async def test_several_who_provision_at_once_agree(feed, connection, namespace):
    done = await asyncio.gather(*(provision(connection, namespace, "todo", guarded=True) for _ in range(8)))

    assert sorted(each.outcome for each in done) == [*["unchanged"] * 7, "updated"]
    assert await feed.is_guarded("todo")


async def test_several_who_do_not_agree_leave_what_one_of_them_said(feed, connection, namespace):
    made = await read_meta(connection, namespace, "todo")

    await asyncio.gather(*(provision(connection, namespace, "todo", guarded=bool(n % 2)) for n in range(6)))

    meta = await read_meta(connection, namespace, "todo")
    assert (meta.epoch, meta.base_ms) == (made.epoch, made.base_ms)
    assert await feed.is_guarded("todo") is meta.is_guarded


async def test_of_a_bucket_that_cannot_be_used_nobody_says_whether_it_is_guarded(feed, connection, namespace):
    for record in ({"v": LAYOUT_VERSION + 1, "guarded": False}, {"guarded": False}):
        await write_meta(connection, namespace, record)

        with pytest.raises(BucketNotUsable):
            await feed.is_guarded("todo")


async def test_an_application_gets_its_buckets_and_the_one_of_the_revocations(connection, namespace):
    streams = [Stream("open", dict), Stream("closed", dict, can_access=lambda subscription, context: False)]

    done = [each async for each in provision_application(connection, namespace, streams)]

    feed = JetStreamFeed(connection, namespace)
    guarded = {each.stream: await feed.is_guarded(each.stream) for each in done}
    assert guarded == {REVOKED_STREAM: True, "open": False, "closed": True}
    assert await KvStore(connection, namespace).get_group(REVOKED_STREAM, "all") == []
