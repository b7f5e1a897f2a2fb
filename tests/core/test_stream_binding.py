"""Which store a stream is bound to, and for how long."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from streams import StoreNotBound, Stream, bound_to
from streams.memory import MemoryStore
from streams.store import bound_store
from tests.core.todos import Todo, finished, milk

pytestmark = pytest.mark.usefixtures("store")

todo = Stream("todo", Todo)


async def test_outside_of_a_store_a_stream_says_how_to_get_one():
    async def unbound() -> None:
        for doing in (
            todo.get("inbox", "1"),
            todo.get_group("inbox"),
            todo.set("inbox", "1", milk()),
            todo.update("inbox", "1", finished),
            todo.delete("inbox", "1"),
            todo.send("inbox", {"type": "typing"}),
        ):
            with pytest.raises(StoreNotBound) as error:
                await doing
            assert str(error.value) == (
                "stream 'todo' is not bound to a store here: use it inside a step handler, "
                "or inside `async with streams.connected(url):`"
            )

    await asyncio.create_task(unbound(), context=contextvars.Context())


async def test_a_binding_ends_with_its_block_and_the_outer_one_is_back(store):
    inner = MemoryStore()

    with bound_to(inner):
        await todo.set("inbox", "1", milk())
        assert bound_store() is inner

    assert bound_store() is store
    assert await todo.get("inbox", "1") is None


async def test_a_binding_holds_for_the_tasks_of_its_block_alone():
    stores = [MemoryStore(), MemoryStore()]

    async def write(store: MemoryStore, item: Todo) -> list[Todo]:
        with bound_to(store):
            await todo.set("inbox", item.id, item)
            await asyncio.sleep(0)
            return await todo.get_group("inbox")

    groups = await asyncio.gather(write(stores[0], milk("1")), write(stores[1], milk("2")))

    assert groups == [[milk("1")], [milk("2")]]
