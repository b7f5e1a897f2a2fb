"""What every store gives as a group: its own items, all of them, in the order of creation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any

from streams.store import Store
from tests.store.writes import LOOKALIKES, address, content, delete, put


async def in_batches(doing: Iterable[Awaitable[Any]], size: int = 250) -> None:
    waiting = list(doing)
    for start in range(0, len(waiting), size):
        await asyncio.gather(*waiting[start : start + size])


async def ids(store: Store, group: str = "inbox") -> list[str]:
    return [item.id for item in await store.get_group("todo", group)]


async def test_a_group_that_nobody_wrote_to_is_empty(store: Store):
    assert await store.get_group("todo", "inbox") == []


async def test_a_group_is_in_the_order_of_creation_also_after_overwrites(store: Store):
    for item_id in ("c", "a", "d", "b"):
        await put(store, "first", address(item_id))
    for item_id in ("d", "c", "b", "c"):
        await put(store, "second", address(item_id))

    assert await ids(store) == ["c", "a", "d", "b"]


async def test_a_group_holds_what_get_finds(store: Store):
    await put(store, "first", address("a"))
    await put(store, "second", address("a"))

    assert await store.get_group("todo", "inbox") == [await store.get(address("a"))]


async def test_deleted_items_are_not_in_the_group(store: Store):
    await put(store, 1, address("a"))
    await put(store, 2, address("b"))
    await delete(store, address("a"))

    assert await ids(store) == ["b"]


async def test_groups_whose_names_look_alike_do_not_see_each_other(store: Store):
    await asyncio.gather(*(put(store, group, address("1", group)) for group in LOOKALIKES))

    for group in LOOKALIKES:
        assert [content(item) for item in await store.get_group("todo", group)] == [group]


async def test_items_whose_names_look_alike_do_not_replace_each_other(store: Store):
    await asyncio.gather(*(put(store, item_id, address(item_id)) for item_id in LOOKALIKES))

    assert sorted(await ids(store)) == sorted(LOOKALIKES)
    for item_id in LOOKALIKES:
        assert content(await store.get(address(item_id))) == item_id


async def test_a_group_has_no_limit_and_keeps_its_order(store: Store):
    first = [str(number) for number in range(20)]
    for item_id in first:
        await put(store, item_id, address(item_id))
    await in_batches(put(store, str(number), address(str(number))) for number in range(20, 1500))
    for item_id in first:
        await put(store, "again", address(item_id))

    items = await store.get_group("todo", "inbox")

    assert sorted((item.id for item in items), key=int) == [str(number) for number in range(1500)]
    assert [item.id for item in items][:20] == first
    assert [item.created for item in items] == sorted(item.created for item in items)
    assert all(content(item) == ("again" if item.id in first else item.id) for item in items)


async def test_a_reader_finds_every_write_that_has_been_answered(store: Store):
    for number in range(20):
        await put(store, number, address(str(number)))

        assert await ids(store) == [str(n) for n in range(number + 1)]
