"""What every store lists as the groups of a stream: those that hold items."""

from __future__ import annotations

import asyncio

from streams import Stream, bound_to
from streams.store import Store
from tests.core.names import ODD_NAMES
from tests.store.writes import LOOKALIKES, address, delete, put

todo = Stream("todo", dict)


async def test_a_stream_that_nobody_wrote_to_has_no_groups(store: Store):
    assert await store.list_groups("todo") == []


async def test_groups_are_listed_once_each_and_sorted(store: Store):
    for group in ("b", "a", "B", "c", "a"):
        for item_id in ("1", "2"):
            await put(store, group, address(item_id, group))

    with bound_to(store):
        assert await todo.list_groups() == ["B", "a", "b", "c"]


async def test_groups_are_listed_by_their_own_names_and_sorted_by_them(store: Store):
    names = {*LOOKALIKES, *ODD_NAMES}
    await asyncio.gather(*(put(store, group, address("1", group)) for group in names))

    assert await store.list_groups("todo") == sorted(names)


async def test_a_group_of_which_the_last_item_was_deleted_is_not_listed(store: Store):
    for item_id, group in (("1", "gone"), ("2", "gone"), ("1", "left"), ("2", "left")):
        await put(store, 1, address(item_id, group))

    await delete(store, address("1", "gone"))
    await delete(store, address("1", "left"))
    assert await store.list_groups("todo") == ["gone", "left"]

    await delete(store, address("2", "gone"))
    assert await store.list_groups("todo") == ["left"]


async def test_a_group_that_was_written_to_again_is_listed_again(store: Store):
    await put(store, 1)
    await delete(store)

    await put(store, 2)

    assert await store.list_groups("todo") == ["inbox"]


async def test_a_group_that_only_had_events_is_not_listed(store: Store):
    await put(store, 1, address("1", "other"))

    await store.send("todo", "inbox", None, b'{"type":"typing"}')
    await store.send("todo", "inbox", "1", b'{"type":"typing"}')

    assert await store.list_groups("todo") == ["other"]


async def test_there_is_no_limit_to_the_groups_however_long_their_names(store: Store):
    groups = [f"{number:04}".ljust(256, ".") for number in range(1500)]
    for start in range(0, 1500, 250):
        await asyncio.gather(*(put(store, 1, address("1", group)) for group in groups[start : start + 250]))

    assert await store.list_groups("todo") == groups


async def test_a_reader_lists_every_group_whose_write_has_been_answered(store: Store):
    for number in range(20):
        await put(store, number, address("1", f"{number:02}"))

        assert await store.list_groups("todo") == [f"{n:02}" for n in range(number + 1)]
