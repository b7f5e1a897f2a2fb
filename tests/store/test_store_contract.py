"""What every store does, whatever it is made of: see `streams.store.Store`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Iterable
from itertools import pairwise
from typing import Any

import pytest

from streams.changes import MAX_EVENT_BYTES, MAX_VALUE_BYTES, ItemDeleted, ItemSet
from streams.errors import EventRefused, ItemRefused, UnknownStream
from streams.keys import MAX_NAME_BYTES, Address
from streams.store import Feed, Store, Written

LONGEST = "." * MAX_NAME_BYTES
"""A name of which every byte must be written with three."""

LOOKALIKES = [
    "a",
    "a.",
    "a.b",
    "a.*",
    "a.>",
    "*",
    ">",
    "A",
    "a/b",
    "ab",
    "=",
    "a=2Eb",
    " a",
    "_event",
    "_meta",
]
"""Groups that would hear of each other if their names reached NATS as they are."""


def address(item_id: str = "1", group: str = "inbox", stream: str = "todo") -> Address:
    return Address(stream, group, item_id)


def value(content: Any) -> bytes:
    return json.dumps({"value": content}).encode()


def content(item: ItemSet | None) -> Any:
    return None if item is None else content_of(item.value)


def content_of(text: bytes) -> Any:
    return json.loads(text)["value"]


async def put(store: Store, what: Any, at: Address | None = None) -> Written:
    """Write an item, whatever there is."""
    return await store.write(at or address(), lambda _: value(what))


async def delete(store: Store, at: Address | None = None) -> Written:
    return await store.write(at or address(), lambda _: None)


async def in_batches(doing: Iterable[Awaitable[Any]], size: int = 250) -> None:
    waiting = list(doing)
    for start in range(0, len(waiting), size):
        await asyncio.gather(*waiting[start : start + size])


async def ids(store: Store, group: str = "inbox") -> list[str]:
    return [item.id for item in await store.get_group("todo", group)]


# One item.


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

    assert written.old == before
    assert content(await store.get(address())) == "second"


async def test_a_write_is_decided_on_the_item_as_it_is(store: Store):
    await put(store, "first")
    seen: list[ItemSet | None] = []

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

    assert deleted.old == before
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
    assert await ids(store) == ["b", "a"]


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

    def decide(_: ItemSet | None) -> bytes | None:
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


# Many writers.


async def test_writers_of_one_item_replace_each_other_in_one_chain(store: Store):
    results = await asyncio.gather(*(put(store, f"w{number}") for number in range(20)))

    first, *_, last = chain = sorted(results, key=lambda written: written.revision)
    assert first.old is None
    for before, after in pairwise(chain):
        assert (after.old.value, after.old.revision) == (before.value, before.revision)
    assert (await store.get(address())).value == last.value
    assert {content_of(written.value) for written in chain} == {f"w{number}" for number in range(20)}


async def test_updates_from_many_tasks_count_exactly(store: Store):
    async def count() -> int:
        written = await store.write(address(), lambda old: value((content(old) or 0) + 1))
        return content(written.old) or 0

    seen = await asyncio.gather(*(count() for _ in range(20)))

    assert content(await store.get(address())) == 20
    assert sorted(seen) == list(range(20))


async def test_of_many_deletes_one_finds_the_item(store: Store):
    await put(store, "first")

    results = await asyncio.gather(*(delete(store) for _ in range(10)))

    assert [content(written.old) for written in results if written.old] == ["first"]


async def test_writers_of_different_items_do_not_disturb_each_other(store: Store):
    await asyncio.gather(*(put(store, number, address(str(number))) for number in range(50)))

    found = await store.get_group("todo", "inbox")

    assert {item.id: content(item) for item in found} == {str(number): number for number in range(50)}


async def test_a_write_that_is_cancelled_happened_or_did_not(store: Store):
    await put(store, "before")
    writing = asyncio.create_task(put(store, "after"))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait([writing])

    assert content(await store.get(address())) in ("before", "after")
    assert content((await put(store, "next")).old) in ("before", "after")


# Groups.


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


# Limits.


async def test_the_longest_item_is_stored(store: Store):
    text = b'{"value":"%s"}' % (b"x" * (MAX_VALUE_BYTES - 12))
    assert len(text) == MAX_VALUE_BYTES

    await store.write(address(), lambda _: text)

    assert (await store.get(address())).value == text
    assert [item.value for item in await store.get_group("todo", "inbox")] == [text]


async def test_an_item_that_is_too_long_is_refused_and_nothing_is_written(store: Store, feed: Feed):
    before = await feed.end("todo")

    with pytest.raises(ItemRefused) as refused:
        await store.write(address(), lambda _: b'{"value":"%s"}' % (b"x" * (MAX_VALUE_BYTES - 11)))

    assert str(refused.value) == (
        "todo/inbox/1 was not written: it is 524289 bytes long; 524288 is the limit"
    )
    assert await feed.end("todo") == before


async def test_an_event_that_is_too_long_is_refused(store: Store):
    event = b'{"type":"a","data":"%s"}' % (b"x" * MAX_EVENT_BYTES)

    with pytest.raises(
        EventRefused, match=f"^an event of {len(event)} bytes is too long; 65536 is the limit$"
    ):
        await store.send("todo", "inbox", None, event)


async def test_the_longest_names_work_everywhere(store: Store, feed: Feed):
    longest = address(LONGEST, LONGEST)
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async with feed.listening("todo", LONGEST, heard.put_nowait, lambda: None):
        written = await put(store, "long", longest)
        await store.send("todo", LONGEST, LONGEST, b'{"type":"typing"}')
        position = await feed.end("todo")
        change, event = [await asyncio.wait_for(heard.get(), 10) for _ in range(2)]

    found = await store.get(longest)
    assert found == change
    assert await store.get_group("todo", LONGEST) == [found]
    assert (await feed.changes("todo", LONGEST, 0, position)).changes == [found]
    assert event.id == LONGEST
    assert (await delete(store, longest)).old == found
    assert written.revision == found.revision


# Streams that are not there.


async def test_a_stream_that_does_not_exist_is_refused_by_every_method(store: Store):
    for doing in (
        store.get(address(stream="nothing")),
        store.get_group("nothing", "inbox"),
        store.write(address(stream="nothing"), lambda _: b"{}"),
        store.write(address(stream="nothing"), lambda _: None),
        store.send("nothing", "inbox", None, b'{"type":"typing"}'),
    ):
        with pytest.raises(UnknownStream, match=r"^there is no stream 'nothing'; "):
            await doing


async def test_a_stream_that_does_not_exist_leaves_the_others_usable(store: Store):
    with pytest.raises(UnknownStream):
        await store.get(address(stream="nothing"))

    await put(store, "works")

    assert content(await store.get(address())) == "works"


async def test_what_was_written_is_heard_as_what_get_finds(store: Store, feed: Feed):
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async with feed.listening("todo", "inbox", heard.put_nowait, lambda: None):
        await put(store, "first")
        found = await store.get(address())
        deleted = await delete(store)
        changes = [await asyncio.wait_for(heard.get(), 10) for _ in range(2)]

    assert changes[0] == found
    assert isinstance(changes[1], ItemDeleted)
    assert (changes[1].id, changes[1].revision) == ("1", deleted.revision)
