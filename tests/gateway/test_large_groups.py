"""Groups that are large: sent in parts as they are read, opened at their end, or refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from streams import Stream, bound_to
from streams.envelope import Envelope
from streams.gateway import states as module
from streams.gateway.group import Group
from streams.gateway.states import States
from streams.memory import MemoryStore
from tests.conftest import Gateway, gateway_on
from tests.core.changes_made import delta, group_of, item_set
from tests.gateway.returning import Returning
from tests.gateway.rooms import INBOX
from tests.gateway.stalling import FILLING_BYTES, Client, Site, site_on
from tests.gateway.waiting import until

todo = Stream("todo", dict)
PARTS = 8


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_BYTES", FILLING_BYTES * 2)


@pytest.fixture
def few_for_plain_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PLAIN_BYTES", FILLING_BYTES * 2)


@pytest_asyncio.fixture
async def memory() -> AsyncIterator[Site]:
    store = MemoryStore(["todo"])
    async with site_on(store, store) as site:
        yield site


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """With nine messages in a chat."""
    store = MemoryStore(["todo"])
    async with gateway_on(store) as gateway:
        with bound_to(store):
            for number in range(9):
                await todo.set("inbox", f"m{number}", {"n": number})
            yield gateway


@pytest_asyncio.fixture
async def chat(gateway: Gateway, opened: AsyncExitStack) -> Returning:
    """Somebody who has opened the newest three of them."""
    chat = Returning(last=3)
    await chat.come(gateway.url, opened)
    return chat


async def asked_and_behind(site: Site, *, group: str = "inbox") -> tuple[Client, str]:
    """A client that does not read, when it is sent more than it takes; and its subscription."""
    client, behind = await site.client(is_extended=True), site.hub.behind
    client.stop()
    subscription = client.ask_for(group)
    await until(lambda: site.hub.behind > behind)
    return client, subscription


async def fill(site: Site, items: int) -> None:
    for number in range(items):
        await site.written("inbox", f"item {number:02}", FILLING_BYTES)


# In parts.


async def test_a_large_group_comes_in_parts_and_the_last_one_has_the_position(
    memory: Site, small_parts: None
):
    await fill(memory, PARTS)
    client = await memory.client("inbox", is_extended=True)

    syncs = [frame for frame in client.frames if b'"sync"' in frame]
    assert len(syncs) == PARTS
    assert [b'"at"' in frame for frame in syncs] == [False] * (PARTS - 1) + [True]
    await client.shows("inbox", await memory.items("inbox"))


async def test_what_changes_meanwhile_is_told_after_the_last_part(memory: Site, small_parts: None):
    await fill(memory, 4 * PARTS)
    client, _ = await asked_and_behind(memory)

    await memory.written("inbox", "item 00", 10)
    await memory.written("inbox", "new", 10)
    await client.shows("inbox", await memory.items("inbox"))

    assert [kind for _, kind in client.rooms.kinds] == ["sync", "update", "create"]


async def test_all_who_are_sent_parts_at_a_time_share_them(
    memory: Site, small_parts: None, monkeypatch: pytest.MonkeyPatch
):
    made = []
    whole = States.parts

    def counted(states: States) -> list[bytes]:
        made.append(states)
        return whole(states)

    monkeypatch.setattr(States, "parts", counted)
    await fill(memory, 4 * PARTS)
    clients = []
    for _ in range(3):
        clients.append((await asked_and_behind(memory))[0])
        await memory.written("inbox", "item 00", 10)
    for client in clients:
        await client.shows("inbox", await memory.items("inbox"))

    assert len(made) == 1


async def test_who_leaves_before_the_last_part_is_sent_no_more_of_them(memory: Site, small_parts: None):
    await fill(memory, 4 * PARTS)
    client, subscription = await asked_and_behind(memory)

    client.leave(subscription)
    client.go_on()
    await client.settled()

    assert not client.rooms.has("inbox")
    assert not memory.hub.audiences.get(INBOX)._behind


# For clients that take one piece only.


async def test_a_group_that_is_too_large_is_refused_to_plain_clients_and_no_others(
    memory: Site, few_for_plain_clients: None
):
    await fill(memory, 3)
    plain, extended = await memory.client(), await memory.client("inbox", is_extended=True)

    plain.ask_for("inbox")
    await plain.until(lambda: bool(plain.rooms.refused))

    assert plain.rooms.refused == [("inbox", None)]
    assert b'"GROUP_TOO_LARGE"' in plain.frames[-1]
    await extended.shows("inbox", await memory.items("inbox"))


async def test_one_item_of_it_is_not_refused(memory: Site, few_for_plain_clients: None):
    await fill(memory, 3)

    client = await memory.client()
    await client.join("inbox", "item 01")

    await client.shows_item("inbox", "item 01", await memory.item("inbox", "item 01"))


async def test_who_needs_all_of_a_group_that_has_grown_too_large_loses_it(
    memory: Site, monkeypatch: pytest.MonkeyPatch
):
    await fill(memory, 2)
    await memory.watched("inbox")
    monkeypatch.setattr(module, "MOST_PLAIN_BYTES", 100 * FILLING_BYTES)
    client = await memory.client("inbox")
    await client.join("inbox", "item 01")
    await memory.fall_behind(client, item_id="item 00")

    monkeypatch.setattr(module, "MOST_PLAIN_BYTES", 2 * FILLING_BYTES)
    for number in range(2, 90):
        await memory.written("inbox", f"item {number:02}", FILLING_BYTES)
    client.go_on()
    await client.until(lambda: bool(client.rooms.refused))

    assert client.rooms.refused == [("inbox", None)]
    # One item of it is no larger than it was.
    await client.shows_item("inbox", "item 01", await memory.item("inbox", "item 01"))


# From its end.


def test_windows_of_any_size_are_not_all_kept():
    group = group_of(*(item_set(number, str(number)) for number in range(1, 200)))
    states = States(Envelope("chat", "room"), lambda: group)

    for count in range(1, 200):
        assert states.window(count) == states.window(count)

    assert len(states._made) <= module.MOST_MADE


async def test_a_chat_of_fifty_thousand_opens_with_little():
    group = Group()
    group.catch_up(delta(50_000, *(item_set(number, f"message {number}") for number in range(1, 50_001))))
    states = States(Envelope("chat", "room"), lambda: group)

    assert len(states.window(50)) <= 30_000


async def test_the_newest_items_come_first_and_pages_lead_to_the_beginning(
    chat: Returning,
):
    assert [item["n"] for item in chat.held.items] == [6, 7, 8]
    pages = []
    while chat.held.more:
        await chat.page(3)
        pages.append([item["n"] for item in chat.held.items])

    assert pages == [[3, 4, 5, 6, 7, 8], [0, 1, 2, 3, 4, 5, 6, 7, 8]]


async def test_what_is_new_comes_and_what_is_older_than_the_window_stays_away(chat: Returning):
    await todo.set("inbox", "m1", {"n": 100})
    await todo.set("inbox", "m7", {"n": 700})
    await todo.set("inbox", "m9", {"n": 9})
    await todo.delete("inbox", "m0")
    await todo.delete("inbox", "m8")
    for _ in range(5):
        await chat.next()

    assert [item["n"] for item in chat.held.items] == [6, 700, 9]


async def test_who_comes_back_to_the_newest_items_gets_them_anew(
    chat: Returning, gateway: Gateway, opened: AsyncExitStack
):
    await chat.go()
    await todo.set("inbox", "m9", {"n": 9})

    await chat.come(gateway.url, opened)

    assert [item["n"] for item in chat.held.items] == [7, 8, 9]
    assert chat.kinds == ["sync", "sync"]


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({"type": "page", "data": {"subscriptionId": "s", "before": "gone", "last": 3}}, "ITEM_NOT_FOUND"),
        ({"type": "page", "data": {"subscriptionId": "x", "before": "m6", "last": 3}}, "NOT_JOINED"),
        ({"type": "page", "data": {"subscriptionId": "s", "before": "m6", "last": 0}}, "BAD_MESSAGE"),
        ({"type": "page", "data": {"subscriptionId": "s", "before": "m6"}}, "BAD_MESSAGE"),
        ({"type": "ids", "data": {"subscriptionId": "x"}}, "NOT_JOINED"),
        ({"type": "ids", "data": {}}, "BAD_MESSAGE"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
async def test_a_question_that_has_no_answer_is_told_so(chat: Returning, question: object, code: str):
    await chat.tab.say(question)

    assert (await chat.tab.next())["code"] == code


async def test_a_page_holds_no_more_than_a_part_but_one_item_at_least(
    chat: Returning, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "PART_BYTES", 1)

    await chat.page(3)

    assert [item["n"] for item in chat.held.items] == [5, 6, 7, 8]
    assert chat.held.more
