"""The page on a line that breaks, lies or says nothing: crafted frames, and a clock that a test moves."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from playwright.async_api import WebSocketRoute, expect

from tests.apps.conftest import SECONDS, People, Screen, fixture

# One Chromium for all: it takes longer to start than any test takes to run.
pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]


class Wire:
    """The gateway, played by the test: it sends what no healthy one would."""

    def __init__(self) -> None:
        self._sockets: asyncio.Queue[WebSocketRoute] = asyncio.Queue()
        self._heard: asyncio.Queue[Any] = asyncio.Queue()

    @property
    def is_called(self) -> bool:
        return not self._sockets.empty()

    def take(self, socket: WebSocketRoute) -> None:
        socket.on_message(lambda message: self._heard.put_nowait(json.loads(message)))
        self._sockets.put_nowait(socket)

    async def socket(self) -> WebSocketRoute:
        """The next socket that the page opens."""
        async with asyncio.timeout(SECONDS):
            return await self._sockets.get()

    async def heard(self) -> Any:
        """The next message that the page sends, on whichever socket."""
        async with asyncio.timeout(SECONDS):
            return await self._heard.get()

    async def joined(self) -> WebSocketRoute:
        """The next socket, with its join."""
        socket = await self.socket()
        data = {"streamName": "todo", "groupId": "inbox", "subscriptionId": "inbox"}
        assert await self.heard() == {"type": "join", "data": data}
        return socket


def frame(event: dict[str, Any], **fields: Any) -> str:
    message = {"type": "stream", "timestamp": 1, "streamName": "todo", "groupId": "inbox", "id": None}
    return json.dumps({**message, **fields, "event": event})


def sync(position: int, *ids: str) -> str:
    return frame({"type": "sync", "data": [todo(item_id) for item_id in ids]}, at=f"e.{position}")


def changed(kind: str, revision: int, item_id: str, text: str | None = None) -> str:
    return frame({"type": kind, "data": todo(item_id, text)}, id=item_id, rev=revision)


def todo(item_id: str, text: str | None = None) -> dict[str, Any]:
    return {"id": item_id, "description": text or item_id, "completed_at": None}


@pytest.fixture
def wire() -> Wire:
    return Wire()


@fixture()
async def eve(people: People, wire: Wire, dev_url: str) -> Screen:
    """A screen that talks to `wire`, whose clock stands still, and whose dice show the highest number."""
    screen = await people.screen()
    await screen.page.add_init_script("Math.random = () => 1")
    await screen.page.clock.install(time=0)
    await screen.page.clock.pause_at(1)
    await screen.page.route_web_socket(re.compile("^ws:"), wire.take)
    await screen.page.goto(dev_url)
    return screen


async def test_an_item_never_goes_back_to_an_older_revision(eve: Screen, wire: Wire) -> None:
    socket = await wire.joined()
    socket.send(sync(5, "a", "b"))

    socket.send(changed("update", 5, "b", "in the sync already"))
    socket.send(changed("update", 8, "a", "newest"))
    socket.send(changed("update", 7, "a", "older"))
    socket.send(changed("create", 6, "a", "older still"))
    socket.send(changed("delete", 4, "a"))
    socket.send(changed("create", 9, "c"))

    await eve.shows("newest", "b", "c")


async def test_a_create_of_what_is_there_and_an_update_of_what_is_not_end_in_the_same_list(
    eve: Screen, wire: Wire
) -> None:
    socket = await wire.joined()
    socket.send(sync(5, "a"))

    socket.send(changed("create", 6, "a", "A"))
    socket.send(changed("update", 7, "b", "B"))
    socket.send(changed("delete", 8, "c"))

    await eve.shows("A", "B")


async def test_a_sync_replaces_everything(eve: Screen, wire: Wire) -> None:
    socket = await wire.joined()
    socket.send(sync(50, "a", "b", "c"))
    await eve.shows("a", "b", "c")

    socket.send(sync(2, "c", "a"))
    socket.send(changed("update", 3, "a", "A"))

    await eve.shows("c", "A")


async def test_a_room_that_is_refused_says_why(eve: Screen, wire: Wire) -> None:
    socket = await wire.joined()

    socket.send(frame({"type": "event", "event": {"type": "error", "data": {"code": "C"}}}))
    socket.send(frame({"type": "unauthorized", "code": "C", "message": "there is no stream 'todo'"}))

    await expect(eve.status).to_have_text("Refused")
    await expect(eve.problem).to_have_text("there is no stream 'todo'")


async def test_a_page_that_lost_its_line_says_so_and_comes_back_with_the_new_state(
    eve: Screen, wire: Wire
) -> None:
    await expect(eve.status).to_have_text("Connecting")
    socket = await wire.joined()
    socket.send(sync(1, "a"))
    await expect(eve.status).to_have_text("Live")

    await socket.close(code=1012, reason="service restart")
    await expect(eve.status).to_have_text("Reconnecting")
    await expect(eve.page.get_by_role("list")).to_have_css("opacity", "0.65")
    await eve.shows("a")

    await eve.page.clock.run_for(500)
    (await wire.joined()).send(sync(9, "a", "b"))
    await expect(eve.status).to_have_text("Live")
    await expect(eve.page.get_by_role("list")).to_have_css("opacity", "1")
    await eve.shows("a", "b")


async def test_every_try_waits_up_to_twice_as_long_but_never_over_thirty_seconds(
    eve: Screen, wire: Wire
) -> None:
    for milliseconds in (500, 1000, 2000, 4000, 8000, 16000, 30000, 30000):
        await (await wire.socket()).close()
        await expect(eve.status).to_have_text("Reconnecting")
        await eve.page.clock.run_for(milliseconds - 1)
        assert not wire.is_called
        await eve.page.clock.run_for(1)


async def test_a_line_that_was_good_starts_the_waiting_anew(eve: Screen, wire: Wire) -> None:
    for _ in range(3):
        socket = await wire.joined()
        socket.send(sync(1))
        await expect(eve.status).to_have_text("Live")
        await socket.close()
        await expect(eve.status).to_have_text("Reconnecting")
        await eve.page.clock.run_for(500)


async def test_a_page_whose_network_is_back_does_not_wait(eve: Screen, wire: Wire) -> None:
    await (await wire.joined()).close()
    await expect(eve.status).to_have_text("Reconnecting")

    await eve.page.evaluate("dispatchEvent(new Event('online'))")

    (await wire.joined()).send(sync(1, "a"))
    await eve.shows("a")


async def test_a_line_that_answers_is_kept(eve: Screen, wire: Wire) -> None:
    socket = await wire.joined()
    socket.send(sync(1))
    await expect(eve.status).to_have_text("Live")

    for revision in (2, 3, 4):
        await eve.page.clock.run_for(20_000)
        assert await wire.heard() == {"type": "ping"}
        socket.send('{"type":"pong"}')
        # What was sent after the pong is shown after the pong was read.
        socket.send(changed("update", revision, "a", f"{revision}"))
        await eve.shows(f"{revision}")

    await expect(eve.status).to_have_text("Live")
    assert not wire.is_called


async def test_a_dead_line_is_noticed_and_left(eve: Screen, wire: Wire) -> None:
    (await wire.joined()).send(sync(1, "a"))
    await expect(eve.status).to_have_text("Live")

    await eve.page.clock.run_for(20_000)
    assert await wire.heard() == {"type": "ping"}
    await eve.page.clock.run_for(10_000)
    await expect(eve.status).to_have_text("Reconnecting")

    await eve.page.clock.run_for(500)
    (await wire.joined()).send(sync(2, "a", "b"))
    await eve.shows("a", "b")


async def test_a_socket_that_opens_and_says_nothing_is_left(eve: Screen, wire: Wire) -> None:
    await wire.joined()

    await eve.page.clock.run_for(10_000)

    await expect(eve.status).to_have_text("Reconnecting")
