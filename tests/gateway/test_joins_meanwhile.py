"""What may happen between a join and its answer: the group ends, gets a rule, or its client stops reading."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import pytest_asyncio

from streams import Stream, bound_to
from streams.access import ANONYMOUS
from streams.auth.rules import OwnRules
from streams.changes import ItemDeleted, ItemSet
from streams.gateway import audience as audiences
from streams.gateway.access import Access
from streams.gateway.audience import Audience
from streams.gateway.hub import Hub
from streams.gateway.measures import Measures
from streams.gateway.server import listening
from streams.memory import MemoryStore
from streams.messages import Room
from streams.store import Delta, Epoch, Position
from tests.browser import Browser
from tests.gateway.test_held_frames import InDoubt
from tests.gateway.waiting import until
from tests.tokens import VERIFIER

todo = Stream("todo", dict)


class Place:
    """A gateway that may not know what was revoked, and which lets go of groups at once."""

    def __init__(self) -> None:
        self.memory, self.revoked = MemoryStore(["todo"]), InDoubt()
        self.hub: Hub
        self.browser: Browser


@pytest_asyncio.fixture
async def place(opened: AsyncExitStack) -> AsyncIterator[Place]:
    place, sock = Place(), socket.create_server(("127.0.0.1", 0))
    rules = await opened.enter_async_context(OwnRules.running((), None))
    access = Access(VERIFIER, rules, place.revoked, place.memory)
    place.hub = await opened.enter_async_context(
        Hub.running(place.memory, access, place.memory, linger_seconds=0, look_for_losses_seconds=0.1)
    )
    await opened.enter_async_context(listening(place.hub, sock))
    place.browser = Browser(f"ws://127.0.0.1:{sock.getsockname()[1]}/", opened)
    with bound_to(place.memory):
        yield place


async def test_a_group_that_was_let_go_while_its_join_was_confirmed_is_followed_again(place: Place):
    tab = await place.browser.open()
    place.revoked.known.clear()
    await tab.join("todo", "inbox")
    await until(lambda: place.revoked.asked > 0 and place.hub.watched_groups == 0)

    place.revoked.known.set()

    assert (await tab.next_event())["type"] == "sync"
    await todo.set("inbox", "a", {"v": 1})
    assert (await tab.next_event())["type"] == "create"


async def test_a_rule_that_comes_while_a_join_is_confirmed_is_asked(place: Place):
    tab = await place.browser.open()
    await todo.set("inbox", "a", {"v": 1})
    place.revoked.known.clear()
    await tab.join("todo", "inbox")
    await until(lambda: place.revoked.asked > 0)

    bucket = place.memory._buckets["todo"]
    bucket.epoch = replace(bucket.epoch, is_guarded=True)
    place.revoked.known.set()

    # Nobody here knows the rule, so nobody may.
    assert (await tab.next())["event"]["event"]["data"]["code"] == "STREAM_ACCESS_DENIED"
    assert (await tab.next_event())["type"] == "unauthorized"
    await todo.set("inbox", "a", {"v": 2})
    assert await tab.nothing_came()


async def test_one_that_cannot_be_told_what_it_missed_is_closed_and_nobody_else_is(
    place: Place, monkeypatch: pytest.MonkeyPatch
):
    slow, other = await place.browser.join("todo", "inbox"), await place.browser.join("todo", "inbox")
    slow.socket.transport.pause_reading()
    for number in range(60):
        await todo.set("inbox", "a", {"v": number, "filler": "x" * 200_000})
        assert (await other.next_event())["data"]["v"] == number
    await until(lambda: place.hub.behind == 1)

    def fails(*_: object) -> bool:
        raise RuntimeError("a bug")

    monkeypatch.setattr(audiences, "is_most", fails)
    slow.socket.transport.resume_reading()

    assert (await slow.closed())[0] == 1011
    await todo.set("inbox", "a", {"v": 60})
    assert (await other.next_event())["data"]["v"] == 60


class Ear:
    """A watcher without a socket."""

    caller, is_behind, unread_bytes = ANONYMOUS, True, 0

    def __init__(self, session: str) -> None:
        self.session = session
        self.questions = asyncio.Semaphore()


def test_one_that_stops_reading_before_it_has_joined_leaves_nothing_wrong_behind():
    audience, room = (
        Audience(MemoryStore(), Room("todo", "inbox"), Measures(), lambda _: None),
        Room("todo", "inbox"),
    )
    audience.joining = 1
    audience.follower.group.catch_up(Delta([], Position(Epoch("e", 0), 1)))
    here, joining, later = Ear("here"), Ear("joining"), Ear("later")
    audience.add(here, room)

    audience.fall_behind(joining)
    audience.follower.hear(ItemSet("a", 2, b'{"id":"a"}', 2, 5, 5))
    audience.take()
    audience.remove(here, room)
    audience.follower.hear(ItemDeleted("a", 3, 5))
    audience.add(later, room)
    audience.fall_behind(later)
    audience.follower.hear(ItemSet("a", 4, b'{"id":"a"}', 4, 5, 5))
    audience.take()

    frames = audience.catch_up(later, [room])
    assert [re.search(rb'"event":{"type":"(\w+)"', frame)[1] for frame in frames] == [b"create"]
