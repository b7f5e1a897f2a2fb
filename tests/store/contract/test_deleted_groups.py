"""What every store does when a whole group is deleted."""

from __future__ import annotations

import asyncio

import pytest

from streams import InvalidName, Stream, bound_to
from streams.changes import ItemDeleted
from streams.store import Feed, Store
from tests.core.names import ODD_NAMES
from tests.store.heard import listening, read
from tests.store.writes import LOOKALIKES, address, content, delete, put

todo = Stream("todo", dict)


async def test_nothing_is_left_of_a_deleted_group(store: Store):
    for item_id in ("a", "b", "c"):
        await put(store, item_id, address(item_id))

    with bound_to(store):
        assert await todo.delete_group("inbox") == 3

    assert await store.get_group("todo", "inbox") == []
    assert await store.get(address("b")) is None
    assert await store.list_groups("todo") == []


async def test_items_that_were_deleted_before_do_not_count(store: Store):
    for item_id in ("a", "b", "c"):
        await put(store, item_id, address(item_id))
    await delete(store, address("b"))

    assert await store.delete_group("todo", "inbox") == 2


async def test_everybody_who_listens_hears_each_delete_once(store: Store, feed: Feed):
    names = [str(number) for number in range(100)]
    await asyncio.gather(*(put(store, item_id, address(item_id)) for item_id in names))
    after = (await feed.end("todo")).revision

    async with listening(store, feed) as ann, listening(store, feed) as bob:
        assert await store.delete_group("todo", "inbox") == 100
        for came in (await ann.all(), await bob.all()):
            assert {type(change) for change in came} == {ItemDeleted}
            assert sorted((change.id for change in came), key=int) == names

    assert sorted((change.id for change in await read(feed, after)), key=int) == names


async def test_other_groups_stay_however_alike_their_names(store: Store):
    others = sorted({*LOOKALIKES, *ODD_NAMES} - {"a"})
    await asyncio.gather(*(put(store, group, address("1", group)) for group in (*others, "a")))

    assert await store.delete_group("todo", "a") == 1

    assert await store.list_groups("todo") == others
    for group in others:
        assert [content(item) for item in await store.get_group("todo", group)] == [group]


@pytest.mark.parametrize("group", ["*", ">", "a.b", "日本"])
async def test_a_group_with_a_strange_name_is_deleted_like_any_other(store: Store, group: str):
    await put(store, "theirs", address("1", "a"))
    for item_id in ODD_NAMES:
        await put(store, item_id, address(item_id, group))

    assert await store.delete_group("todo", group) == len(ODD_NAMES)

    assert await store.list_groups("todo") == ["a"]


@pytest.mark.parametrize("was_there", [False, True])
async def test_deleting_an_empty_group_writes_nothing(store: Store, feed: Feed, was_there: bool):
    if was_there:
        await put(store, 1)
        await delete(store)
    before = await feed.end("todo")

    assert await store.delete_group("todo", "inbox") == 0
    assert await feed.end("todo") == before


async def test_a_deleted_group_can_be_written_to_again(store: Store):
    for item_id in ("a", "b"):
        await put(store, "old", address(item_id))
    await store.delete_group("todo", "inbox")

    written = await put(store, "new", address("b"))

    assert written.old is None
    assert [content(item) for item in await store.get_group("todo", "inbox")] == ["new"]


async def test_two_who_delete_a_group_at_once_delete_and_count_each_item_once(store: Store, feed: Feed):
    names = [str(number) for number in range(30)]
    await asyncio.gather(*(put(store, item_id, address(item_id)) for item_id in names))

    async with listening(store, feed) as heard:
        counts = await asyncio.gather(*(store.delete_group("todo", "inbox") for _ in range(2)))
        came = await heard.all()

    assert sum(counts) == 30
    assert sorted((change.id for change in came), key=int) == names


async def test_what_is_written_meanwhile_is_deleted_or_stays_whole(store: Store):
    await asyncio.gather(*(put(store, "old", address(str(number))) for number in range(50)))

    async def write() -> None:
        for number in range(50):
            await put(store, "new", address(str(number)))

    await asyncio.gather(store.delete_group("todo", "inbox"), write())

    left = await store.get_group("todo", "inbox")
    assert {content(item) for item in left} <= {"new"}
    assert await store.delete_group("todo", "inbox") == len(left)
    assert await store.get_group("todo", "inbox") == []


@pytest.mark.parametrize("group", ["", "a\0", "a" * 257, 7], ids=lambda name: repr(name)[:9])
async def test_a_group_that_cannot_be_is_refused(store: Store, group: str):
    with bound_to(store), pytest.raises(InvalidName, match=r"^group "):
        await todo.delete_group(group)
