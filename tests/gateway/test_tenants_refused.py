"""What a tenant hears who asks for groups of another: a refusal, which says nothing.

Nothing can be said, because nothing is known of what is stored when it is said.
"""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack

import orjson
import pytest
import pytest_asyncio

from streams import bound_to
from streams.gateway.server import listening
from streams.memory import MemoryStore
from tests.browser import Browser
from tests.gateway.two_tenants import FOREIGN, MARK, OURS, THEIRS, busy_with, of, sent, todo, watching
from tests.gateway.walled import Walled, walled_hub


@pytest.fixture
def walled() -> Walled:
    return Walled(MemoryStore(["todo"]))


@pytest_asyncio.fixture
async def behind_a_wall(walled: Walled, opened: AsyncExitStack) -> Browser:
    """A gateway on a store that tells when it is touched."""
    sock = socket.create_server(("127.0.0.1", 0))
    hub = await opened.enter_async_context(walled_hub(walled))
    await opened.enter_async_context(listening(hub, sock))
    return Browser(f"ws://127.0.0.1:{sock.getsockname()[1]}/", opened)


@pytest.mark.parametrize("item_id", [None, "1"], ids=["group", "item"])
@pytest.mark.parametrize("tenant", [OURS, None])
async def test_a_refused_join_touches_nothing_that_is_stored(
    walled: Walled, behind_a_wall: Browser, tenant: str | None, item_id: str | None
):
    await busy_with(walled.memory, "acme:inbox")
    tab = await of(tenant, behind_a_wall)
    walled.forbids = lambda _: True

    for group in FOREIGN:
        await tab.join("todo", group, item_id)
        frame = await tab.next()
        assert (frame["streamName"], frame["groupId"], frame["id"]) == ("todo", group, item_id)
        assert (frame["event"]["type"], frame["event"]["code"]) == ("unauthorized", "STREAM_ACCESS_DENIED")

    assert await tab.nothing_came()
    assert walled.touched == []


@pytest.mark.parametrize("item_id", [None, "1"], ids=["group", "item"])
@pytest.mark.parametrize("tenant", [OURS, None])
async def test_a_refused_event_touches_nothing_either(
    walled: Walled, behind_a_wall: Browser, tenant: str | None, item_id: str | None
):
    tab = await of(tenant, behind_a_wall)
    walled.forbids = lambda _: True

    for number, group in enumerate(FOREIGN):
        await tab.say(sent(group, item_id, ref=number))
        answer = await tab.next()
        assert (answer["type"], answer["code"], answer["ref"]) == ("error", "SEND_DENIED", number)

    assert walled.touched == []


@pytest.mark.parametrize("is_extended", [True, False], ids=["extended", "plain"])
@pytest.mark.parametrize("watched", [True, False], ids=["watched", "unwatched"])
async def test_a_refusal_is_the_same_whatever_there_is(
    walled: Walled, behind_a_wall: Browser, is_extended: bool, watched: bool
):
    with bound_to(walled.memory):
        await todo.set("acme:busy", "here", {"text": MARK})
    if watched:
        await watching(THEIRS, behind_a_wall, "acme:busy")
    tab = await of(OURS, behind_a_wall, is_extended=is_extended)

    refusals = set()
    for group in ("acme:busy", "acme:void"):
        for item_id in (None, "here", "nope"):
            await tab.join("todo", group, item_id)
            said = b"\n".join([await tab.next_frame() for _ in range(1 if is_extended else 2)])
            own = orjson.dumps(group), b'"id":' + orjson.dumps(item_id)
            assert all(name in said for name in own)
            refusals.add(said.replace(own[0], b"GROUP").replace(own[1], b"ID"))

    assert len(refusals) == 1
    assert await tab.nothing_came()


async def test_the_answer_to_a_refused_event_is_the_same_whatever_there_is(
    walled: Walled, behind_a_wall: Browser
):
    with bound_to(walled.memory):
        await todo.set("acme:busy", "here", {"text": MARK})
    them, tab = await watching(THEIRS, behind_a_wall, "acme:busy"), await of(OURS, behind_a_wall)

    answers = set()
    for group in ("acme:busy", "acme:void", "nobody:void"):
        for item_id in (None, "here", "nope"):
            await tab.say(sent(group, item_id))
            answers.add(await tab.next_frame())

    assert len(answers) == 1
    assert await them.nothing_came()


async def test_asking_again_after_a_refusal_is_refused_the_same(walled: Walled, behind_a_wall: Browser):
    await busy_with(walled.memory, "acme:inbox")
    tab = await of(OURS, behind_a_wall)
    walled.forbids = lambda _: True

    for subscription in ("s", "s", "other"):
        await tab.join("todo", "acme:inbox", subscription=subscription)
        await tab.next_frame()

    assert len(set(tab.frames[1:])) == 1
    assert walled.touched == []


async def test_a_subscription_of_ours_that_is_turned_to_a_room_of_theirs_hears_of_neither(
    walled: Walled, behind_a_wall: Browser
):
    tab = await of(OURS, behind_a_wall)
    await tab.join("todo", "ac:inbox", subscription="s")
    await tab.next()
    await tab.join("todo", "acme:inbox", subscription="s")
    assert (await tab.next_event())["type"] == "unauthorized"

    await busy_with(walled.memory, "acme:inbox")
    await busy_with(walled.memory, "ac:inbox")

    assert await tab.nothing_came()


async def test_a_room_of_ours_stays_when_one_of_theirs_is_refused(walled: Walled, behind_a_wall: Browser):
    tab = await watching(OURS, behind_a_wall, "ac:inbox")
    await tab.join("todo", "acme:inbox")
    assert (await tab.next_event())["type"] == "unauthorized"

    with bound_to(walled.memory):
        await todo.set("acme:inbox", "1", {"text": MARK})
        await todo.set("ac:inbox", "1", {"text": "ours"})

    assert (await tab.next_event())["data"] == {"id": "1", "text": "ours"}
    assert await tab.nothing_came()
