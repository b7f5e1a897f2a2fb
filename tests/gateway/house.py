"""A gateway in this process, for an application that changes its mind, and those who come with tokens."""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest_asyncio

from streams import Stream, bound_to
from streams.access import AuthRequest, Claims, StreamAuth, Subscription
from streams.auth.rules import OwnRules
from streams.auth.tokens import Verifier
from streams.gateway.access import Access, KnownRevoked
from streams.gateway.hub import Hub
from streams.gateway.measures import Measures
from streams.gateway.server import listening
from streams.memory import MemoryStore
from tests.browser import Browser, Tab
from tests.everybody import NothingRevoked
from tests.tokens import VERIFIER, token

SHORT = 0.4
"""How long a token lasts that is to end soon, in seconds."""


class House:
    """An application and a gateway for it: who may see what, and how long it takes to say so."""

    def __init__(self) -> None:
        self.todo = Stream("todo", dict, can_access=self._may_see, can_send=self._may_send)
        self.store = MemoryStore(["todo"])
        self.closed: set[str] = set()
        """Groups that nobody may see at present."""
        self.is_quiet = False
        """Whether nobody may send."""
        self.fails = False
        self.held: dict[str, asyncio.Event] = {}
        """What a question about who says `v` waits for, by that."""
        self.seen: list[tuple[str, str | None]] = []
        """What was asked: the group, and the `v` of who asked."""
        self.arrived: defaultdict[str | None, int] = defaultdict(int)
        """How many came, by their `v`."""
        self.hub: Hub
        self.browser: Browser

    @asynccontextmanager
    async def open(
        self,
        *,
        recheck_seconds: float | None = None,
        verifier: Verifier = VERIFIER,
        revoked: KnownRevoked | None = None,
    ) -> AsyncIterator[House]:
        sock, store, measures = socket.create_server(("127.0.0.1", 0)), self.store, Measures()
        auth = StreamAuth(self._authenticate, None, Path("stream_auth.py"))
        async with (
            OwnRules.running([self.todo], auth, took=measures.hook.observe) as rules,
            Hub.running(
                store,
                Access(verifier, rules, revoked or NothingRevoked(), store),
                store,
                recheck_seconds=recheck_seconds,
                measures=measures,
            ) as self.hub,
            listening(self.hub, sock),
            AsyncExitStack() as tabs,
        ):
            self.browser = Browser(f"ws://127.0.0.1:{sock.getsockname()[1]}/", tabs)
            yield self

    async def enters(self, proof: str | None, *groups: str, is_extended: bool = True) -> Tab:
        """Somebody who is in, and has these groups."""
        offered = [*(["streams.v2"] if is_extended else []), *(["Authorization", proof] if proof else [])]
        tab = await self.browser.open(subprotocols=offered or None)
        if is_extended:
            assert (await tab.next())["type"] == "hello"
        for group in groups:
            await tab.join("todo", group)
            assert (await tab.next_event())["type"] == "sync"
        return tab

    async def write(self, *groups: str) -> None:
        with bound_to(self.store):
            for group in groups:
                await self.todo.set(group, "a", {"v": 1})

    def hold(self, v: str) -> Callable[[], None]:
        """Let what is asked about who says `v` wait. What lets it go on."""
        self.held[v] = asyncio.Event()
        return self.held[v].set

    async def _authenticate(self, request: AuthRequest, claims: Claims | None) -> Claims | None:
        v = None if claims is None else claims.get("v")
        self.arrived[v] += 1
        await self._wait(f"who is {v}")
        return claims

    async def _may_see(self, subscription: Subscription, context: Claims | None) -> bool:
        groups, v = ("lobby", None) if context is None else (context["groups"], context.get("v"))
        self.seen.append((subscription.group, v))
        if self.fails:
            raise RuntimeError("the rule has a bug")
        await self._wait(f"what may {v} see")
        return subscription.group in groups.split() and subscription.group not in self.closed

    async def _may_send(self, subscription: Subscription, context: Claims | None) -> bool:
        return not self.is_quiet

    async def _wait(self, what: str) -> None:
        if what in self.held:
            await self.held[what].wait()


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    async with House().open() as house:
        yield house


@pytest_asyncio.fixture
async def strict_house() -> AsyncIterator[House]:
    """Asks its rules again and again."""
    async with House().open(recheck_seconds=0.1) as house:
        yield house


def of(sub: str = "ann", *, groups: str = "inbox other", **said: Any) -> str:
    return token(sub, groups=groups, **said)


async def proves(tab: Tab, proof: object) -> None:
    await tab.say({"type": "auth", "token": proof})


async def proven(tab: Tab, proof: str) -> dict[str, Any]:
    await proves(tab, proof)
    answer = await tab.next()
    assert answer["type"] == "auth"
    return answer


async def is_in(tab: Tab) -> bool:
    """Whether a socket is as it was."""
    return await tab.nothing_came()


def taken_away(frame: dict[str, Any], group: str, item_id: str | None = None) -> bool:
    event = frame["event"]
    return (frame["streamName"], frame["groupId"], frame["id"], event["type"], event["code"]) == (
        "todo",
        group,
        item_id,
        "unauthorized",
        "STREAM_ACCESS_DENIED",
    )
