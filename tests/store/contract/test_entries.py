"""What every store knows of an item beside its value: its revision and its times."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel

from streams import Entry, ItemDoesNotFit, Stream, bound_to, ops
from streams.store import Store
from tests.store.writes import address, put

todo = Stream("todo", dict)


class Post(BaseModel):
    likes: int


typed = Stream("todo", Post)


def now() -> datetime:
    """To the millisecond, as times are kept."""
    return datetime.fromtimestamp(time.time_ns() // 1_000_000 / 1000, UTC)


async def entry(item_id: str = "1") -> Entry[dict]:
    found = await todo.entry("inbox", item_id)
    assert found is not None
    return found


async def changed_later_than(moment: datetime) -> Entry[dict]:
    """Write until a clock has moved on."""
    while (found := await entry()).updated_at <= moment:
        await todo.update("inbox", "1", [ops.increment("n")])
    return found


async def test_an_item_that_is_not_there_has_no_entry(store: Store):
    with bound_to(store):
        assert await todo.entry("inbox", "1") is None

        await todo.set("inbox", "1", {"n": 1})
        await todo.delete("inbox", "1")

        assert await todo.entry("inbox", "1") is None


async def test_an_entry_holds_the_item_its_revision_and_its_address(store: Store):
    with bound_to(store):
        written = await typed.set("inbox", "1", Post(likes=3))

        found = await typed.entry("inbox", "1")

    assert (found.value, found.revision, found.address) == (Post(likes=3), written.revision, address())


async def test_the_times_of_a_new_item_are_those_of_its_write(store: Store):
    with bound_to(store):
        before = now()
        await todo.set("inbox", "1", {"n": 1})
        after = now()

        found = await entry()

    assert before <= found.created_at <= after
    assert before <= found.updated_at <= after
    assert found.created_at.tzinfo is found.updated_at.tzinfo is UTC


async def test_an_item_without_a_time_to_live_never_expires(store: Store):
    with bound_to(store):
        await todo.set("inbox", "1", {"n": 1})

        assert (await entry()).expires_at is None


async def test_a_time_to_live_is_shown_as_the_time_when_it_ends(store: Store):
    with bound_to(store):
        before = now()
        await todo.set("inbox", "1", {"n": 1}, ttl=90)
        after = now()

        found = await entry()

    assert before <= found.expires_at - timedelta(seconds=90) <= after
    assert found.expires_at.tzinfo is UTC


async def test_a_replaced_item_keeps_when_it_was_created_and_has_a_newer_revision(store: Store):
    with bound_to(store):
        await todo.set("inbox", "1", {"n": 1})
        first = await entry()

        later = await changed_later_than(first.updated_at)
        await todo.set("inbox", "1", {"n": 0})
        last = await entry()

    assert first.created_at == later.created_at == last.created_at
    assert first.updated_at < later.updated_at <= last.updated_at
    assert first.revision < later.revision < last.revision


async def test_an_update_that_changes_nothing_leaves_the_entry_as_it_was(store: Store):
    with bound_to(store):
        await todo.set("inbox", "1", {"n": 1})
        before = await entry()

        await todo.update("inbox", "1", lambda item: item)

        assert await entry() == before


async def test_an_item_set_after_its_delete_was_created_anew(store: Store):
    with bound_to(store):
        await todo.set("inbox", "1", {"n": 1})
        first = await changed_later_than((await entry()).created_at)
        await todo.delete("inbox", "1")

        await todo.set("inbox", "1", {"n": 1})

        again = await entry()
    assert again.created_at > first.created_at
    assert again.created_at >= first.updated_at
    assert again.revision > first.revision


async def test_a_group_knows_of_its_items_what_get_knows(store: Store):
    with bound_to(store):
        for item_id in ("a", "b"):
            await todo.set("inbox", item_id, {"n": 1}, ttl=90)
            await todo.update("inbox", item_id, [ops.increment("n")])

    assert await store.get_group("todo", "inbox") == [
        await store.get(address("a")),
        await store.get(address("b")),
    ]


async def test_an_entry_that_no_longer_fits_the_model_is_not_given(store: Store):
    await put(store, "no likes")

    with bound_to(store), pytest.raises(ItemDoesNotFit, match=r"^todo/inbox/1 .*likes: Field required"):
        await typed.entry("inbox", "1")
