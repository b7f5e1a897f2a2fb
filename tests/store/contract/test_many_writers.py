"""What every store does when many write at once."""

from __future__ import annotations

import asyncio

from streams.store import Store
from tests.store.writes import address, content, content_of, delete, in_order, put, value


async def test_writers_of_one_item_replace_each_other_in_one_chain(store: Store):
    results = await asyncio.gather(*(put(store, f"w{number}") for number in range(20)))

    chain = in_order(results)
    found = await store.get(address())
    assert (found.value, found.revision) == (chain[-1].value, chain[-1].revision)
    assert {content_of(written.value) for written in chain} == {f"w{number}" for number in range(20)}


async def test_updates_from_many_tasks_count_exactly(store: Store):
    async def count() -> int:
        written = await store.write(address(), lambda old: value((content(old) or 0) + 1))
        return content_of(written.old) or 0

    seen = await asyncio.gather(*(count() for _ in range(20)))

    assert content(await store.get(address())) == 20
    assert sorted(seen) == list(range(20))


async def test_of_many_deletes_one_finds_the_item(store: Store):
    await put(store, "first")

    results = await asyncio.gather(*(delete(store) for _ in range(10)))

    assert [content_of(written.old) for written in results if written.old] == ["first"]


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
    assert content_of((await put(store, "next")).old) in ("before", "after")
