"""What every store and every feed says of a stream that does not exist."""

from __future__ import annotations

import asyncio

import pytest

from streams.errors import UnknownStream
from streams.messages import Room
from streams.store import Feed, Store
from tests.store.writes import address, content, put


async def test_a_stream_that_does_not_exist_is_refused_by_every_method(store: Store):
    for doing in (
        store.get(address(stream="nothing")),
        store.get_group("nothing", "inbox"),
        store.list_groups("nothing"),
        store.delete_group("nothing", "inbox"),
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


async def test_a_stream_that_does_not_exist_is_refused(feed: Feed):
    end = await feed.end("todo")

    with pytest.raises(UnknownStream, match=r"^there is no stream 'nothing'; "):
        await feed.end("nothing")
    with pytest.raises(UnknownStream, match=r"^there is no stream 'nothing'; "):
        await asyncio.wait_for(feed.changes(Room("nothing", "inbox"), 0, end), 3)


async def test_everybody_who_asks_for_a_stream_that_does_not_exist_is_refused(feed: Feed):
    answers = await asyncio.gather(*(feed.end("nothing") for _ in range(20)), return_exceptions=True)

    assert {type(answer) for answer in answers} == {UnknownStream}
