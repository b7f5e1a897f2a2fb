"""The end of a stream, as every feed tells it: the position of the newest write."""

from __future__ import annotations

import asyncio

from streams.store import Feed, Position, Store
from tests.browser import SECONDS
from tests.store.writes import address, delete, put


async def test_the_end_rises_with_every_write_and_names_the_newest(store: Store, feed: Feed):
    for doing in (
        put(store, "first"),
        put(store, "second"),
        delete(store),
        put(store, "x", address("2", "other")),
    ):
        before = await feed.end("todo")
        revision = (await doing).revision
        after = await feed.end("todo")

        assert after.epoch == before.epoch
        assert before.revision < revision == after.revision


async def test_an_event_does_not_move_the_end(store: Store, feed: Feed):
    before = await feed.end("todo")

    await store.send("todo", "inbox", None, b'{"type":"typing"}')

    assert await feed.end("todo") == before


async def test_the_end_is_never_older_than_the_question_however_many_ask(store: Store, feed: Feed):
    async def write_and_ask(number: int) -> bool:
        revision = (await put(store, number, address(str(number)))).revision
        return (await feed.end("todo")).revision >= revision

    assert all(await asyncio.gather(*(write_and_ask(number) for number in range(100))))


async def test_one_who_gives_up_waiting_for_the_end_takes_it_from_nobody(feed: Feed):
    asking = [asyncio.create_task(feed.end("todo")) for _ in range(20)]
    await asyncio.sleep(0)
    for task in asking[::3]:
        task.cancel()

    answers = await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), SECONDS)

    assert len({str(answer) for answer in answers if isinstance(answer, Position)}) == 1


async def test_a_position_is_printed_with_its_epoch(store: Store, feed: Feed):
    revision = (await put(store, "first")).revision

    end = await feed.end("todo")

    assert str(end) == f"{end.epoch.name}.{revision}"
    assert "." not in end.epoch.name
    assert 1_700_000_000_000 < end.epoch.base_ms < 4_000_000_000_000
