"""Groups read in parts: `last` and `before`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streams import InvalidName, PreconditionFailed, Stream, bound_to
from streams.store import Store
from tests.store.writes import address, put

todo = Stream("todo", dict)


async def ids(group: str = "inbox", **page: Any) -> list[str]:
    return [item["id"] for item in await todo.get_group(group, **page)]


async def created(store: Store, *item_ids: str) -> None:
    """Written one after the other, and then again in the other order."""
    for item_id in (*item_ids, *reversed(item_ids)):
        await put(store, item_id, address(item_id))


async def test_the_last_are_those_that_were_created_last(store: Store):
    await created(store, "c", "a", "d", "b")

    with bound_to(store):
        assert await ids(last=1) == ["b"]
        assert await ids(last=3) == ["a", "d", "b"]


async def test_as_many_as_there_are_or_more_are_all(store: Store):
    await created(store, "c", "a")

    with bound_to(store):
        assert await ids(last=2) == await ids(last=3) == await ids(last=10**30) == ["c", "a"]
        assert await ids("empty", last=1) == []


async def test_before_an_item_is_what_was_created_before_it(store: Store):
    await created(store, "c", "a", "d", "b")

    with bound_to(store):
        assert await ids(before="d") == ["c", "a"]
        assert await ids(before="c") == []
        assert await ids(before="d", last=1) == ["a"]


@pytest.mark.parametrize("size", [1, 3, 7, 20])
async def test_pages_go_backwards_over_everything_once_in_the_order_of_creation(store: Store, size: int):
    names = [f"{number * 7 % 20:02}" for number in range(20)]
    await created(store, *names)

    seen: list[str] = []
    with bound_to(store):
        page = await ids(last=size)
        while page:
            seen = page + seen
            page = await ids(last=size, before=page[0])

    assert seen == names


async def test_pages_are_not_disturbed_by_what_is_created_meanwhile(store: Store):
    await created(store, "a", "b", "c", "d")

    with bound_to(store):
        newest = await ids(last=2)
        await asyncio.gather(*(put(store, n, address(f"new {n}")) for n in range(5)))

        assert (newest, await ids(last=2, before=newest[0])) == (["c", "d"], ["a", "b"])


@pytest.mark.parametrize("item_id", ["nothing", "deleted", "elsewhere"])
async def test_before_an_item_that_is_not_there_is_refused(store: Store, item_id: str):
    await created(store, "a", "deleted")
    await put(store, "x", address("elsewhere", "other"))

    with bound_to(store):
        await todo.delete("inbox", "deleted")
        with pytest.raises(PreconditionFailed) as refused:
            await todo.get_group("inbox", before=item_id)

    assert str(refused.value) == (
        f"todo/inbox/{item_id} is not there, so nothing is known of what came before it"
    )
    assert refused.value.address == address(item_id)


@pytest.mark.parametrize("item_id", ["", "a\0", 7])
async def test_before_a_name_that_no_item_can_have_is_refused(store: Store, item_id: Any):
    with bound_to(store), pytest.raises(InvalidName, match=r"^item id "):
        await todo.get_group("inbox", before=item_id)


@pytest.mark.parametrize("last", [0, -1, True, False, "3", 1.5, 2.0], ids=repr)
async def test_a_last_that_is_no_number_of_items_is_refused(store: Store, last: Any):
    await created(store, "a", "b")

    with bound_to(store), pytest.raises(ValueError, match="is not a positive whole number") as refused:
        await todo.get_group("inbox", last=last)

    assert str(refused.value) == f"last={last!r} is not a positive whole number"
