"""While a revocation may have been missed, nobody is told anything."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from streams import StoreUnavailable, Stream, bound_to
from streams.auth.rules import OwnRules
from streams.gateway import outbox
from streams.gateway.access import Access
from streams.gateway.hub import Hub
from streams.gateway.server import listening
from streams.memory import MemoryStore
from tests.browser import Browser, Tab
from tests.everybody import NothingRevoked
from tests.gateway.waiting import until
from tests.tokens import VERIFIER

todo = Stream("todo", dict)


class InDoubt(NothingRevoked):
    """Nothing is revoked, which is not always known."""

    def __init__(self) -> None:
        self.known, self.failures = asyncio.Event(), 0
        """Whether it is known; how often it could not be asked."""
        self.asked = 0
        self.known.set()

    @property
    def is_verified(self) -> bool:  # type: ignore[override]  # an attribute, where it is always so
        return self.known.is_set()

    async def current(self) -> None:
        self.asked += 1
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("NATS is away")
        await self.known.wait()


@pytest.fixture
def revoked() -> InDoubt:
    return InDoubt()


@pytest_asyncio.fixture
async def tab(revoked: InDoubt, opened: AsyncExitStack) -> AsyncIterator[Tab]:
    """Watches the inbox of a gateway; writes go to the same memory."""
    memory, sock = MemoryStore(["todo"]), socket.create_server(("127.0.0.1", 0))
    rules = await opened.enter_async_context(OwnRules.running((), None))
    access = Access(VERIFIER, rules, revoked, memory)
    hub = await opened.enter_async_context(Hub.running(memory, access, memory))
    await opened.enter_async_context(listening(hub, sock))
    tab = await Browser(f"ws://127.0.0.1:{sock.getsockname()[1]}/", opened).join("todo", "inbox")
    with bound_to(memory):
        yield tab


async def test_what_comes_while_revocations_are_not_known_is_told_afterwards_in_its_order(
    tab: Tab, revoked: InDoubt
):
    revoked.known.clear()
    for v in range(3):
        await todo.set("inbox", "a", {"v": v})
    await until(lambda: revoked.asked > 1)
    assert await tab.nothing_came()

    revoked.known.set()

    assert [(await tab.next_event())["data"]["v"] for _ in range(3)] == [0, 1, 2]


async def test_it_is_asked_again_until_it_is_known(
    tab: Tab, revoked: InDoubt, caplog: pytest.LogCaptureFixture
):
    revoked.known.clear()
    revoked.failures = 1
    await todo.set("inbox", "a", {"v": 1})
    await until(lambda: "frames wait" in caplog.text)

    revoked.known.set()

    assert (await tab.next_event())["data"]["v"] == 1


async def test_everybody_is_sent_away_when_it_does_not_become_known(
    tab: Tab, revoked: InDoubt, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(outbox, "HELD_SECONDS", 0.05)
    revoked.known.clear()

    await todo.set("inbox", "a", {"v": 1})

    assert (await tab.closed())[0] == 1011
    assert len(tab.frames) == 1, "only the sync of before"
