"""One client does not read: what it costs the others, and what is counted of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from streams.memory import MemoryStore
from streams.store import bound_to
from tests.gateway.rooms import INBOX
from tests.gateway.stalling import Site, site_on, todo


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    store = MemoryStore(["todo"])
    async with site_on(store, store) as site:
        await site.watched("inbox", "other")
        yield site


async def said(site: Site, group: str, what: str, item_id: str | None = None) -> None:
    """Send an event, and wait until it is heard by who reads."""
    assert site.watchful is not None
    heard, event = site.watchful.rooms.events, (group, item_id, {"type": what, "data": None})
    with bound_to(site.store):
        await todo.send(group if item_id is None else {"groupId": group, "id": item_id}, {"type": what})
    await site.watchful.until(lambda: event in heard)


async def test_who_reads_is_told_every_change_in_its_order_and_nothing_else(site: Site):
    slow = await site.client("inbox")

    await site.fall_behind(slow)
    for number in range(300):
        await site.set("inbox", f"item {number % 7}", 2000)
        if number % 11 == 0:
            await site.delete("inbox", f"item {number % 7}")

    assert site.watchful is not None
    assert site.watchful.rooms.revisions == site.revisions
    assert site.hub.behind == 1


async def test_an_event_is_dropped_for_who_does_not_read_and_is_counted(site: Site):
    slow, item = await site.client("inbox"), await site.client("inbox")
    for client in (slow, item):
        await client.join("inbox", "a")

    await site.fall_behind(slow)
    await said(site, "inbox", "to the group")
    await said(site, "inbox", "to the item", "a")
    await said(site, "inbox", "to another item", "b")
    await said(site, "other", "to another group")
    assert site.hub.measures.dropped == 3

    await slow.shows("inbox", await site.items("inbox"))
    await said(site, "inbox", "afterwards")
    await slow.settled()
    assert [event["type"] for _, _, event in slow.rooms.events] == ["afterwards"]
    assert site.hub.measures.dropped == 3
    assert len(item.rooms.events) == 4


async def test_who_watches_an_item_alone_misses_its_events_and_no_others(site: Site):
    slow = await site.client("other")
    await slow.join("inbox", "a")

    await site.fall_behind(slow, "other")
    await said(site, "inbox", "to the group")
    await said(site, "inbox", "to another item", "b")
    assert site.hub.measures.dropped == 0
    await said(site, "inbox", "to the item", "a")
    assert site.hub.measures.dropped == 1


async def test_an_event_is_dropped_for_each_of_those_who_do_not_read(site: Site):
    for _ in range(2):
        await site.fall_behind(await site.client("inbox"))

    await said(site, "inbox", "to the group")

    assert site.hub.measures.dropped == 2


async def test_changes_that_were_not_told_one_by_one_are_counted(site: Site):
    for number in range(100):
        await site.set("inbox", f"item {number}", 1000)
    slow = await site.client("inbox")

    await site.fall_behind(slow)
    for _ in range(10):
        await site.set("inbox", "item 3")
        await site.set("inbox", "item 4")
    await slow.shows("inbox", await site.items("inbox"))

    # Of what was written since it joined.
    not_told = len(site.revisions) - 100 - len(slow.rooms.revisions)
    assert site.hub.measures.conflated == not_told
    assert not_told >= 18


async def test_what_waits_is_told_while_it_waits(site: Site):
    slow = await site.client("inbox")
    assert (site.hub.behind, site.hub.unread_bytes) == (0, 0)

    await site.fall_behind(slow)
    unread = site.hub.unread_bytes
    for _ in range(50):
        await site.set("inbox", "filling", 30_000)
    assert site.hub.behind == 1
    assert site.hub.unread_bytes == unread > 0

    await slow.shows("inbox", await site.items("inbox"))
    assert (site.hub.behind, site.hub.unread_bytes) == (0, 0)


async def test_nothing_is_kept_of_what_changed_when_nobody_is_behind_any_more(site: Site):
    slow = await site.client("inbox")

    await site.fall_behind(slow)
    for number in range(50):
        await site.set("inbox", f"item {number}")
    await slow.shows("inbox", await site.items("inbox"))

    assert not len(site.hub.audiences.get(INBOX)._behind.backlog)


async def test_what_is_kept_of_what_changed_follows_from_what_there_is_not_from_what_there_was(site: Site):
    """Somebody is always behind, and items come and go for ever."""
    behind, reading = await site.client("inbox"), await site.client("inbox")
    backlog = site.hub.audiences.get(INBOX)._behind.backlog

    await site.fall_behind(behind)
    for turn in range(8):
        for number in range(15):
            await site.set("inbox", f"{turn} {number}")
        await site.fall_behind(reading)
        for number in range(15):
            await site.delete("inbox", f"{turn} {number}")
        await behind.shows("inbox", await site.items("inbox"))
        assert site.hub.behind == 1
        assert len(backlog) <= 64
        behind, reading = reading, behind
