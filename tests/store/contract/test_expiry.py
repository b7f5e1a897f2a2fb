"""Items that vanish by themselves."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from streams import ItemRefused, Stream, bound_to, ops
from streams.changes import ItemDeleted
from streams.store import MAX_TTL_SECONDS, UNCHANGED, Feed, Store
from tests.browser import SECONDS
from tests.store.heard import Heard, listening, read
from tests.store.writes import address, content, put

todo = Stream("todo", dict)
short_lived = Stream("todo", dict, ttl=500)


async def expires_ms(store: Store, item_id: str = "1") -> int | None:
    found = await store.get(address(item_id))
    assert found is not None
    return found.expires_ms


async def lives_for(store: Store, item_id: str = "1") -> float | None:
    """Seconds that an item had to live when it was created."""
    found = await store.get(address(item_id))
    assert found is not None
    return None if found.expires_ms is None else (found.expires_ms - found.created_ms) / 1000


async def vanished(heard: Heard, *item_ids: str) -> list[ItemDeleted]:
    """The next deletes that are heard are those of these items."""
    gone: list[ItemDeleted] = []
    while len(gone) < len(item_ids):
        change = await heard.next()
        if isinstance(change, ItemDeleted):
            gone.append(change)
    assert sorted(change.id for change in gone) == sorted(item_ids)
    return gone


async def test_an_item_vanishes_after_its_time_and_who_listens_hears_it(store: Store, feed: Feed):
    with bound_to(store):
        await put(store, "stays", address("other", "elsewhere"))
        async with listening(store, feed) as heard:
            written = await todo.set("inbox", "1", {"n": 1}, ttl=1)
            assert await todo.get("inbox", "1") == {"id": "1", "n": 1}
            (gone,) = await vanished(heard, "1")
            assert await heard.all() == []

        assert gone.revision > written.revision
        assert await todo.get("inbox", "1") is await todo.entry("inbox", "1") is None
        assert await todo.get_group("inbox") == []
        assert await todo.list_groups() == ["elsewhere"]
        assert await read(feed, written.revision) == [gone]


async def test_what_vanished_is_not_there_for_whoever_writes_next(store: Store, feed: Feed):
    with bound_to(store):
        async with listening(store, feed) as heard:
            for item_id in ("set", "updated", "deleted"):
                await short_lived.set("inbox", item_id, {"n": 7}, ttl=1)
            await vanished(heard, "set", "updated", "deleted")
            before = await feed.end("todo")

            assert (await todo.delete("inbox", "deleted")).old_value is None
            assert await todo.delete_group("inbox") == 0
            assert await feed.end("todo") == before
            created = await todo.set("inbox", "set", {"n": 1}, if_absent=True)
            updated = await short_lived.update("inbox", "updated", [ops.increment("n")])

        assert (created.old_value, updated.old_value) == (None, None)
        assert updated.new_value == {"id": "updated", "n": 1}
        assert [item["id"] for item in await todo.get_group("inbox")] == ["set", "updated"]
        assert (await lives_for(store, "set"), await lives_for(store, "updated")) == (None, 500)


async def test_the_time_of_an_item_that_was_replaced_or_deleted_counts_no_more(store: Store, feed: Feed):
    with bound_to(store):
        async with listening(store, feed) as heard:
            for item_id in ("for ever", "longer", "deleted"):
                await todo.set("inbox", item_id, {"n": 1}, ttl=1)
            await todo.set("inbox", "for ever", {"n": 2})
            await todo.set("inbox", "longer", {"n": 2}, ttl=60)
            await todo.delete("inbox", "deleted")
            await vanished(heard, "deleted")

            # It goes after all of them would have gone.
            await todo.set("inbox", "witness", {}, ttl=2)
            await vanished(heard, "witness")
            assert await heard.all() == []

        assert [item["id"] for item in await todo.get_group("inbox")] == ["for ever", "longer"]


async def test_an_item_that_is_updated_all_the_time_vanishes_all_the_same(store: Store):
    with bound_to(store):
        await todo.set("inbox", "1", {"n": 0}, ttl=1)
        async with asyncio.timeout(SECONDS):
            while (updated := await todo.update("inbox", "1", [ops.increment("n")])).old_value is not None:
                await asyncio.sleep(0)  # A store in memory never waits, and so would never see the time.

    assert updated.new_value == {"id": "1", "n": 1}


async def test_what_is_over_for_a_write_is_over_for_a_read(store: Store):
    with bound_to(store):
        await todo.set("inbox", "1", {"n": 1}, ttl=1.5)
        async with asyncio.timeout(SECONDS):
            while (await store.write(address(), lambda _: UNCHANGED)).old is not None:
                await asyncio.sleep(0)  # As above.

        assert await todo.get("inbox", "1") is None
        assert await todo.get_group("inbox") == []


async def test_updates_leave_the_time_exactly_as_it_was(store: Store):
    with bound_to(store):
        await todo.set("inbox", "1", {"n": 0}, ttl=100)
        before = await expires_ms(store)

        for _ in range(10):
            await todo.update("inbox", "1", [ops.increment("n")])
            await todo.update("inbox", "1", lambda item: {**item, "n": item["n"] + 1})
            await short_lived.update("inbox", "1", [ops.increment("n")])
        await asyncio.gather(*(todo.update("inbox", "1", [ops.increment("n")]) for _ in range(30)))

        assert await expires_ms(store) == before
        assert (await todo.get("inbox", "1"))["n"] == 60


async def test_updates_leave_an_item_without_a_time_as_it_is(store: Store):
    with bound_to(store):
        await todo.set("inbox", "1", {"n": 0})

        await short_lived.update("inbox", "1", [ops.increment("n")])

        assert await expires_ms(store) is None


async def test_an_update_that_creates_an_item_gives_it_the_time_of_the_stream(store: Store):
    with bound_to(store):
        await short_lived.update("inbox", "by ops", [ops.increment("n")])
        await short_lived.update("inbox", "by a function", lambda _: {"n": 1})
        await todo.update("inbox", "without", [ops.increment("n")])

        assert [await lives_for(store, name) for name in ("by ops", "by a function", "without")] == [
            500,
            500,
            None,
        ]


async def test_a_set_takes_its_own_time_or_that_of_the_stream(store: Store):
    with bound_to(store):
        await short_lived.set("inbox", "default", {})
        await short_lived.set("inbox", "its own", {}, ttl=30)
        await short_lived.set("inbox", "for ever", {}, ttl=math.inf)
        await todo.set("inbox", "no default", {})
        await Stream("todo", dict, ttl=math.inf).set("inbox", "for ever too", {})

        assert [await lives_for(store, name) for name in ("default", "its own")] == [500, 30]
        for item_id in ("for ever", "no default", "for ever too"):
            assert await expires_ms(store, item_id) is None


async def test_a_set_without_a_time_makes_an_item_permanent(store: Store):
    with bound_to(store):
        await todo.set("inbox", "1", {}, ttl=30)
        assert await expires_ms(store) is not None

        await todo.set("inbox", "1", {})

        assert (await todo.entry("inbox", "1")).expires_at is None


async def test_a_set_counts_the_time_of_the_stream_anew(store: Store):
    with bound_to(store):
        await short_lived.set("inbox", "1", {}, ttl=30)
        before = await expires_ms(store)

        await short_lived.set("inbox", "1", {})

        assert await expires_ms(store) >= before + 470_000


async def test_a_fraction_of_a_second_is_a_part_of_the_time(store: Store):
    with bound_to(store):
        await todo.set("inbox", "1", {}, ttl=1.5)
        await todo.set("inbox", "2", {}, ttl=MAX_TTL_SECONDS)

        assert (await lives_for(store), await lives_for(store, "2")) == (1.5, MAX_TTL_SECONDS)


@pytest.mark.parametrize(
    "ttl", [0, 0.5, -1, math.nan, -math.inf, True, "5", 1e12, MAX_TTL_SECONDS + 1], ids=repr
)
async def test_a_time_that_is_none_is_refused_and_nothing_is_written(store: Store, feed: Feed, ttl: Any):
    await put(store, "before")
    before = await feed.end("todo")

    with bound_to(store), pytest.raises(ItemRefused) as refused:
        await todo.set("inbox", "1", {"n": 1}, ttl=ttl)

    assert str(refused.value) == (
        f"todo/inbox/1 was not written: ttl={ttl!r} is not a time to live; "
        f"give seconds from 1 to {MAX_TTL_SECONDS}, or math.inf for never"
    )
    assert content(await store.get(address())) == "before"
    assert await feed.end("todo") == before
