"""The longest names, items and events that every store takes, and what is longer."""

from __future__ import annotations

import pytest

from streams.changes import MAX_EVENT_BYTES, MAX_VALUE_BYTES
from streams.errors import EventRefused, ItemRefused
from streams.keys import MAX_NAME_BYTES
from streams.messages import Room
from streams.store import Feed, Store
from tests.store.heard import listening
from tests.store.writes import address, delete, put

LONGEST = "." * MAX_NAME_BYTES
"""A name of which every byte must be written with three."""


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

    async with listening(store, feed, LONGEST) as heard:
        written = await put(store, "long", longest)
        await store.send("todo", LONGEST, LONGEST, b'{"type":"typing"}')
        position = await feed.end("todo")
        change, event = await heard.next(), await heard.next()

    found = await store.get(longest)
    assert found == change
    assert await store.get_group("todo", LONGEST) == [found]
    assert (await feed.changes(Room("todo", LONGEST), 0, position)).changes == [found]
    assert event.id == LONGEST
    assert (await delete(store, longest)).old == found.value
    assert written.revision == found.revision
