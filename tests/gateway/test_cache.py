"""What a gateway holds of its groups is bounded; what was let go is read again when somebody wants it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import orjson
import pytest
import pytest_asyncio

from streams.errors import StoreUnavailable
from streams.gateway import cache as module
from streams.gateway import states, values
from streams.memory import MemoryStore
from streams.messages import CLOSE_INTERNAL_ERROR, Room
from streams.store import Delta, EpochChanged, Position, Records, bound_to
from tests.gateway.returning import Returning
from tests.gateway.stalling import Site, site_on, todo
from tests.gateway.waiting import until

ITEMS = 10
BYTES = 1000
"""Of each of them, and a little more."""

MOST = ITEMS * BYTES * 5


class Bucket(MemoryStore):
    """Notes what is read of it, and fails as the test says."""

    def __init__(self) -> None:
        super().__init__(["todo"])
        self.read: list[str] = []
        """Groups, and items by their names."""
        self.requests = 0
        self.raises: list[Exception] = []
        """What the next reads raise, last first."""

    async def changes(self, room: Room, after: int, at_least: Position) -> Delta:
        self._note([room])
        return await super().changes(room, after, at_least)

    async def changes_of(self, stream: str, rooms: list[Room], after: int, at_least: Position) -> Records:
        self._note(rooms)
        return await super().changes_of(stream, rooms, after, at_least)

    def forget(self, group: str, item_id: str) -> None:
        """The item is gone, and what would say so as well."""
        self._buckets["todo"].end += 1
        del self._buckets["todo"].newest[group, item_id]

    def _note(self, rooms: list[Room]) -> None:
        self.requests += 1
        self.read += [room.id or room.group for room in rooms]
        if self.raises:
            raise self.raises.pop()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    """There is room for the values of about two and a half groups, and for the frames that show them."""
    store = Bucket()
    async with site_on(store, store, cache_bytes=MOST) as site:
        for group in ("inbox", "other", "third"):
            for number in range(ITEMS):
                await site.written(group, f"{group}{number}", BYTES)
        yield site


def bucket(site: Site) -> Bucket:
    assert isinstance(site.store, Bucket)
    return site.store


def are_here(site: Site, group: str) -> bool:
    audience = site.hub.audiences.get(Room("todo", group))
    assert audience is not None
    return not audience.follower.group.absent_bytes


async def let_go(site: Site, group: str = "inbox") -> None:
    """Have the values of a group, which is watched, let go."""
    site.hub.cache._most_bytes, most = 0, site.hub.cache._most_bytes
    await site.written(group, f"{group}0", BYTES)
    await until(lambda: not are_here(site, group))
    site.hub.cache._most_bytes = most
    bucket(site).read.clear()
    bucket(site).requests = 0


async def test_the_values_of_the_largest_group_that_was_not_needed_for_long_go_first(site: Site):
    await site.client("inbox")
    await site.client("other")
    assert all(are_here(site, group) for group in ("inbox", "other"))

    await site.client("third")

    await until(lambda: site.hub.cache.bytes <= MOST)
    assert [are_here(site, group) for group in ("inbox", "other", "third")] == [False, True, True]
    assert site.hub.measures.values_let_go == ITEMS


async def test_groups_that_nobody_watches_go_before(site: Site):
    client = await site.client()
    left = await client.join("other")
    await client.join("inbox")
    client.leave(left)
    await client.settled()
    client.rooms.drop("other")

    await client.join("third")

    await until(lambda: site.hub.audiences.get(Room("todo", "other")) is None)
    assert are_here(site, "inbox")
    assert site.hub.measures.values_let_go == 0


async def test_who_watches_such_a_group_hears_of_every_change_and_nothing_is_read_for_it(site: Site):
    watching = await site.client("inbox")
    await let_go(site)

    await site.written("inbox", "inbox3", 10)
    await site.written("inbox", "new", 10)
    with bound_to(site.store):
        await todo.delete("inbox", "inbox4")

    await watching.shows("inbox", await site.items("inbox"))
    gone = orjson.loads(watching.frames[-2])
    assert gone["event"] == {"type": "delete", "data": {"id": "inbox4"}}
    assert bucket(site).read == []


async def test_who_joins_makes_the_group_be_read_once(site: Site):
    await site.client("inbox")
    await let_go(site)

    clients = [await site.client("inbox") for _ in range(3)]

    for client in clients:
        await client.shows("inbox", await site.items("inbox"))
    assert bucket(site).read == ["inbox"]
    assert site.hub.measures.values_read >= ITEMS


async def test_who_joins_an_item_makes_it_be_read_alone(site: Site):
    await site.client("inbox")
    await let_go(site)
    client = await site.client()

    await client.join("inbox", "inbox7")

    await client.shows_item("inbox", "inbox7", await site.item("inbox", "inbox7"))
    assert bucket(site).read == ["inbox7"]


async def test_who_opens_the_end_makes_that_be_read_and_pages_what_they_hold(
    site: Site, opened: AsyncExitStack
):
    await site.client("inbox")
    await let_go(site)
    chat = Returning(last=3)
    await chat.come(site.url, opened)
    assert len(chat.held.items) == 3
    assert bucket(site).read == ["inbox7", "inbox8", "inbox9"]

    await chat.page(2)

    assert list(chat.held.items) == (await site.items("inbox"))[-5:]
    assert bucket(site).read[3:] == ["inbox5", "inbox6"]


async def test_who_comes_back_makes_what_changed_be_read(site: Site, opened: AsyncExitStack):
    returning = Returning()
    await returning.come(site.url, opened)
    await site.client("inbox")
    await returning.go()
    await site.written("inbox", "inbox2", BYTES)
    await let_go(site)

    await returning.come(site.url, opened)

    assert list(returning.held.items) == await site.items("inbox")
    assert sorted(bucket(site).read) == ["inbox0", "inbox2"]


@pytest.mark.parametrize("single_bytes", [0, 10**9], ids=["the whole state", "what changed"])
async def test_who_was_behind_is_told_what_items_are_by_then(
    site: Site, monkeypatch: pytest.MonkeyPatch, single_bytes: int
):
    monkeypatch.setattr("streams.gateway.catching_up.SINGLE_BYTES", single_bytes)
    await site.watched("inbox", "other")
    slow = await site.client("inbox", "other")

    await site.fall_behind(slow, "other")
    for number in range(ITEMS - 2):
        await site.set("inbox", f"inbox{number}", BYTES)
    await let_go(site)
    await let_go(site, "other")

    for group in ("inbox", "other"):
        await slow.shows(group, await site.items(group))


async def test_a_group_is_read_again_for_who_is_sent_it_in_parts(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(states, "PART_BYTES", 2 * BYTES)
    await site.client("inbox")
    await let_go(site)

    client = await site.client("inbox", is_extended=True)

    await client.shows("inbox", await site.items("inbox"))
    assert bucket(site).read == ["inbox"]


async def test_what_vanished_without_a_trace_meanwhile_is_gone(site: Site, monkeypatch: pytest.MonkeyPatch):
    watching = await site.client("inbox")
    await let_go(site)
    bucket(site).forget("inbox", "inbox8")
    client = await site.client()

    await client.join("inbox", "inbox8")

    await client.shows_item("inbox", "inbox8", None)
    await watching.shows("inbox", await site.items("inbox"))
    assert bucket(site).read == ["inbox8", "inbox"]


async def test_where_values_cannot_be_read_the_socket_is_closed_and_no_other(site: Site):
    watching = await site.client("inbox")
    await let_go(site)
    bucket(site).raises = [StoreUnavailable("not now")]
    client = await site.client()

    client.ask_for("inbox")

    assert await client.ended() == CLOSE_INTERNAL_ERROR
    await site.written("inbox", "new")
    await watching.shows("inbox", await site.items("inbox"))


async def test_where_a_page_cannot_be_read_the_socket_is_closed(site: Site, opened: AsyncExitStack):
    await site.client("inbox")
    chat = Returning(last=3)
    await chat.come(site.url, opened)
    await let_go(site)
    bucket(site).raises = [StoreUnavailable("not now")]

    say_page = {"subscriptionId": "s", "before": chat.held.items[0]["id"], "last": 2}
    await chat.tab.say({"type": "page", "data": say_page})

    assert (await chat.tab.closed())[0] == CLOSE_INTERNAL_ERROR


async def test_in_a_new_epoch_what_was_let_go_is_void(site: Site):
    await site.client("inbox")
    await let_go(site)
    bucket(site).raises = [EpochChanged()]
    client = await site.client("inbox")

    await client.shows("inbox", await site.items("inbox"))


async def test_many_items_are_asked_for_in_several_requests(
    site: Site, monkeypatch: pytest.MonkeyPatch, opened: AsyncExitStack
):
    monkeypatch.setattr(values, "AT_ONCE", 2)
    await site.client("inbox")
    await let_go(site)
    chat = Returning(last=5)

    await chat.come(site.url, opened)

    assert list(chat.held.items) == (await site.items("inbox"))[-5:]
    assert bucket(site).requests == 3
