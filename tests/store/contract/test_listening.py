"""What every feed tells who listens, whatever the feed is made of: see `streams.store.Feed`."""

from __future__ import annotations

import asyncio
import json

import pytest

from streams.changes import EventSent, ItemDeleted, ItemSet
from streams.store import Feed, Store
from tests.store.heard import listening
from tests.store.writes import LOOKALIKES, address, delete, put, value


async def test_what_was_written_is_heard_as_what_get_finds(store: Store, feed: Feed):
    async with listening(store, feed) as heard:
        await put(store, "first")
        found = await store.get(address())
        deleted = await delete(store)
        changes = [await heard.next(), await heard.next()]

    assert changes[0] == found
    assert isinstance(changes[1], ItemDeleted)
    assert (changes[1].id, changes[1].revision) == ("1", deleted.revision)


async def test_a_write_is_heard_as_it_is_stored(store: Store, feed: Feed):
    async with listening(store, feed) as heard:
        await put(store, "first")

        assert await heard.next() == await store.get(address())


async def test_a_replaced_item_is_heard_with_its_place_of_creation(store: Store, feed: Feed):
    created = (await put(store, "first")).revision

    async with listening(store, feed) as heard:
        await put(store, "second")

        change = await heard.next()
        assert change == await store.get(address())
        assert change.created == created


async def test_a_delete_is_heard(store: Store, feed: Feed):
    await put(store, "first")

    async with listening(store, feed) as heard:
        revision = (await delete(store)).revision

        change = await heard.next()
        assert isinstance(change, ItemDeleted)
        assert (change.id, change.revision) == ("1", revision)


async def test_deleting_what_is_not_there_is_not_heard(store: Store, feed: Feed):
    async with listening(store, feed) as heard:
        await delete(store)

        assert await heard.all() == []


@pytest.mark.parametrize("item_id", [None, "1", "_event", "=", "a.b", "日本"])
async def test_an_event_is_heard_with_what_it_is_about(store: Store, feed: Feed, item_id: str | None):
    async with listening(store, feed) as heard:
        await store.send("todo", "inbox", item_id, b'{"type":"typing","data":{"by":"Ann"}}')

        assert await heard.next() == EventSent(item_id, b'{"type":"typing","data":{"by":"Ann"}}')


async def test_an_event_without_listeners_is_kept_for_nobody(store: Store, feed: Feed):
    await store.send("todo", "inbox", None, b'{"type":"typing"}')

    async with listening(store, feed) as heard:
        assert await heard.all() == []


async def test_changes_of_an_item_come_in_the_order_of_their_revisions(store: Store, feed: Feed):
    async with listening(store, feed) as heard:
        written = await asyncio.gather(
            *(put(store, number, address(str(number % 3))) for number in range(60))
        )
        came = await heard.all()

    assert {change.revision for change in came} == {done.revision for done in written}
    for item_id in "012":
        revisions = [change.revision for change in came if change.id == item_id]
        assert revisions == sorted(revisions)


async def test_events_come_in_the_order_in_which_they_were_sent(store: Store, feed: Feed):
    events = [b'{"type":"token","data":%d}' % number for number in range(50)]

    async with listening(store, feed) as heard:
        for event in events:
            await store.send("todo", "inbox", "1", event)

        assert await heard.all() == [EventSent("1", event) for event in events]


async def test_an_item_called_like_an_event_is_an_item(store: Store, feed: Feed):
    async with listening(store, feed) as heard:
        await put(store, "first", address("_event"))
        await put(store, "first", address("="))

        assert [(type(change), change.id) for change in await heard.all()] == [
            (ItemSet, "_event"),
            (ItemSet, "="),
        ]


@pytest.mark.parametrize("group", LOOKALIKES)
async def test_a_group_does_not_hear_of_groups_whose_names_look_alike(store: Store, feed: Feed, group: str):
    async with listening(store, feed, group) as heard:
        for other in LOOKALIKES:
            await put(store, other, address("1", other))
            await store.send("todo", other, "1", value(other)[:-1] + b',"type":"typing"}')
        item, event = await heard.all()

    assert item == await store.get(address("1", group))
    assert json.loads(event.event)["value"] == group


async def test_everybody_who_listens_hears_it(store: Store, feed: Feed):
    async with listening(store, feed) as ann, listening(store, feed) as bob:
        await put(store, "first")

        assert await ann.next() == await bob.next() == await store.get(address())


async def test_nothing_is_heard_after_the_block(store: Store, feed: Feed):
    async with listening(store, feed) as gone:
        pass
    async with listening(store, feed) as heard:
        await put(store, "first")
        await heard.next()

    assert gone.changes.empty()


async def test_one_who_leaves_takes_nothing_from_the_others(store: Store, feed: Feed):
    async with listening(store, feed) as heard:
        async with listening(store, feed):
            pass
        await put(store, "first")

        assert await heard.next() == await store.get(address())
