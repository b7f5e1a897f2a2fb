"""An application on NATS whose gateways put out who is revoked, and those who watch there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from streams import Stream, bound_to
from streams.access import Subscription
from streams.auth.revocations import Revocation, revoke, unrevoke
from streams.dev.nats_server import NatsServer
from streams.jetstream.connection import Connection, connected_to
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from tests.browser import Browser, Tab
from tests.guarded import guarded_gateway, provisioned

SOON = 1.0
"""How long a revocation may take to be felt everywhere, in seconds."""

ROOMS = [
    {"stream": "todo"},
    {"stream": "todo", "group": "inbox"},
    {"sub": "ann", "stream": "todo"},
    {"sub": "ann", "stream": "todo", "group": "inbox"},
]
"""Whom a revocation can be about that leaves the user in: each of them hits ann in todo/inbox."""


@dataclass
class Gate:
    """A rule that says yes, and not before it may."""

    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0

    def __post_init__(self) -> None:
        self.is_open.set()

    async def __call__(self, subscription: Subscription, context: Any) -> bool:
        self.asked += 1
        await self.is_open.wait()
        return True


class Site:
    """An application on NATS, and its gateways, each with a connection of its own."""

    def __init__(self, nats_url: str, namespace: Namespace, store: KvStore, opened: AsyncExitStack) -> None:
        self.sees, self.sends = Gate(), Gate()
        self.todo = Stream("todo", dict, can_access=self.sees, can_send=self.sends)
        self.notes = Stream("notes", dict, public=True)
        self._nats_url, self.namespace, self.store, self._opened = nats_url, namespace, store, opened

    async def gateway(self, *, over: str | None = None) -> Browser:
        """One more gateway, over a line to NATS of its own."""
        return await self._opened.enter_async_context(self._serving(over or self._nats_url))

    async def gateways(self, count: int) -> list[Browser]:
        return [await self.gateway() for _ in range(count)]

    @asynccontextmanager
    async def _serving(self, url: str) -> AsyncIterator[Browser]:
        async with (
            connected_to(url) as connection,
            guarded_gateway(connection, self.namespace, [self.todo, self.notes]) as gateway,
        ):
            yield Browser(gateway.url, self._opened)

    async def revoke(
        self, *, sub: str | None = None, stream: str | None = None, group: str | None = None
    ) -> None:
        """All tokens made so far."""
        await revoke(self.store, Revocation(sub, stream, group, time.time()))

    async def unrevoke(self, **target: str) -> None:
        assert await unrevoke(self.store, **target)

    async def write(self, group: str, item_id: str, stream: str = "todo") -> None:
        with bound_to(self.store):
            await getattr(self, stream).set(group, item_id, {"v": 1})


@pytest_asyncio.fixture
async def site(
    nats: NatsServer, connection: Connection, namespace: Namespace, opened: AsyncExitStack
) -> Site:
    site = Site(nats.url, namespace, KvStore(connection, namespace), opened)
    await provisioned(connection, namespace, [site.todo, site.notes])
    return site


async def entered(browser: Browser, proof: str, *, dialect: str | None = "streams.v2") -> Tab:
    """Somebody who is in."""
    tab = await browser.open(subprotocols=[*filter(None, [dialect]), "Authorization", proof])
    if dialect is not None:
        assert (await tab.next())["type"] == "hello"
    return tab


async def watching(browser: Browser, proof: str, group: str = "inbox", stream: str = "todo") -> Tab:
    """Somebody who has a group."""
    tab = await entered(browser, proof)
    await joined(tab, group, stream)
    return tab


async def joined(tab: Tab, group: str = "inbox", stream: str = "todo") -> None:
    await tab.join(stream, group)
    assert (await tab.next_event())["type"] == "sync"


async def passing_by(browser: Browser, group: str = "inbox", stream: str = "notes") -> Tab:
    """Somebody without a token who has a group."""
    tab = await browser.open(subprotocols=["streams.v2"])
    assert (await tab.next())["sub"] is None
    await joined(tab, group, stream)
    return tab


async def turned_away(browser: Browser, proof: str) -> tuple[int, str]:
    """How an upgrade is refused."""
    response = await refusal(browser, proof)
    return response.status_code, orjson.loads(response.body)["code"]


async def refusal(browser: Browser, proof: str) -> Response:
    with pytest.raises(InvalidStatus) as refused:
        await entered(browser, proof)
    return refused.value.response


def taken_away(frame: dict[str, Any], group: str = "inbox", stream: str = "todo") -> bool:
    """Whether the frame says that the room is not had any more, as its access was revoked."""
    room = (frame["streamName"], frame["groupId"], frame["id"])
    event = frame["event"]
    return room == (stream, group, None) and (event["type"], event["code"]) == (
        "unauthorized",
        "TOKEN_REVOKED",
    )


async def all_closed(*tabs: Tab) -> set[int]:
    return {(await tab.closed())[0] for tab in tabs}
