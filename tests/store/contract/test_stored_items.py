"""What every store does with one item, whatever the store is made of: see `streams.store.Store`."""

from __future__ import annotations

import pytest

from streams.store import Feed, Present, Store, Written
from tests.store.writes import address, content, delete, put, value


async def test_what_is_not_there_is_none(store: Store):
    assert await store.get(address()) is None


async def test_what_was_written_is_there_byte_for_byte(store: Store):
    text = '{ "text":"Mílk 日本",\n"price":1.50, "text":"twice" }'.encode()

    written = await store.write(address(), lambda _: text)

    found = await store.get(address())
    assert found.value == written.value == text
    assert (found.id, found.revision, found.created) == ("1", written.revision, written.revision)


async def test_a_first_write_replaces_nothing(store: Store):
    written = await put(store, "new")

    assert written.old is None
    assert written.value == value("new")


async def test_a_write_gives_exactly_the_item_that_it_replaced(store: Store):
    await put(store, "first")
    before = await store.get(address())

    written = await put(store, "second")

    assert written.old == before.value
    assert content(await store.get(address())) == "second"


async def test_a_write_is_decided_on_the_item_as_it_is(store: Store):
    await put(store, "first")
    seen: list[Present | None] = []

    await store.write(address(), lambda old: seen.append(old) or value("second"))

    assert [content(old) for old in seen] == ["first"]


async def test_revisions_grow_with_every_write(store: Store):
    revisions = [(await put(store, number, address(str(number % 2)))).revision for number in range(6)]

    assert revisions == sorted(set(revisions))


async def test_a_write_is_dated_by_the_server(store: Store):
    await put(store, "first")
    first = await store.get(address())
    await put(store, "second")
    second = await store.get(address())

    assert 1_700_000_000_000 < first.time_ms <= second.time_ms < 4_000_000_000_000


async def test_an_item_that_was_replaced_keeps_its_place_of_creation(store: Store):
    written = await put(store, "first")
    await put(store, "second")
    await put(store, "third")

    assert (await store.get(address())).created == written.revision


async def test_a_delete_gives_the_item_that_went(store: Store):
    await put(store, "first")
    before = await store.get(address())

    deleted = await delete(store)

    assert deleted.old == before.value
    assert deleted.value is None
    assert deleted.revision > before.revision
    assert await store.get(address()) is None


async def test_deleting_what_is_not_there_writes_nothing(store: Store, feed: Feed):
    before = await feed.end("todo")

    assert await delete(store) == Written(None, None, None)
    assert await feed.end("todo") == before


async def test_a_second_delete_writes_nothing(store: Store, feed: Feed):
    await put(store, "first")
    await delete(store)
    before = await feed.end("todo")

    assert await delete(store) == Written(None, None, None)
    assert await feed.end("todo") == before


async def test_an_item_set_after_a_delete_replaces_nothing_and_has_a_new_place(store: Store):
    await put(store, "first", address("a"))
    await put(store, "other", address("b"))
    await delete(store, address("a"))

    written = await put(store, "again", address("a"))

    assert written.old is None
    assert (await store.get(address("a"))).created == written.revision
    assert [item.id for item in await store.get_group("todo", "inbox")] == ["b", "a"]


async def test_a_decision_of_none_over_nothing_writes_nothing(store: Store, feed: Feed):
    before = await feed.end("todo")

    written = await store.write(address(), lambda old: None if old is None else value("changed"))

    assert written == Written(None, None, None)
    assert await feed.end("todo") == before


@pytest.mark.parametrize("there", [False, True])
async def test_a_decision_that_raises_reaches_the_caller_and_writes_nothing(
    store: Store, feed: Feed, there: bool
):
    if there:
        await put(store, "first")
    before = await feed.end("todo")

    def decide(_: Present | None) -> bytes | None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.write(address(), decide)

    assert await feed.end("todo") == before
    assert content(await store.get(address())) == ("first" if there else None)


async def test_a_write_works_after_a_decision_that_raised(store: Store):
    with pytest.raises(ZeroDivisionError):
        await store.write(address(), lambda _: 1 / 0)  # type: ignore[arg-type,return-value]  # it raises

    await put(store, "after")

    assert content(await store.get(address())) == "after"
