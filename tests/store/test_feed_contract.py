"""What every feed does, whatever it is made of: see `streams.store.Feed`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from streams.changes import Change, EventSent, ItemDeleted, ItemSet, Stored
from streams.errors import UnknownStream
from streams.gateway.group import Group
from streams.keys import Address
from streams.store import Epoch, EpochChanged, Feed, Position, Store

SECONDS = 10.0
"""How long a test waits for something that should happen."""

LOOKALIKES = ["a", "a.", "a.b", "a.*", "a.>", "*", ">", "A", "a/b", "ab", "=", "a=2Eb", "_event", "_meta"]
"""Groups that would hear of each other if their names reached NATS as they are."""

LAST = b'{"type":"last"}'


def address(item_id: str = "1", group: str = "inbox") -> Address:
    return Address("todo", group, item_id)


def value(content: Any) -> bytes:
    return json.dumps({"value": content}).encode()


async def put(store: Store, what: Any, at: Address | None = None) -> int:
    """Write an item, whatever there is. Its revision."""
    revision = (await store.write(at or address(), lambda _: value(what))).revision
    assert revision is not None
    return revision


async def delete(store: Store, at: Address | None = None) -> int:
    revision = (await store.write(at or address(), lambda _: None)).revision
    assert revision is not None
    return revision


class Heard:
    """What came, in order."""

    def __init__(self, store: Store, group: str) -> None:
        self.store, self.group = store, group
        self.changes: asyncio.Queue[Change] = asyncio.Queue()

    async def next(self) -> Change:
        return await asyncio.wait_for(self.changes.get(), SECONDS)

    async def all(self) -> list[Change]:
        """Everything that was written or sent before this call: an event comes behind it."""
        await self.store.send("todo", self.group, None, LAST)
        came: list[Change] = []
        while (change := await self.next()) != EventSent(None, LAST):
            came.append(change)
        return came


@asynccontextmanager
async def listening(store: Store, feed: Feed, group: str = "inbox") -> AsyncIterator[Heard]:
    heard = Heard(store, group)
    async with feed.listening("todo", group, heard.changes.put_nowait, lambda: None):
        yield heard


async def read(feed: Feed, after: int = 0, group: str = "inbox") -> list[Stored]:
    return (await feed.changes("todo", group, after, await feed.end("todo"))).changes


# Listening.


async def test_a_write_is_heard_as_it_is_stored(store: Store, feed: Feed):
    async with listening(store, feed) as heard:
        await put(store, "first")

        assert await heard.next() == await store.get(address())


async def test_a_replaced_item_is_heard_with_its_place_of_creation(store: Store, feed: Feed):
    created = await put(store, "first")

    async with listening(store, feed) as heard:
        await put(store, "second")

        change = await heard.next()
        assert change == await store.get(address())
        assert change.created == created


async def test_a_delete_is_heard(store: Store, feed: Feed):
    await put(store, "first")

    async with listening(store, feed) as heard:
        revision = await delete(store)

        change = await heard.next()
        assert isinstance(change, ItemDeleted)
        assert (change.id, change.revision) == ("1", revision)


async def test_deleting_what_is_not_there_is_not_heard(store: Store, feed: Feed):
    async with listening(store, feed) as heard:
        await store.write(address(), lambda _: None)

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
        await asyncio.gather(*(put(store, number, address(str(number % 3))) for number in range(60)))
        came = await heard.all()

    assert len(came) == 60
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


# The end.


async def test_the_end_rises_with_every_write_and_names_the_newest(store: Store, feed: Feed):
    for doing in (
        put(store, "first"),
        put(store, "second"),
        delete(store),
        put(store, "x", address("2", "other")),
    ):
        before = await feed.end("todo")
        revision = await doing
        after = await feed.end("todo")

        assert after.epoch == before.epoch
        assert before.revision < revision == after.revision


async def test_an_event_does_not_move_the_end(store: Store, feed: Feed):
    before = await feed.end("todo")

    await store.send("todo", "inbox", None, b'{"type":"typing"}')

    assert await feed.end("todo") == before


async def test_the_end_is_never_older_than_the_question_however_many_ask(store: Store, feed: Feed):
    async def write_and_ask(number: int) -> bool:
        revision = await put(store, number, address(str(number)))
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
    revision = await put(store, "first")

    end = await feed.end("todo")

    assert str(end) == f"{end.epoch.name}.{revision}"
    assert "." not in end.epoch.name
    assert 1_700_000_000_000 < end.epoch.base_ms < 4_000_000_000_000


# Reading what changed.


async def test_a_read_from_nothing_finds_every_item(store: Store, feed: Feed):
    await put(store, "first", address("b"))
    await put(store, "first", address("a"))

    assert await read(feed) == await store.get_group("todo", "inbox")


async def test_a_read_of_an_empty_group_is_complete_to_the_end(store: Store, feed: Feed):
    await put(store, "first", address("1", "other"))
    end = await feed.end("todo")

    delta = await feed.changes("todo", "inbox", 0, end)

    assert delta.changes == []
    assert delta.position == end


async def test_a_read_finds_only_what_is_newer_and_of_every_item_the_newest(store: Store, feed: Feed):
    await put(store, "first", address("old"))
    await put(store, "first", address("twice"))
    after = await put(store, "first", address("once"))
    await put(store, "second", address("twice"))
    await put(store, "third", address("twice"))
    await put(store, "first", address("new"))

    changes = await read(feed, after)

    assert changes == [await store.get(address("twice")), await store.get(address("new"))]


async def test_a_read_from_the_end_finds_nothing(store: Store, feed: Feed):
    await put(store, "first")

    assert await read(feed, (await feed.end("todo")).revision) == []


async def test_a_read_finds_deletes(store: Store, feed: Feed):
    await put(store, "first", address("a"))
    after = await put(store, "first", address("b"))
    deleted = await delete(store, address("a"))
    await put(store, "second", address("b"))

    gone, changed = await read(feed, after)

    assert isinstance(gone, ItemDeleted)
    assert (gone.id, gone.revision) == ("a", deleted)
    assert changed == await store.get(address("b"))


async def test_a_read_is_in_the_order_of_revisions(store: Store, feed: Feed):
    await asyncio.gather(*(put(store, number, address(str(number % 7))) for number in range(30)))

    revisions = [change.revision for change in await read(feed)]

    assert len(revisions) == 7
    assert revisions == sorted(revisions)


@pytest.mark.parametrize("group", LOOKALIKES)
async def test_a_read_finds_nothing_of_groups_whose_names_look_alike(store: Store, feed: Feed, group: str):
    await asyncio.gather(*(put(store, other, address("1", other)) for other in LOOKALIKES))

    assert await read(feed, group=group) == [await store.get(address("1", group))]


async def test_a_read_is_complete_to_the_position_that_was_asked_for_or_further(store: Store, feed: Feed):
    for number in range(20):
        revision = await put(store, number)
        end = await feed.end("todo")

        delta = await feed.changes("todo", "inbox", 0, end)

        assert delta.position.epoch == end.epoch
        assert delta.position.revision >= revision
        assert [change.revision for change in delta.changes] == [revision]


async def test_a_read_while_others_write_is_complete_to_its_position(store: Store, feed: Feed):
    group, written = Group(), asyncio.Event()

    async def write() -> None:
        for number in range(150):
            if number % 3 == 2:
                await delete(store, address(str(number - 1)))
            else:
                await put(store, number, address(str(number)))
        written.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        while not written.is_set() or group.position != await feed.end("todo"):
            after = 0 if group.position is None else group.position.revision
            group.catch_up(await feed.changes("todo", "inbox", after, await feed.end("todo")))
            await asyncio.sleep(0)  # A store in memory never waits, and so would let nobody write.

    found = [(item.id, item.revision) for item in await store.get_group("todo", "inbox")]
    assert [(item.id, item.revision) for item in group.items()] == found
    assert len(found) == 50


async def test_who_listens_first_and_reads_second_misses_nothing(store: Store, feed: Feed):
    group = Group()

    async def write(start: int) -> None:
        for number in range(start, 150, 3):
            await put(store, number, address(str(number % 40)))

    writing = asyncio.gather(*(write(start) for start in range(3)))
    await put(store, "before")
    async with listening(store, feed) as heard:
        group.catch_up(await feed.changes("todo", "inbox", 0, await feed.end("todo")))
        await writing
        for change in await heard.all():
            group.apply(change)

    found = [(item.id, item.revision) for item in await store.get_group("todo", "inbox")]
    assert [(item.id, item.revision) for item in group.items()] == found


async def test_a_large_group_is_read_whole_and_in_part(store: Store, feed: Feed):
    for start in range(0, 1500, 250):
        await asyncio.gather(*(put(store, n, address(str(n))) for n in range(start, start + 250)))
    after = (await feed.end("todo")).revision
    changed = await put(store, "changed", address("7"))
    deleted = await delete(store, address("1499"))

    whole, part = await read(feed), await read(feed, after)

    assert len(whole) == 1500
    assert [change.revision for change in whole] == sorted(change.revision for change in whole)
    assert [(change.id, change.revision) for change in part] == [("7", changed), ("1499", deleted)]
    assert whole[-2:] == part


async def test_large_items_are_read_whole_and_in_order(store: Store, feed: Feed):
    for number in range(12):
        await put(store, str(number % 10) * 450_000, address(str(number)))

    changes = await read(feed)

    assert [change.id for change in changes] == [str(number) for number in range(12)]
    assert changes == await store.get_group("todo", "inbox")


async def test_a_position_of_another_epoch_means_nothing(store: Store, feed: Feed):
    await put(store, "first")
    end = await feed.end("todo")

    with pytest.raises(EpochChanged):
        await feed.changes("todo", "inbox", 0, Position(Epoch("another", end.epoch.base_ms), end.revision))


async def test_a_stream_that_does_not_exist_is_refused(feed: Feed):
    end = await feed.end("todo")

    with pytest.raises(UnknownStream, match=r"^there is no stream 'nothing'; "):
        await feed.end("nothing")
    with pytest.raises(UnknownStream, match=r"^there is no stream 'nothing'; "):
        await asyncio.wait_for(feed.changes("nothing", "inbox", 0, end), 3)


async def test_everybody_who_asks_for_a_stream_that_does_not_exist_is_refused(feed: Feed):
    answers = await asyncio.gather(*(feed.end("nothing") for _ in range(20)), return_exceptions=True)

    assert {type(answer) for answer in answers} == {UnknownStream}
