"""Custom events, as Motia's clients hear them: in order, once, and none is lost on an open line."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from streams import Stream, bound_to
from tests.clients.driver import Client, Generation, Node
from tests.clients.front import front_of
from tests.conftest import Backend, gateway_on

todo = Stream("todo", dict)

pytestmark = pytest.mark.node


async def ping(group: str, item_id: str | None, data: object) -> None:
    channel = group if item_id is None else {"groupId": group, "id": item_id}
    await todo.send(channel, {"type": "ping", "data": data})


async def test_an_event_of_the_group_is_heard_by_the_group_alone(jetstream: Backend, motia: Client):
    inbox, item = motia.group("inbox"), motia.item("inbox", "a")
    await item.shows(None)
    await inbox.shows([])

    with bound_to(jetstream.store):
        await ping("inbox", None, "for all")
        await ping("inbox", "a", "for a")

    await inbox.heard(("ping", "for all"), ("ping", "for a"))
    await item.heard(("ping", "for a"))


async def test_an_event_of_another_item_is_heard_by_the_group_alone(jetstream: Backend, motia: Client):
    inbox, item = motia.group("inbox"), motia.item("inbox", "a")
    await item.shows(None)
    await inbox.shows([])

    with bound_to(jetstream.store):
        await ping("inbox", "b", 1)
        await ping("inbox", "a", 2)

    await inbox.heard(("ping", 1), ("ping", 2))
    await item.heard(("ping", 2))


async def test_no_event_and_no_write_is_lost_where_they_take_turns(jetstream: Backend, motia: Client):
    inbox, item = motia.group("inbox"), motia.item("inbox", "a")
    await item.shows(None)
    await inbox.shows([])

    with bound_to(jetstream.store):
        for v in range(100):
            await todo.set("inbox", "a", {"v": v})
            await ping("inbox", "a", v)
            await ping("inbox", "a", -v)

    every = [("ping", data) for v in range(100) for data in (v, -v)]
    await item.heard(*every)
    await inbox.heard(*every)
    assert [state["v"] for state in item.states[1:]] == list(range(100))


async def test_a_write_to_another_item_does_not_hide_an_event(jetstream: Backend, motia: Client):
    item = motia.item("inbox", "a")
    await item.shows(None)

    with bound_to(jetstream.store):
        for n in range(30):
            await ping("inbox", "a", n)
            await todo.set("inbox", "b", {"v": n})
            await todo.set("another group", "b", {"v": n})

    await item.heard(*(("ping", n) for n in range(30)))


async def test_a_thousand_events_without_a_write_are_all_heard(jetstream: Backend, motia: Client):
    inbox, item = motia.group("inbox"), motia.item("inbox", "a")
    await item.shows(None)
    await inbox.shows([])

    with bound_to(jetstream.store):
        for n in range(1000):
            await ping("inbox", "a", n)
        await todo.set("inbox", "a", {"v": 1})

    await item.shows({"id": "a", "v": 1})
    await item.heard(*(("ping", n) for n in range(1000)))
    await inbox.heard(*(("ping", n) for n in range(1000)))


async def test_events_are_heard_after_a_move_to_another_gateway(
    jetstream: Backend, node: Node, generation: Generation, opened: AsyncExitStack
):
    """F-B10, F-B12: no gateway knows how many events another one has sent since the last write."""
    one, two = [await opened.enter_async_context(gateway_on(jetstream.feed)) for _ in range(2)]
    front = await opened.enter_async_context(front_of(one.url))
    motia = node.open(generation, front.url)
    item = motia.item("inbox", "a")
    await item.shows(None)

    with bound_to(jetstream.store):
        for n in range(5):
            await ping("inbox", "a", n)
        await item.heard(*(("ping", n) for n in range(5)))
        front.targets = [two.url]
        await front.cut()
        await motia.is_open(times=2)
        await motia.settled()
        await motia.gets_frames(7)
        await ping("inbox", "a", 5)

    await item.heard(*(("ping", n) for n in range(6)))
