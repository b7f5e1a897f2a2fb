"""A page with Motia's React client and a token, on a gateway as it is deployed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from playwright.async_api import expect

from functions.todo.todo_stream import Todo
from streams import Stream
from streams.auth.revocations import Revocation, revoke
from streams.dev.nats_server import NatsServer
from streams.errors import NotLetIn
from streams.jetstream.connection import connected_to
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from tests.apps.conftest import fixture
from tests.clients.front import front_of
from tests.clients.react.pages import THEIRS, Generation, Window, Windows
from tests.clients.react.todo_app import TodoApp, line_down
from tests.gateway.waiting import until
from tests.guarded import guarded_gateway, own_group_only, provisioned
from tests.tokens import token

# One Chromium for all: it takes longer to start than any test takes to run.
pytestmark = [pytest.mark.chromium, pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

MINUTE = 60.0
REFUSED = "STREAM_ACCESS_DENIED"

todo = Stream("todo", Todo, can_access=own_group_only)


@fixture()
async def app(nats: NatsServer, namespace: Namespace) -> AsyncIterator[TodoApp]:
    """The todo app where everybody may see the list of their own name, and no other. It has no steps."""
    async with AsyncExitStack() as opened:
        connection = await opened.enter_async_context(connected_to(nats.url))
        await provisioned(connection, namespace, [todo])
        gateway = await opened.enter_async_context(guarded_gateway(connection, namespace, [todo]))
        line = await opened.enter_async_context(front_of(gateway.url))
        url = gateway.url.replace("ws", "http", 1)
        http = await opened.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False))
        yield TodoApp(url, line, KvStore(connection, namespace), http)


class Lists:
    """Opens windows on lists, with a token where each generation of the client can have one."""

    def __init__(self, windows: Windows, app: TodoApp) -> None:
        self._windows, self._app = windows, app

    async def open(self, generation: Generation, token: str | None, *groups: str) -> Window:
        """A window on the first of the groups, which can be turned to the others."""
        ws, query = self._app.line.url, {"groups": ",".join(groups)}
        if token is not None and generation == "0.2":
            ws = f"{ws}?authToken={token}"
        elif token is not None:
            query["token"] = token
        return await self._windows.open(generation, ws=ws, api=self._app.url, **query)


@pytest.fixture
def lists(windows: Windows, app: TodoApp) -> Lists:
    return Lists(windows, app)


def told_about(window: Window, group: str) -> list[str]:
    """What the window was told of a group: types of events, and codes of refusals."""
    events = [frame["event"] for frame in window.frames if frame.get("groupId") == group]
    return [event.get("code", event["type"]) for event in events]


async def test_a_page_with_a_token_shows_the_list_of_its_user_live(
    lists: Lists, app: TodoApp, generation: Generation
):
    await app.put("ann", "a", "Call mum")
    ann = await lists.open(generation, token("ann"), "ann")
    await ann.shows("Call mum")

    await app.put("ann", "b", "Buy milk")
    await ann.shows("Call mum", "Buy milk")
    await app.put("ann", "a", "Call dad")
    await ann.shows("Call dad", "Buy milk")
    await ann.open("Call dad")
    await app.put("ann", "a", "Call everybody")

    await expect(ann.opened).to_have_text("Call everybody")
    await ann.shows("Call everybody", "Buy milk")
    assert len(ann.sockets) == 1


def refusal(generation: Generation, code: str = REFUSED) -> list[str]:
    """The frames by which a client is refused: theirs understand an event, ours the other form."""
    return [code] if generation == "ours" else ["event", code]


async def test_the_list_of_somebody_else_stays_empty(lists: Lists, app: TodoApp, generation: Generation):
    await app.put("ann", "a", "Call mum")
    await app.put("bob", "b", "Buy a ring for Ann")
    ann = await lists.open(generation, token("ann"), "ann", "bob")
    await ann.shows("Call mum")

    await ann.switch_to("bob")
    await until(lambda: REFUSED in told_about(ann, "bob"))
    await app.put("bob", "b", "Buy a better ring")
    await ann.shows()

    await ann.switch_to("ann")
    await ann.shows("Call mum")
    assert told_about(ann, "bob") == refusal(generation)


async def test_a_page_without_a_token_shows_nothing(lists: Lists, app: TodoApp, generation: Generation):
    await app.put("ann", "a", "Call mum")

    nobody = await lists.open(generation, None, "ann")

    await until(lambda: REFUSED in told_about(nobody, "ann"))
    await nobody.shows()
    assert told_about(nobody, "ann") == refusal(generation)


async def test_a_page_hears_of_a_refusal_where_its_client_can(lists: Lists, app: TodoApp):
    await app.put("bob", "b", "Buy a ring for Ann")
    new, old = [await lists.open(generation, token("ann"), "bob") for generation in THEIRS]
    for window in (new, old):
        await until(lambda window=window: REFUSED in told_about(window, "bob"))

    # What is said before React has put the handlers in their places is lost: when the windows come
    # back, they are there.
    async with line_down(app, new, old):
        pass

    await expect(old.said_to_group.last).to_have_text(str(NotLetIn(REFUSED, "")))
    # The newer group hook hands out what could be listened to with the first items, and there are none.
    await until(lambda: told_about(new, "bob") == ["event", REFUSED] * 2)
    await expect(new.page.get_by_role("status")).to_have_text("Not listening yet")
    for window in (new, old):
        await window.shows()


async def test_a_page_whose_token_has_ended_is_told_nothing_more(lists: Lists, app: TodoApp):
    ending = token("ann", lasts=5)
    windows = [await lists.open(generation, ending, "ann") for generation in THEIRS]
    for window in windows:
        await until(lambda window=window: told_about(window, "ann") == ["sync"])

    for window in windows:
        await until(lambda window=window: window.is_away)
    await app.put("ann", "a", "Call mum")
    again = await lists.open("0.17", token("ann"), "ann")

    await again.shows("Call mum")
    for window in windows:
        # It has tried again.
        await until(lambda window=window: len(window.sockets) > 1 and window.is_away)
        await window.shows()
        assert told_about(window, "ann") == ["sync"]


async def test_pages_hear_that_a_group_was_revoked(lists: Lists, app: TodoApp, generation: Generation):
    now = time.time()
    await app.put("ann", "a", "Call mum")
    pages = [await lists.open(generation, token("ann", made=now - MINUTE), "ann") for _ in range(2)]
    for page in pages:
        await page.listens()
        await page.shows("Call mum")

    await revoke(app.store, Revocation(None, "todo", "ann", now - MINUTE / 2))
    for page in pages:
        await expect(page.said_to_group).to_have_count(1)
    await app.put("ann", "b", "Buy milk")
    again = await lists.open(generation, token("ann", made=now), "ann")

    await again.shows("Call mum", "Buy milk")
    for page in pages:
        # Theirs go on showing what they may not see any more.
        await page.shows(*([] if generation == "ours" else ["Call mum"]))
        assert told_about(page, "ann") == ["sync", *refusal(generation, "TOKEN_REVOKED")]
