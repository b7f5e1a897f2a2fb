"""Whatever rooms a client has that does not read, and whatever becomes of them meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from streams.jetstream.bucket import provision
from streams.jetstream.connection import Connection
from streams.keys import Namespace
from streams.memory import MemoryStore
from tests.buckets import delete_bucket
from tests.conftest import Backend
from tests.everybody import NothingRevoked
from tests.gateway.house import House, of
from tests.gateway.stalling import FILLING_BYTES, Site, site_on
from tests.gateway.waiting import until

GROUPS = ("inbox", "other", "third")


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    store = MemoryStore(["todo"])
    async with site_on(store, store) as site:
        await site.watched(*GROUPS)
        yield site


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("is_extended", [True, False])
async def test_an_item_that_was_joined_by_itself_is_shown_as_it_is(
    site: Site, is_there: bool, is_extended: bool
):
    await site.set("inbox", "a")
    slow = await site.client(is_extended=is_extended)
    await slow.join("inbox", "a")

    await site.fall_behind(slow, item_id="a")
    told = len(slow.rooms.kinds)
    await site.set("inbox", "b", FILLING_BYTES)
    await site.delete("inbox", "a")
    await site.set("inbox", "a")
    if not is_there:
        await site.delete("inbox", "a")
    await slow.shows_item("inbox", "a", await site.item("inbox", "a"))

    # What was on its way before it was behind are updates.
    kinds = [kind for _, kind in slow.rooms.kinds[told:] if kind != "update"]
    assert kinds == (["delete", "create"] if is_there else ["delete"])
    assert slow.rooms.kinds_of("b") == []


async def test_an_item_that_was_not_there_is_made_once(site: Site):
    slow = await site.client("other")
    await slow.join("inbox", "a")

    await site.fall_behind(slow, "other")
    for _ in range(3):
        await site.set("inbox", "a")
        await site.delete("inbox", "a")
        await site.set("inbox", "a")
    await slow.shows_item("inbox", "a", await site.item("inbox", "a"))

    assert slow.rooms.kinds_of("a") == ["sync", "create"]


async def test_every_group_is_right_and_nothing_is_said_of_those_where_nothing_happened(site: Site):
    for group in GROUPS:
        await site.set(group, "a")
    slow = await site.client(*GROUPS)

    await site.fall_behind(slow, "inbox")
    told = len(slow.rooms.kinds)
    await site.set("other", "b")
    await site.delete("other", "a")
    await site.set("other", "a")

    for group in GROUPS:
        await slow.shows(group, await site.items(group))
    assert {item for item, _ in slow.rooms.kinds[told:]} == {"filling", "a", "b"}
    assert slow.rooms.kinds_of("a") == ["delete", "create"]


async def test_a_group_and_one_of_its_items_are_both_right_and_each_frame_comes_once(site: Site):
    await site.set("inbox", "a")
    slow = await site.client("inbox")
    await slow.join("inbox", "a")
    await slow.join("inbox", "filling")

    await site.fall_behind(slow)
    await site.set("inbox", "a")
    await site.set("inbox", "b")
    await site.delete("inbox", "filling")

    await slow.shows("inbox", await site.items("inbox"))
    await slow.shows_item("inbox", "a", await site.item("inbox", "a"))
    await slow.shows_item("inbox", "filling", None)
    assert slow.rooms.kinds_of("a") == ["sync", "update"]
    assert len(slow.rooms.revisions) == len(set(slow.rooms.revisions))


async def test_a_group_and_its_items_are_right_where_most_of_it_changed(site: Site):
    for number in range(20):
        await site.set("inbox", f"item {number}", FILLING_BYTES)
    slow = await site.client("inbox")
    await slow.join("inbox", "item 7")
    await slow.join("inbox", "item 8")
    await slow.join("inbox", "new")

    await site.fall_behind(slow, item_id="item 0")
    for number in range(20):
        await site.set("inbox", f"item {number}", FILLING_BYTES)
    await site.delete("inbox", "item 8")
    await site.set("inbox", "new")

    await slow.shows("inbox", await site.items("inbox"))
    for name in ("item 7", "item 8", "new"):
        await slow.shows_item("inbox", name, await site.item("inbox", name))


async def test_a_room_that_is_asked_for_while_behind_comes_afterwards_and_is_right(site: Site):
    await site.set("other", "a")
    await site.set("third", "a")
    slow = await site.client("inbox")

    await site.fall_behind(slow)
    slow.ask_for("other")
    slow.ask_for("third", "a")
    slow.ask_for("inbox")
    slow.ask_for("inbox", "new")
    await site.set("other", "b")
    await site.set("third", "a")
    await site.set("inbox", "new")
    slow.go_on()
    await slow.until(lambda: slow.rooms.has("other") and slow.rooms.has("third", "a"))
    await slow.until(lambda: slow.rooms.has("inbox", "new"))
    await site.set("other", "c")

    await slow.shows("inbox", await site.items("inbox"))
    await slow.shows("other", await site.items("other"))
    await slow.shows_item("third", "a", await site.item("third", "a"))
    await slow.shows_item("inbox", "new", await site.item("inbox", "new"))


async def test_what_is_left_while_behind_is_not_told_any_more(site: Site):
    slow = await site.client("inbox")
    other = await slow.join("other")
    await slow.join("other", "a")

    await site.fall_behind(slow)
    slow.leave(other)
    await site.set("other", "a")
    await site.set("other", "b")
    slow.go_on()
    await slow.settled()
    slow.rooms.drop("other")
    told = len(slow.rooms.kinds)
    await site.set("other", "b")
    await site.set("other", "a")

    await slow.shows_item("other", "a", await site.item("other", "a"))
    await slow.shows("inbox", await site.items("inbox"))
    assert slow.rooms.kinds[told:] == [("a", "update")]


async def test_nothing_is_left_of_one_who_goes_away_while_it_is_behind(site: Site):
    slow = await site.client("inbox", "other")
    await slow.join("inbox", "a")
    rooms = site.hub.watched_rooms

    await site.fall_behind(slow)
    slow.transport.abort()

    await until(lambda: site.hub.watched_rooms == rooms - 3)
    assert (site.hub.behind, site.hub.unread_bytes) == (0, 0)


async def test_what_is_taken_away_while_behind_is_not_told_when_it_reads_again():
    house = House()
    async with rebuilt(house) as site:
        await site.watched("inbox", "other")
        slow = await site.client("inbox", "other", is_extended=True, proof=of("bob"))
        await slow.join("inbox", "a")

        await site.fall_behind(slow)
        house.closed.add("other")
        await house.hub.guests.recheck_everybody()
        assert site.watchful is not None
        await site.watchful.until(lambda: ("other", None) in site.watchful.rooms.refused)
        await site.written("other", "secret")
        await site.set("inbox", "a")
        await slow.shows("inbox", await site.items("inbox"))

    assert slow.rooms.refused == [("other", None)]
    assert not [frame for frame in slow.frames if b"secret" in frame]


async def test_what_was_owed_of_a_room_that_is_taken_away_is_not_told_either():
    house = House()
    async with rebuilt(house) as site:
        await site.watched("inbox", "other")
        slow = await site.client("inbox", "other", is_extended=True, proof=of("bob"))
        await slow.join("other", "secret")

        await site.fall_behind(slow)
        await site.set("other", "secret")
        house.closed.add("other")
        await house.hub.guests.recheck_everybody()
        await site.set("inbox", "a")
        await slow.shows("inbox", await site.items("inbox"))

    assert sorted(slow.rooms.refused, key=str) == [("other", "secret"), ("other", None)]
    assert slow.rooms.kinds_of("secret") == ["sync"]


class InDoubt(NothingRevoked):
    """Nothing is revoked, which is not always known."""

    def __init__(self) -> None:
        self.known = asyncio.Event()
        self.known.set()

    @property
    def is_verified(self) -> bool:  # type: ignore[override]  # an attribute, where it is always so
        return self.known.is_set()

    async def current(self) -> None:
        await self.known.wait()


async def test_one_who_reads_again_while_revocations_are_not_known_is_told_nothing_until_they_are():
    house, revoked = House(), InDoubt()
    async with rebuilt(house, revoked) as site:
        await site.watched("inbox")
        slow = await site.client("inbox", is_extended=True, proof=of("bob"))
        await site.fall_behind(slow)

        revoked.known.clear()
        await site.written("inbox", "a")
        slow.go_on()
        await slow.settled()
        assert slow.rooms.kinds_of("a") == []

        revoked.known.set()
        await slow.shows("inbox", await site.items("inbox"))


async def test_one_who_is_behind_is_sent_away_when_the_bucket_is_made_anew(
    jetstream: Backend, connection: Connection, namespace: Namespace
):
    async with site_on(jetstream.store, jetstream.feed, look_for_losses_seconds=0.1) as site:
        await site.watched("inbox")
        slow = await site.client("inbox")
        await site.fall_behind(slow)

        await delete_bucket(connection, namespace)
        await provision(connection, namespace, "todo")

        assert await slow.ended() == 1012
        assert site.hub.behind == 0


@asynccontextmanager
async def rebuilt(house: House, revoked: InDoubt | None = None) -> AsyncIterator[Site]:
    """The site of an application that changes its mind."""
    async with house.open(revoked=revoked), AsyncExitStack() as clients:
        port = urlsplit(house.browser.url).port
        assert port is not None
        yield Site(house.store, house.hub, port, clients, proof=of("ann"))
