"""What every feed finds when it is asked what changed in a bucket, or in many groups at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from streams.changes import ItemDeleted, Stored
from streams.messages import Room
from streams.store import Epoch, EpochChanged, Feed, Position, Record, Records, Store
from tests.store.heard import listening, rooms
from tests.store.writes import LOOKALIKES, address, delete, put

LONGEST = [">" * 256, "." * 256, "é" * 128]


@pytest_asyncio.fixture
async def heard_groups(store: Store, feed: Feed) -> AsyncIterator[list[str]]:
    """Groups that somebody listens to."""
    groups = ["inbox", *LOOKALIKES, *LONGEST]
    async with AsyncExitStack() as opened:
        for group in groups:
            await opened.enter_async_context(listening(store, feed, group))
        yield groups


def names(records: list[Record]) -> list[tuple[str, str, int]]:
    return [(record.group, record.id, record.revision) for record in records]


async def all_recent(feed: Feed, after: int = 0) -> Records:
    """All pages, as one."""
    records, seen = list[Record](), 0
    end = await feed.end("todo")
    while True:
        page = await feed.recent("todo", after, end)
        assert page is not None
        records, seen, after = records + page.records, seen + page.seen, page.position.revision
        if not page.more:
            return Records(records, page.position, seen)


async def test_all_that_changed_is_found_whatever_group_it_is_of(
    store: Store, feed: Feed, heard_groups: list[str]
):
    for group in heard_groups:
        await put(store, "old", address("old", group))
    after = (await feed.end("todo")).revision
    written = [await put(store, "new", address(group, group)) for group in heard_groups]

    found = await all_recent(feed, after)

    assert names(found.records) == [
        (group, group, each.revision) for group, each in zip(heard_groups, written, strict=True)
    ]
    assert [record.change() for record in found.records] == [
        await store.get(address(group, group)) for group in heard_groups
    ]
    assert found.position == await feed.end("todo")


async def test_of_every_item_the_newest_is_found_and_deletes_are(
    store: Store, feed: Feed, heard_groups: list[str]
):
    await put(store, "first", address("a"))
    await put(store, "first", address("b"))
    gone = await delete(store, address("a"))
    newest = await put(store, "second", address("b"))

    found = (await all_recent(feed)).records

    assert names(found) == [("inbox", "a", gone.revision), ("inbox", "b", newest.revision)]
    assert isinstance(found[0].change(), ItemDeleted)


async def test_what_nobody_listens_to_is_counted_and_left_out(store: Store, feed: Feed):
    after = (await put(store, "first", address("1", "before"))).revision
    for number in range(5):
        await put(store, number, address("1", f"other {number}"))
    async with listening(store, feed):
        written = await put(store, "heard")

        found = await all_recent(feed, after)

    assert names(found.records) == [("inbox", "1", written.revision)]
    assert found.seen == 6
    assert (await all_recent(feed, after)).records == []


async def test_a_group_is_heard_of_while_one_of_its_listeners_is_left(store: Store, feed: Feed):
    await put(store, "first")
    async with listening(store, feed):
        async with listening(store, feed), listening(store, feed):
            assert len((await all_recent(feed)).records) == 1
        assert len((await all_recent(feed)).records) == 1
    assert (await all_recent(feed)).records == []


async def test_more_than_is_read_at_once_comes_in_pages(store: Store, feed: Feed, heard_groups: list[str]):
    await asyncio.gather(*(put(store, number, address(str(number))) for number in range(600)))
    end = await feed.end("todo")
    after, more, found = end.revision - 600, 600, list[Record]()

    while more:
        page = await feed.recent("todo", after, end)
        assert page is not None
        assert 0 < page.seen < 600
        assert page.more == more - page.seen
        after, more = page.position.revision, page.more
        found += page.records

    assert [record.revision for record in found] == list(range(end.revision - 599, end.revision + 1))
    assert page.position == end


async def test_large_items_come_in_pages_too(store: Store, feed: Feed, heard_groups: list[str]):
    for number in range(8):
        await put(store, str(number) * 450_000, address(str(number)))

    found = await all_recent(feed)

    assert [record.id for record in found.records] == [str(number) for number in range(8)]


async def test_what_is_written_again_between_two_pages_comes_again_behind_them(
    store: Store, feed: Feed, heard_groups: list[str]
):
    await asyncio.gather(*(put(store, number, address(str(number))) for number in range(300)))
    end = await feed.end("todo")
    first = await feed.recent("todo", end.revision - 300, end)
    assert first is not None
    moved = await put(store, "again", address("299"))
    again = await put(store, "again", address(first.records[0].id))

    rest = await feed.recent("todo", first.position.revision, end)

    assert rest is not None
    assert names(rest.records)[-2:] == [
        ("inbox", "299", moved.revision),
        ("inbox", first.records[0].id, again.revision),
    ]
    assert rest.more == 0
    assert rest.position.revision == again.revision


async def test_pages_read_while_others_write_find_everything(store: Store, feed: Feed):
    written, newest = asyncio.Event(), dict[str, int]()

    async def write() -> None:
        for number in range(200):
            at = address(str(number % 30))
            newest[at.id] = (await put(store, number, at)).revision or 0
        written.set()

    async with listening(store, feed), asyncio.TaskGroup() as tasks:
        held, after = dict[str, int](), 0
        tasks.create_task(write())
        while not written.is_set() or after < (await feed.end("todo")).revision:
            if (end := await feed.end("todo")).revision > after:
                page = await feed.recent("todo", after, end)
                assert page is not None
                assert page.more or page.position.revision >= end.revision
                held |= {record.id: record.revision for record in page.records}
                after = page.position.revision
            await asyncio.sleep(0)  # A store in memory never waits, and so would let nobody write.

    assert held == newest


async def test_what_changed_in_many_groups_is_found_at_once(store: Store, feed: Feed):
    groups = [*LOOKALIKES, *LONGEST, "empty"]
    for group in groups[:-1]:
        await put(store, "old", address("old", group))
    after = (await feed.end("todo")).revision
    written = [await put(store, "new", address("new", group)) for group in groups[:-1]]
    await put(store, "other", address("1", "another"))
    end = await feed.end("todo")

    whole = await feed.changes_of("todo", rooms(groups), 0, end)
    part = await feed.changes_of("todo", rooms(groups), after, end)

    assert names(part.records) == [
        (group, "new", each.revision) for group, each in zip(groups[:-1], written, strict=True)
    ]
    assert names(whole.records)[-len(written) :] == names(part.records)
    assert len(whole.records) == 2 * len(written)
    assert part.position == whole.position == end
    assert [record.change() for record in part.records] == [
        await store.get(address("new", group)) for group in groups[:-1]
    ]


async def test_deletes_are_found_in_many_groups(store: Store, feed: Feed):
    after = (await put(store, "first", address("1", "a"))).revision
    await delete(store, address("1", "a"))

    found = await feed.changes_of("todo", rooms(["a", "b"]), after, await feed.end("todo"))

    assert [type(record.change()) for record in found.records] == [ItemDeleted]


async def test_groups_with_more_items_than_the_server_looks_for_at_once_are_all_found(
    store: Store, feed: Feed
):
    groups = [f"group {number}" for number in range(7)]
    addresses = [address(str(number), group) for number in range(170) for group in groups]
    for start in range(0, len(addresses), 250):
        await asyncio.gather(*(put(store, "old", at) for at in addresses[start : start + 250]))
    after = (await feed.end("todo")).revision
    changed = [(await put(store, "new", address("0", group))).revision for group in groups]
    end = await feed.end("todo")

    part = await feed.changes_of("todo", rooms(groups), after, end)
    whole = await feed.changes_of("todo", rooms(groups), 0, end)

    assert [record.revision for record in part.records] == changed
    assert part.position == end
    assert len(whole.records) == len(addresses)
    revisions = [record.revision for record in whole.records]
    assert revisions == sorted(revisions)


async def test_one_group_that_is_too_large_does_not_keep_the_others_from_being_found(
    store: Store, feed: Feed
):
    for start in range(0, 1100, 275):
        await asyncio.gather(
            *(put(store, n, address(str(n), "large")) for n in range(start, start + 275)),
        )
    small = await put(store, "new", address("1", "small"))
    end = await feed.end("todo")

    found = await feed.changes_of("todo", rooms(["large", "small"]), 0, end)

    assert len(found.records) == 1101
    assert names(found.records)[-1] == ("small", "1", small.revision)
    assert found.position == end


async def test_a_record_is_what_a_read_of_its_group_finds(store: Store, feed: Feed, heard_groups: list[str]):
    for number in range(5):
        await put(store, number, address(str(number)))
    await delete(store, address("3"))
    end = await feed.end("todo")

    read: list[Stored] = (await feed.changes(Room("todo", "inbox"), 0, end)).changes

    assert [record.change() for record in (await all_recent(feed)).records] == read
    asked = await feed.changes_of("todo", rooms(["inbox"]), 0, end)
    assert [record.change() for record in asked.records] == read


async def test_a_position_of_another_epoch_means_nothing_here_either(store: Store, feed: Feed):
    await put(store, "first")
    end = await feed.end("todo")
    other = Position(Epoch("another", end.epoch.base_ms), end.revision)

    with pytest.raises(EpochChanged):
        await feed.recent("todo", 0, other)
    with pytest.raises(EpochChanged):
        await feed.changes_of("todo", rooms(["inbox"]), 0, other)
