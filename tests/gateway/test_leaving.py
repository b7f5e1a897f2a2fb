"""A gateway that ends: its clients go one after the other, and are served until then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from websockets.exceptions import ConnectionClosed

from streams import Stream, bound_to
from streams.gateway import leaving
from streams.memory import MemoryStore
from tests.browser import Browser, Tab
from tests.conftest import gateway_on

todo = Stream("todo", dict)


class Leaving:
    """A gateway, and its end."""

    def __init__(self, browser: Browser, end: AsyncExitStack) -> None:
        self.browser, self._end = browser, end

    def begin(self) -> asyncio.Task[None]:
        """Let it end. Done when it has."""
        return asyncio.create_task(self._end.aclose())

    async def told(self) -> Tab:
        """A client of the extended dialect that has joined."""
        tab = await self.browser.open(subprotocols=["streams.v2"])
        await tab.next()
        await tab.join("todo", "inbox")
        await tab.next()
        return tab


@asynccontextmanager
async def one() -> AsyncIterator[Leaving]:
    store = MemoryStore(["todo"])
    async with AsyncExitStack() as opened, AsyncExitStack() as end:
        gateway = await end.enter_async_context(gateway_on(store))
        with bound_to(store):
            yield Leaving(Browser(gateway.url, opened), end)


async def test_clients_go_one_after_the_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leaving, "CLIENTS_PER_SECOND", 50.0)
    async with one() as gateway:
        tabs = [await gateway.browser.join("todo", "inbox") for _ in range(20)]
        ended, ends = gateway.begin(), list[float]()

        async def end_of(tab: Tab) -> int:
            code, _ = await tab.closed()
            ends.append(asyncio.get_running_loop().time())
            return code

        codes = await asyncio.gather(*map(end_of, tabs))
        await ended

    assert codes == [1012] * 20
    # In 0.4 seconds; a machine that does other things may hold up some, but not all of them.
    assert max(ends) - min(ends) > 0.2


async def test_those_who_can_be_told_are_told_when_to_go_and_served_until_then(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(leaving, "CLIENTS_PER_SECOND", 10.0)
    async with one() as gateway:
        tabs = [await gateway.told() for _ in range(5)]
        ended = gateway.begin()

        byes = [await tab.next() for tab in tabs]
        last = tabs[max(range(5), key=lambda number: byes[number]["after"])]
        await todo.set("inbox", "a", {"n": 1})
        assert (await last.next_event())["type"] == "create"
        codes = [(await tab.closed())[0] for tab in tabs]
        await ended

    assert {bye["type"] for bye in byes} == {"bye"}
    assert sorted(bye["after"] for bye in byes) == [0, 100, 200, 300, 400]
    assert codes == [1012] * 5


async def test_who_is_elsewhere_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leaving, "HEAD_START_SECONDS", 60.0)
    async with one() as gateway:
        first, second = await gateway.told(), await gateway.told()
        await first.close()
        ended = gateway.begin()

        await second.next()
        ended.cancel()
        await second.close()

    assert first.socket.close_code == 1000


async def test_nobody_comes_any_more(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leaving, "HEAD_START_SECONDS", 1.0)
    async with one() as gateway:
        tab = await gateway.told()
        ended = gateway.begin()
        assert (await tab.next())["type"] == "bye"

        with pytest.raises((OSError, ConnectionClosed)):
            await gateway.browser.open()

        await tab.close()
        await ended
