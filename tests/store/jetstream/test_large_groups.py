"""Groups of which the keys alone are longer than one answer of the server."""

from __future__ import annotations

import asyncio

from streams.messages import Room
from tests.store.writes import address, put


async def test_a_large_group_of_the_longest_names_is_read_whole(store, feed):
    ids = [f"{number:04}".ljust(256, ".") for number in range(1100)]
    for start in range(0, 1100, 275):
        await asyncio.gather(*(put(store, n, address(n, ">" * 256)) for n in ids[start : start + 275]))
    end = await feed.end("todo")

    delta = await feed.changes(Room("todo", ">" * 256), 0, end)

    assert sorted(change.id for change in delta.changes) == ids
    assert await store.get_group("todo", ">" * 256) == delta.changes
