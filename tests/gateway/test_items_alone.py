"""Items that are joined without their group: what is followed for them, and what is told of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from streams.changes import Change
from streams.gateway import audiences as module
from streams.memory import MemoryStore
from streams.messages import Room
from streams.store import Delta, Position, bound_to
from tests.gateway.rooms import INBOX
from tests.gateway.stalling import Site, site_on, todo
from tests.gateway.waiting import until

A = Room("todo", "inbox", "a")
B = Room("todo", "inbox", "b")


class Overheard(MemoryStore):
    """Notes what comes of it, and keeps changes back from who follows what the test names."""

    def __init__(self) -> None:
        super().__init__(["todo"])
        self.heard: list[tuple[Room, str | None]] = []
        """Who it came to, and of which item."""
        self.read: list[Room] = []
        self.deaf: set[Room] = set()
        self.after_end: Callable[[], Awaitable[None]] | None = None
        """What happens, once, when somebody has just been told how far the bucket has come."""

    @asynccontextmanager
    async def listening(
        self, room: Room, deliver: Callable[[Change], None], lost: Callable[[], None]
    ) -> AsyncIterator[None]:
        def hear(change: Change) -> None:
            self.heard.append((room, change.id))
            if room not in self.deaf:
                deliver(change)

        async with super().listening(room, hear, lost):
            yield

    async def end(self, stream: str) -> Position:
        end, happens, self.after_end = await super().end(stream), self.after_end, None
        if happens is not None:
            await happens()
        return end

    async def changes(self, room: Room, after: int, at_least: Position) -> Delta:
        self.read.append(room)
        return await super().changes(room, after, at_least)


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    store = Overheard()
    async with site_on(store, store, linger_seconds=0.0) as site:
        yield site


def followed(site: Site) -> set[Room]:
    return {audience.room for audience in site.hub.audiences}


def overheard(site: Site) -> Overheard:
    assert isinstance(site.store, Overheard)
    return site.store


async def test_an_item_is_followed_alone(site: Site):
    await site.written("inbox", "a")
    await site.written("inbox", "b")
    client = await site.client()
    await client.join("inbox", "a")

    await site.written("inbox", "b")
    await site.written("inbox", "a")

    await client.shows_item("inbox", "a", await site.item("inbox", "a"))
    assert overheard(site).heard == [(A, "a")]
    assert overheard(site).read == [A]
    assert followed(site) == {A}


async def test_all_who_join_an_item_have_it_followed_once(site: Site):
    await site.written("inbox", "a")
    clients = [await site.client() for _ in range(3)]
    for client in clients:
        await client.join("inbox", "a")

    await site.written("inbox", "a")

    for client in clients:
        await client.shows_item("inbox", "a", await site.item("inbox", "a"))
    assert overheard(site).heard == [(A, "a")]


async def test_events_of_the_item_come_and_others_do_not(site: Site):
    client = await site.client()
    await client.join("inbox", "a")

    with bound_to(site.store):
        await todo.send("inbox", {"type": "to all"})
        await todo.send({"groupId": "inbox", "id": "b"}, {"type": "to b"})
        await todo.send({"groupId": "inbox", "id": "a"}, {"type": "to a"})

    await client.until(lambda: bool(client.rooms.events))
    await client.settled()
    assert client.rooms.events == [("inbox", "a", {"type": "to a", "data": None})]


async def test_an_item_of_a_group_that_is_followed_needs_nothing_more(site: Site):
    await site.written("inbox", "a")
    await site.client("inbox")
    client = await site.client()

    await client.join("inbox", "a")

    await site.written("inbox", "a")
    await client.shows_item("inbox", "a", await site.item("inbox", "a"))
    assert followed(site) == {INBOX}


async def test_where_many_items_are_watched_their_group_is_followed(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "ITEMS_ALONE", 2)
    client = await site.client()

    for item_id in "abcd":
        await client.join("inbox", item_id)
    await client.join("other", "a")

    assert followed(site) == {A, B, INBOX, Room("todo", "other", "a")}
    for item_id in "abcd":
        await site.written("inbox", item_id)
    for item_id in "abcd":
        await client.shows_item("inbox", item_id, await site.item("inbox", item_id))
    assert client.rooms.kinds.count(("a", "create")) == 1


async def test_items_that_are_left_make_room_for_others(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "ITEMS_ALONE", 1)
    client = await site.client()
    subscription = await client.join("inbox", "a")

    client.leave(subscription)
    await until(lambda: not followed(site))
    await client.join("inbox", "b")

    assert followed(site) == {B}


async def test_who_joins_the_group_as_well_hears_of_a_change_once(site: Site):
    await site.written("inbox", "a")
    client = await site.client()
    await client.join("inbox", "a")
    await client.join("inbox")

    await site.written("inbox", "a")
    await site.written("inbox", "b")

    await client.shows("inbox", await site.items("inbox"))
    await client.shows_item("inbox", "a", await site.item("inbox", "a"))
    assert client.rooms.kinds == [("a", "sync"), (None, "sync"), ("a", "update"), ("b", "create")]
    await until(lambda: followed(site) == {INBOX})


async def test_who_has_the_group_and_joins_an_item_that_others_have_alone_hears_of_a_change_once(site: Site):
    alone, client = await site.client(), await site.client()
    await alone.join("inbox", "a")
    await client.join("inbox")
    await client.join("inbox", "a")

    await site.written("inbox", "a")

    item = await site.item("inbox", "a")
    for each in (alone, client):
        await each.shows_item("inbox", "a", item)
        assert each.rooms.kinds_of("a") == ["sync", "create"]
    assert followed(site) == {A, INBOX}


async def test_who_leaves_the_group_again_still_has_the_item(site: Site):
    client = await site.client()
    await client.join("inbox", "a")
    group = await client.join("inbox")

    client.leave(group)
    await client.settled()
    client.rooms.drop("inbox")
    await site.written("inbox", "b")
    await site.written("inbox", "a")

    await client.shows_item("inbox", "a", await site.item("inbox", "a"))
    assert client.rooms.kinds_of("b") == []


@pytest.mark.parametrize("is_deleted", [False, True], ids=["written", "deleted"])
@pytest.mark.parametrize("deaf", [A, INBOX], ids=["the item's feed", "the group's feed"])
async def test_whichever_feed_is_later_nobody_is_told_twice_or_what_was_before(
    site: Site, deaf: Room, is_deleted: bool
):
    await site.written("inbox", "a")
    client = await site.client()
    await client.join("inbox", "a")
    watching = await site.client("inbox")
    assert followed(site) == {A, INBOX}

    async def write() -> None:
        overheard(site).deaf.add(deaf)
        if is_deleted:
            with bound_to(site.store):
                await todo.delete("inbox", "a")
        else:
            await site.written("inbox", "a")

    # When the gateway has just asked how far the bucket has come, so that it takes the group for complete.
    overheard(site).after_end = write
    await client.join("inbox")

    item = await site.item("inbox", "a")
    await client.shows_item("inbox", "a", item)
    for each in (client, watching):
        await each.shows("inbox", [item] if item else [])
    assert len(client.rooms.revisions) <= 1
    await until(lambda: followed(site) == {INBOX})


async def test_who_falls_behind_with_an_item_alone_is_told_what_it_is_by_then(site: Site):
    await site.watched("inbox", "other")
    client = await site.client("other")
    await client.join("inbox", "a")

    await site.fall_behind(client, "other")
    await site.set("inbox", "a")
    await site.set("inbox", "a")

    await client.shows_item("inbox", "a", await site.item("inbox", "a"))
    assert client.rooms.kinds_of("a") == ["sync", "create"]
