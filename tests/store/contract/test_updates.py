"""Atomic updates on both stores."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel

from streams import ItemRefused, OpRefused, Stream, bound_to, ops
from streams.store import UNCHANGED, Feed, Store
from tests.store.writes import address, put

post = Stream("todo", dict)


class Post(BaseModel):
    likes: int = 0
    tags: list[str] = []


typed = Stream("todo", Post)


async def test_operations_are_applied_in_order_to_one_item(store: Store):
    with bound_to(store):
        await post.set("inbox", "1", {"likes": 1, "text": "hello"})

        result = await post.update(
            "inbox",
            "1",
            [ops.increment("likes", 2), ops.append("text", " world"), ops.set(["author", "name"], "ann")],
        )

    assert result.new_value == {"id": "1", "likes": 3, "text": "hello world", "author": {"name": "ann"}}
    assert result.old_value == {"id": "1", "likes": 1, "text": "hello"}
    assert result.changed


async def test_operations_may_be_dicts(store: Store):
    with bound_to(store):
        await post.set("inbox", "1", {"likes": 1})

        result = await post.update("inbox", "1", [{"type": "increment", "path": "likes", "by": 1}])

    assert result.new_value == {"id": "1", "likes": 2}


async def test_a_missing_item_starts_empty(store: Store):
    with bound_to(store):
        result = await post.update("inbox", "1", [ops.increment("likes")])

        assert (result.old_value, result.new_value) == (None, {"id": "1", "likes": 1})
        assert await post.get("inbox", "1") == {"id": "1", "likes": 1}


async def test_one_operation_that_does_not_fit_leaves_everything_as_it_was(store: Store, feed: Feed):
    with bound_to(store):
        await post.set("inbox", "1", {"likes": 1, "text": "hello"})
        before = await feed.end("todo")

        with pytest.raises(OpRefused) as refused:
            await post.update("inbox", "1", [ops.increment("likes"), ops.increment("text")])

        assert (refused.value.index, refused.value.code) == (1, "increment.not_number")
        assert await post.get("inbox", "1") == {"id": "1", "likes": 1, "text": "hello"}
        assert await feed.end("todo") == before


async def test_a_result_that_is_no_item_is_refused(store: Store):
    with bound_to(store):
        await post.set("inbox", "1", {"likes": 1})

        with pytest.raises(ItemRefused, match="an item is a JSON object"):
            await post.update("inbox", "1", [ops.set("", 3)])
        with pytest.raises(ItemRefused, match="its id is"):
            await post.update("inbox", "1", [ops.set("id", "other")])


async def test_a_result_that_does_not_fit_the_model_is_refused(store: Store):
    with bound_to(store):
        await typed.set("inbox", "1", Post())

        with pytest.raises(ItemRefused, match="tags") as refused:
            await typed.update("inbox", "1", [ops.append("tags", 3)])

        assert refused.value.fields == ("tags.0",)
        assert await typed.get("inbox", "1") == Post()


async def test_operations_keep_fields_that_the_model_does_not_know(store: Store):
    await store.write(address(), lambda _: b'{"likes":1,"added_by_a_newer_release":true}')
    with bound_to(store):
        result = await typed.update("inbox", "1", [ops.increment("likes")])

    assert result.new_value == Post(likes=2)
    assert (await store.get(address())).value == b'{"likes":2,"added_by_a_newer_release":true}'


async def test_an_update_that_changes_nothing_writes_nothing(store: Store, feed: Feed):
    with bound_to(store):
        await post.set("inbox", "1", {"likes": 1, "tags": ["a"]})
        before = await feed.end("todo")

        by_ops = await post.update(
            "inbox", "1", [ops.set("likes", 1), ops.remove("missing"), ops.merge("", {})]
        )
        by_function = await post.update("inbox", "1", lambda item: item)
        nothing = await post.update("inbox", "missing", [ops.remove("likes")])

        assert await feed.end("todo") == before
    assert [result.changed for result in (by_ops, by_function, nothing)] == [False, False, False]
    assert by_ops.new_value == by_ops.old_value == {"id": "1", "likes": 1, "tags": ["a"]}
    assert (nothing.new_value, nothing.revision) == (None, None)


async def test_a_decision_to_leave_it_unchanged_writes_nothing(store: Store, feed: Feed):
    await put(store, 1)
    before = await feed.end("todo")

    written = await store.write(address(), lambda _: UNCHANGED)

    assert (written.value, written.revision) == (written.old, None)
    assert await feed.end("todo") == before


async def test_concurrent_operations_lose_nothing_and_each_caller_gets_its_own_values(store: Store):
    with bound_to(store):
        results = await asyncio.gather(
            *(post.update("inbox", "1", [ops.increment("count")]) for _ in range(30))
        )

        assert await post.get("inbox", "1") == {"id": "1", "count": 30}
    assert sorted(result.new_value["count"] for result in results) == list(range(1, 31))
