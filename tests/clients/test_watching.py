"""What Motia's clients hold after what was written: the same as the store."""

from __future__ import annotations

import asyncio

import pytest

from streams import Stream, bound_to
from streams.keys import Address
from tests.clients.driver import Client
from tests.conftest import Backend

todo = Stream("todo", dict)

pytestmark = pytest.mark.node


async def test_a_group_is_shown_in_the_order_of_creation(jetstream: Backend, motia: Client):
    with bound_to(jetstream.store):
        for name in ("c", "a", "b"):
            await todo.set("inbox", name, {"v": 1})
        await todo.set("inbox", "c", {"v": 2})

    inbox = motia.group("inbox")

    await inbox.shows([{"id": "c", "v": 2}, {"id": "a", "v": 1}, {"id": "b", "v": 1}])


async def test_an_empty_group_is_an_empty_list(motia: Client):
    inbox = motia.group("inbox")

    await inbox.shows([])
    assert motia.frames[0]["event"] == {"type": "sync", "data": []}


async def test_an_item_that_is_not_there_is_told_to_be_null(motia: Client):
    item = motia.item("inbox", "a")

    await item.shows(None)
    assert item.states == [None]


async def test_writes_show_in_the_group_and_in_the_item(jetstream: Backend, motia: Client):
    inbox, item = motia.group("inbox"), motia.item("inbox", "a")
    await inbox.shows([])
    await item.shows(None)

    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})
        await todo.update("inbox", "a", lambda old: {**old, "v": old["v"] + 1})
        await todo.set("inbox", "b", {"v": 1})
        await todo.delete("inbox", "a")
        await todo.set("inbox", "a", {"v": 3})

    one, two, three, b = {"id": "a", "v": 1}, {"id": "a", "v": 2}, {"id": "a", "v": 3}, {"id": "b", "v": 1}
    await inbox.shows([b, three])
    await item.shows(three)
    assert inbox.states == [[], [one], [two], [two, b], [b], [b, three]]
    assert item.states == [None, one, two, None, three]


async def test_a_burst_of_writes_ends_on_the_newest_in_the_group_and_in_the_item(
    jetstream: Backend, motia: Client
):
    inbox, item = motia.group("inbox"), motia.item("inbox", "a")
    await inbox.shows([])

    with bound_to(jetstream.store):
        for burst in range(20):
            await asyncio.gather(*(todo.set("inbox", "a", {"burst": burst, "v": v}) for v in range(20)))
            newest = await todo.get("inbox", "a")

            await inbox.shows([newest])
            await item.shows(newest)


async def test_every_write_of_a_burst_is_shown_once(jetstream: Backend, motia: Client):
    inbox, item = motia.group("inbox"), motia.item("inbox", "a")
    await item.shows(None)
    await inbox.shows([])

    with bound_to(jetstream.store):
        for v in range(200):
            await todo.set("inbox", "a", {"v": v})
    await inbox.shows([{"id": "a", "v": 199}])
    await item.shows({"id": "a", "v": 199})

    assert [state["v"] for state in item.states[1:]] == list(range(200))
    assert [state[0]["v"] for state in inbox.states[1:]] == list(range(200))


async def test_deletes_and_creates_by_turns_end_right(jetstream: Backend, motia: Client):
    inbox, item = motia.group("inbox"), motia.item("inbox", "a")
    await inbox.shows([])

    with bound_to(jetstream.store):
        for v in range(50):
            await todo.set("inbox", "a", {"v": v})
            await todo.delete("inbox", "a")
        await todo.set("inbox", "z", {"last": True})

    await inbox.shows([{"id": "z", "last": True}])
    await item.shows(None)


async def test_concurrent_deletes_and_creates_end_on_what_is_stored(jetstream: Backend, motia: Client):
    inbox, item = motia.group("inbox"), motia.item("inbox", "a")
    await inbox.shows([])

    with bound_to(jetstream.store):
        for v in range(20):
            await asyncio.gather(
                *(todo.set("inbox", "a", {"v": (v, n)}) for n in range(4)), todo.delete("inbox", "a")
            )
        left = await todo.get("inbox", "a")
        await todo.set("inbox", "z", {"last": True})

    await inbox.shows([*([left] if left else []), {"id": "z", "last": True}])
    await item.shows(left)


async def test_an_item_without_an_id_of_its_own_has_that_of_its_key(jetstream: Backend, motia: Client):
    inbox = motia.group("inbox")
    await inbox.shows([])

    for item_id, text in (("a", b'{"v":1}'), ("b", b'{"id":"something else","v":1}'), ("a", None)):
        await jetstream.store.write(Address("todo", "inbox", item_id), lambda _, text=text: text)

    await inbox.shows([{"id": "b", "v": 1}])


async def test_a_sort_key_sorts_what_the_gateway_sent(jetstream: Backend, motia: Client):
    inbox = motia.group("inbox", sort_key="title")

    with bound_to(jetstream.store):
        for name, title in (("1", "pear"), ("2", "apple"), ("3", "fig")):
            await todo.set("inbox", name, {"title": title})

    await inbox.shows(
        [{"id": "2", "title": "apple"}, {"id": "3", "title": "fig"}, {"id": "1", "title": "pear"}]
    )
