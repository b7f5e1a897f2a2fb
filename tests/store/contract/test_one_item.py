"""What every feed says of one item alone, whatever the feed is made of: see `streams.store.Feed`."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from streams.changes import Change, EventSent, ItemDeleted, ItemSet
from streams.messages import Room
from streams.store import Feed, Store
from tests.browser import SECONDS
from tests.store.writes import LOOKALIKES, address, delete, put

LONGEST = "ü>" * 85
LAST = b'{"type":"last"}'


async def heard(store: Store, changes: asyncio.Queue[Change], item_id: str) -> list[Change]:
    """Everything that was written or sent before this call."""
    await store.send("todo", "inbox", item_id, LAST)
    came: list[Change] = []
    while (change := await asyncio.wait_for(changes.get(), SECONDS)) != EventSent(item_id, LAST):
        came.append(change)
    return came


@pytest.mark.parametrize("item_id", ["a", LONGEST, *LOOKALIKES])
async def test_who_listens_to_an_item_hears_of_it_alone(store: Store, feed: Feed, item_id: str):
    changes, said = asyncio.Queue[Change](), b'{"type":"said"}'
    others = [other for other in ("a", "b", *LOOKALIKES) if other != item_id]

    async with feed.listening(Room("todo", "inbox", item_id), changes.put_nowait, lambda: None):
        for other in others:
            await put(store, "other", address(other))
            await store.send("todo", "inbox", other, said)
        await put(store, "another group's", address(item_id, "other"))
        await store.send("todo", "inbox", None, said)
        await put(store, "first", address(item_id))
        await store.send("todo", "inbox", item_id, said)
        await delete(store, address(item_id))
        came = await heard(store, changes, item_id)

    assert {change.id for change in came} == {item_id}
    # An event travels its own way; changes come in their order.
    assert [type(each) for each in came if not isinstance(each, EventSent)] == [ItemSet, ItemDeleted]
    assert [each for each in came if isinstance(each, EventSent)] == [EventSent(item_id, said)]


async def test_a_group_and_its_items_may_be_listened_to_at_once(store: Store, feed: Feed):
    rooms = [Room("todo", "inbox"), Room("todo", "inbox", "a"), Room("todo", "inbox", "a")]
    queues = [asyncio.Queue[Change]() for _ in rooms]
    async with AsyncExitStack() as listening:
        for room, queue in zip(rooms, queues, strict=True):
            await listening.enter_async_context(feed.listening(room, queue.put_nowait, lambda: None))
        written = await put(store, "first", address("a"))
        came = [await asyncio.wait_for(queue.get(), SECONDS) for queue in queues]

    assert [(change.id, change.revision) for change in came if not isinstance(change, EventSent)] == [
        ("a", written.revision)
    ] * 3


@pytest.mark.parametrize("item_id", ["a", LONGEST, *LOOKALIKES])
async def test_a_read_of_an_item_finds_it_alone(store: Store, feed: Feed, item_id: str):
    before = await put(store, "before", address("before"))
    for other in ("a", "b", *LOOKALIKES, item_id):
        await put(store, "first", address(other))
    end = await feed.end("todo")

    delta = await feed.changes(Room("todo", "inbox", item_id), before.revision or 0, end)
    (found,) = delta.changes
    assert found == await store.get(address(item_id))
    assert delta.position.revision >= end.revision
    assert (await feed.changes(Room("todo", "inbox", item_id), found.revision, end)).changes == []


async def test_a_read_of_an_item_finds_that_it_was_deleted(store: Store, feed: Feed):
    written = await put(store, "first", address("a"))
    await delete(store, address("a"))

    end = await feed.end("todo")
    (found,) = (await feed.changes(Room("todo", "inbox", "a"), written.revision or 0, end)).changes
    assert isinstance(found, ItemDeleted)
    assert (await feed.changes(Room("todo", "inbox", "missing"), 0, end)).changes == []


async def test_groups_and_items_are_read_together_and_nothing_comes_twice(store: Store, feed: Feed):
    for group in ("inbox", "other", "third"):
        for item_id in ("a", "b"):
            await put(store, "first", address(item_id, group))
    rooms = [
        Room("todo", "inbox", "a"),
        Room("todo", "inbox"),
        Room("todo", "other", "b"),
        Room("todo", "other", "b"),
        Room("todo", "third", "missing"),
    ]

    found = await feed.changes_of("todo", rooms, 0, await feed.end("todo"))

    assert [(each.group, each.id) for each in found.records] == [
        ("inbox", "a"),
        ("inbox", "b"),
        ("other", "b"),
    ]


async def test_what_is_recent_of_an_item_that_is_listened_to_is_found(store: Store, feed: Feed):
    before = await feed.end("todo")
    async with feed.listening(Room("todo", "inbox", "a"), lambda _: None, lambda: None):
        for item_id in ("a", "b"):
            await put(store, "first", address(item_id))
        await put(store, "first", address("a", "other"))
        found = await feed.recent("todo", before.revision, await feed.end("todo"))

    assert found is not None
    records = [(each.group, each.id) for each in found.records]
    assert ("inbox", "a") in records
    assert ("other", "a") not in records
