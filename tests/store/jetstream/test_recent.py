"""What is asked of NATS to find what changed in a bucket, and what when it cannot tell."""

from __future__ import annotations

import pytest

from streams.jetstream.bucket import provision
from streams.keys import LAYOUT_VERSION
from streams.store import EpochChanged
from tests.buckets import delete_bucket, vanishing, write_meta
from tests.store.heard import listening, rooms
from tests.store.writes import address, put


async def test_where_the_newest_record_vanished_it_cannot_be_told_whether_all_was_found(
    store, feed, connection, namespace
):
    after = (await put(store, "first", address("a"))).revision
    await vanishing(connection, namespace, "inbox.b")
    end = await feed.end("todo")

    assert await feed.recent("todo", after, end) is None
    found = await feed.changes_of("todo", rooms(["inbox", "other"]), after, end)

    assert found.records == []
    assert found.position == end
    assert end.revision == after + 1


async def test_the_bucket_s_own_record_is_nobody_s_and_ends_the_epoch_when_it_changes(
    store, feed, connection, namespace
):
    end = await feed.end("todo")
    async with listening(store, feed, "_meta"):
        page = await feed.recent("todo", 0, end)
        assert (page.records, page.position, page.more) == ([], end, 0)

    await write_meta(
        connection, namespace, {"v": LAYOUT_VERSION, "epoch": "restored", "base": 1_800_000_000_000}
    )
    with pytest.raises(EpochChanged):
        await feed.recent("todo", end.revision, await feed.end("todo"))

    after = await feed.end("todo")
    assert after.epoch != end.epoch
    assert (await feed.recent("todo", 0, after)).position == after


async def test_a_bucket_made_anew_is_noticed_by_whoever_asks_for_groups(store, feed, connection, namespace):
    await put(store, "old")
    before = await feed.end("todo")
    await delete_bucket(connection, namespace)
    await provision(connection, namespace, "todo")
    for number in range(3):
        await put(store, number)

    with pytest.raises(EpochChanged):
        await feed.changes_of("todo", rooms(["inbox", "other"]), 0, before)


async def test_keys_of_other_programs_are_left_out(store, feed, connection, namespace):
    prefix = namespace.items("todo").removesuffix(">")
    for key in ("inbox", "inbox.a.b", "inbox.=41", "in=62ox.a"):
        await connection.request(prefix + key, b'{"v":1}')
    written = await put(store, "ours")
    end = await feed.end("todo")

    async with listening(store, feed):
        page = await feed.recent("todo", 0, end)

    assert [(record.id, record.revision) for record in page.records] == [("1", written.revision)]
    assert page.position == end
