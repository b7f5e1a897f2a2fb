"""Which sockets are opened, and what is left of them when they end."""

from __future__ import annotations

import asyncio

import pytest
from websockets.exceptions import InvalidStatus

from streams.access import ANONYMOUS
from streams.messages import Join, Room
from tests.browser import SECONDS, Browser
from tests.conftest import Backend, Gateway
from tests.everybody import open_hub
from tests.gateway.waiting import until
from tests.tokens import token


async def test_the_subprotocol_is_echoed_without_the_token(browser: Browser):
    secret = token()

    tab = await browser.open(subprotocols=["Authorization", secret])

    assert tab.socket.subprotocol == "Authorization"
    assert secret not in str(tab.socket.response.headers)


@pytest.mark.parametrize("path", ["ws", "stream/todo/inbox?authToken={token}", "a/b/c?d=e"])
async def test_sockets_open_on_any_path(browser: Browser, path: str):
    tab = await browser.open(path.format(token=token()))

    await tab.join("todo", "inbox")

    assert (await tab.next_event())["type"] == "sync"


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://127.0.0.1", "https://[::1]:3000"])
async def test_pages_of_this_machine_may_open_sockets(browser: Browser, origin: str):
    tab = await browser.open(origin=origin)

    await tab.join("todo", "inbox")

    assert (await tab.next_event())["type"] == "sync"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost.evil.example", "null", "file://"]
)
async def test_pages_of_other_sites_may_not(browser: Browser, origin: str):
    with pytest.raises(InvalidStatus) as refused:
        await browser.open(origin=origin)

    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("how", ["close", "abort", "half-open"])
async def test_nothing_is_left_of_a_connection_however_it_ends(gateway: Gateway, browser: Browser, how: str):
    tab = await browser.join("todo", "inbox")
    (audience,) = gateway.hub.audiences
    assert len(audience.watchers()) == 1

    match how:
        case "close":
            await tab.close()
        case "abort":
            tab.socket.transport.abort()
        case "half-open":
            tab.socket.transport.write_eof()

    await until(lambda: not audience.watchers())


async def test_a_group_that_nobody_watches_any_more_is_let_go(jetstream: Backend, browser: Browser):
    async with open_hub(jetstream.feed, linger_seconds=0) as hub:
        watcher = _Watcher()
        hub.join(watcher, Join("s", watcher.room))
        async with asyncio.timeout(SECONDS):
            await watcher.got_something.wait()
        assert hub.watched_groups == 1

        hub.leave(watcher, watcher.room)

        await until(lambda: not hub.watched_groups)


class _Watcher:
    """A watcher without a socket."""

    caller = ANONYMOUS
    session = "watcher"
    is_behind, is_extended, unread_bytes = False, False, 0

    def __init__(self) -> None:
        self.room = Room("todo", "inbox")
        self.questions = asyncio.Semaphore()
        self.got_something = asyncio.Event()

    def write(self, frames: bytes) -> None:
        self.got_something.set()

    def close(self, code: int, reason: str) -> None:
        raise AssertionError(f"closed: {code} {reason}")

    cut = close

    def watches(self, room: object) -> bool:
        return True

    def rooms(self) -> set[Room]:
        return {self.room}

    def window(self, room: Room) -> None:
        return None

    def refuse(self, room: Room, code: str, sentence: str) -> None:
        raise AssertionError(f"refused: {code} {sentence}")
