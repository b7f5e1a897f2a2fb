"""NATS is away: sockets stay open, and clients that can be told know that what they see may be old."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from streams import Stream, bound_to
from streams.dev.nats_server import NatsServer
from streams.gateway import staleness
from streams.jetstream.connection import connected_to
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from tests.browser import SECONDS, Browser, Tab
from tests.guarded import guarded_gateway, provisioned

todo = Stream("todo", dict, public=True)


async def next_of(tab: Tab, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(2 * SECONDS):
        while (message := await tab.next())["type"] != kind:
            pass
    return message


async def entered(browser: Browser) -> Tab:
    tab = await browser.open(subprotocols=["streams.v2"])
    await tab.next()
    return tab


async def test_clients_are_told_when_nats_is_away_and_when_all_is_current_again(
    own_nats: NatsServer, opened: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(staleness, "LOOK_SECONDS", 0.05)
    namespace = Namespace()
    async with connected_to(own_nats.url) as connection:
        await provisioned(connection, namespace, [todo])
        gateway = await opened.enter_async_context(guarded_gateway(connection, namespace, [todo]))
        browser = Browser(gateway.url, opened)
        tab, plain = await entered(browser), await browser.join("todo", "inbox")
        await tab.join("todo", "inbox")
        await next_of(tab, "stream")

        own_nats.kill()
        assert (await next_of(tab, "stale"))["stale"] is True
        late = await browser.open(subprotocols=["streams.v2"])
        assert [(await late.next())["type"] for _ in range(2)] == ["hello", "stale"]

        await own_nats.restart()
        assert (await next_of(tab, "stale"))["stale"] is False
        with bound_to(KvStore(connection, namespace)):
            await todo.set("inbox", "a", {"n": 1})
        assert (await next_of(tab, "stream"))["event"]["type"] == "create"
        assert (await plain.next_event())["type"] == "create"

    assert not [frame for frame in plain.frames if b"stale" in frame]
