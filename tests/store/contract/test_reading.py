"""What every feed finds when it is asked what changed."""

from __future__ import annotations

import asyncio

import pytest

from streams.changes import ItemDeleted
from streams.gateway.group import Group
from streams.messages import Room
from streams.store import Epoch, EpochChanged, Feed, Position, Store
from tests.store.heard import listening, read
from tests.store.writes import LOOKALIKES, address, delete, put


async def test_a_read_from_nothing_finds_every_item(store: Store, feed: Feed):
    await put(store, "first", address("b"))
    await put(store, "first", address("a"))

    assert await read(feed) == await store.get_group("todo", "inbox")


async def test_a_read_of_an_empty_group_is_complete_to_the_end(store: Store, feed: Feed):
    await put(store, "first", address("1", "other"))
    end = await feed.end("todo")

    delta = await feed.changes(Room("todo", "inbox"), 0, end)

    assert delta.changes == []
    assert delta.position == end


async def test_a_read_finds_only_what_is_newer_and_of_every_item_the_newest(store: Store, feed: Feed):
    await put(store, "first", address("old"))
    await put(store, "first", address("twice"))
    after = (await put(store, "first", address("once"))).revision
    await put(store, "second", address("twice"))
    await put(store, "third", address("twice"))
    await put(store, "first", address("new"))

    changes = await read(feed, after)

    assert changes == [await store.get(address("twice")), await store.get(address("new"))]


async def test_a_read_from_the_end_finds_nothing(store: Store, feed: Feed):
    await put(store, "first")

    assert await read(feed, (await feed.end("todo")).revision) == []


async def test_a_read_finds_deletes(store: Store, feed: Feed):
    await put(store, "first", address("a"))
    after = (await put(store, "first", address("b"))).revision
    deleted = (await delete(store, address("a"))).revision
    await put(store, "second", address("b"))

    gone, changed = await read(feed, after)

    assert isinstance(gone, ItemDeleted)
    assert (gone.id, gone.revision) == ("a", deleted)
    assert changed == await store.get(address("b"))


async def test_a_read_is_in_the_order_of_revisions(store: Store, feed: Feed):
    await asyncio.gather(*(put(store, number, address(str(number % 7))) for number in range(30)))

    revisions = [change.revision for change in await read(feed)]

    assert len(revisions) == 7
    assert revisions == sorted(revisions)


@pytest.mark.parametrize("group", LOOKALIKES)
async def test_a_read_finds_nothing_of_groups_whose_names_look_alike(store: Store, feed: Feed, group: str):
    await asyncio.gather(*(put(store, other, address("1", other)) for other in LOOKALIKES))

    assert await read(feed, group=group) == [await store.get(address("1", group))]


async def test_a_read_is_complete_to_the_position_that_was_asked_for_or_further(store: Store, feed: Feed):
    for number in range(20):
        revision = (await put(store, number)).revision
        end = await feed.end("todo")

        delta = await feed.changes(Room("todo", "inbox"), 0, end)

        assert delta.position.epoch == end.epoch
        assert delta.position.revision >= revision
        assert [change.revision for change in delta.changes] == [revision]


async def test_a_read_while_others_write_is_complete_to_its_position(store: Store, feed: Feed):
    group, written = Group(), asyncio.Event()

    async def write() -> None:
        for number in range(150):
            if number % 3 == 2:
                await delete(store, address(str(number - 1)))
            else:
                await put(store, number, address(str(number)))
        written.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        while not written.is_set() or group.position != await feed.end("todo"):
            after = 0 if group.position is None else group.position.revision
            group.catch_up(await feed.changes(Room("todo", "inbox"), after, await feed.end("todo")))
            await asyncio.sleep(0)  # A store in memory never waits, and so would let nobody write.

    found = [(item.id, item.revision) for item in await store.get_group("todo", "inbox")]
    assert [(item.id, item.revision) for item in group.items()] == found
    assert len(found) == 50


async def test_who_listens_first_and_reads_second_misses_nothing(store: Store, feed: Feed):
    group = Group()

    async def write(start: int) -> None:
        for number in range(start, 150, 3):
            await put(store, number, address(str(number % 40)))

    writing = asyncio.gather(*(write(start) for start in range(3)))
    await put(store, "before")
    async with listening(store, feed) as heard:
        group.catch_up(await feed.changes(Room("todo", "inbox"), 0, await feed.end("todo")))
        await writing
        for change in await heard.all():
            group.apply(change)

    found = [(item.id, item.revision) for item in await store.get_group("todo", "inbox")]
    assert [(item.id, item.revision) for item in group.items()] == found


async def test_a_large_group_is_read_whole_and_in_part(store: Store, feed: Feed):
    for start in range(0, 1500, 250):
        await asyncio.gather(*(put(store, n, address(str(n))) for n in range(start, start + 250)))
    after = (await feed.end("todo")).revision
    changed = (await put(store, "changed", address("7"))).revision
    deleted = (await delete(store, address("1499"))).revision

    whole, part = await read(feed), await read(feed, after)

    assert len(whole) == 1500
    assert [change.revision for change in whole] == sorted(change.revision for change in whole)
    assert [(change.id, change.revision) for change in part] == [("7", changed), ("1499", deleted)]
    assert whole[-2:] == part


async def test_large_items_are_read_whole_and_in_order(store: Store, feed: Feed):
    for number in range(12):
        await put(store, str(number % 10) * 450_000, address(str(number)))

    changes = await read(feed)

    assert [change.id for change in changes] == [str(number) for number in range(12)]
    assert changes == await store.get_group("todo", "inbox")


async def test_a_position_of_another_epoch_means_nothing(store: Store, feed: Feed):
    await put(store, "first")
    end = await feed.end("todo")

    with pytest.raises(EpochChanged):
        await feed.changes(
            Room("todo", "inbox"), 0, Position(Epoch("another", end.epoch.base_ms), end.revision)
        )
