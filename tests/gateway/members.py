"""Sockets of the extended dialect, what they say, and a site that they say it to."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest_asyncio

from streams import Stream
from streams.access import Subscription
from streams.jetstream.connection import Connection
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from tests.browser import Browser, Tab
from tests.guarded import guarded_gateway, provisioned
from tests.tokens import token

ANN, BOB = token("ann"), token("bob")


class Site:
    """An application, and a gateway or two."""

    def __init__(self, connection: Connection, namespace: Namespace, opened: AsyncExitStack) -> None:
        self.answer: Any = True
        """What the rule says of events."""
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.asked: list[tuple[Subscription, Any]] = []
        self.todo = Stream("todo", dict, public=True, can_send=self._may_send)
        self.mute = Stream("mute", dict, public=True)
        self.store = KvStore(connection, namespace)
        self._connection, self._namespace, self._opened = connection, namespace, opened

    async def gateway(self) -> Browser:
        streams = [self.todo, self.mute]
        gateway = await self._opened.enter_async_context(
            guarded_gateway(self._connection, self._namespace, streams)
        )
        return Browser(gateway.url, self._opened)

    async def _may_send(self, subscription: Subscription, context: Any) -> Any:
        self.asked.append((subscription, context))
        await self.may_answer.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest_asyncio.fixture
async def site(connection: Connection, namespace: Namespace, opened: AsyncExitStack) -> Site:
    site = Site(connection, namespace, opened)
    await provisioned(connection, namespace, [site.todo, site.mute])
    return site


@pytest_asyncio.fixture
async def browser(site: Site) -> Browser:
    return await site.gateway()


class Member:
    """A socket of the extended dialect, after its hello."""

    def __init__(self, tab: Tab, hello: dict[str, Any]) -> None:
        self.tab, self.session = tab, hello["session"]


async def entered(browser: Browser, proof: str | None = ANN) -> Tab:
    return (await member(browser, proof)).tab


async def member(browser: Browser, proof: str | None = ANN) -> Member:
    offered = ["streams.v2", *(["Authorization", proof] if proof else [])]
    tab = await browser.open(subprotocols=offered)
    return Member(tab, await tab.next())


async def watching(
    browser: Browser, item_id: str | None = None, *, proof: str | None = BOB, group: str = "inbox"
) -> Tab:
    tab = await entered(browser, proof)
    await joined(tab, item_id, group)
    return tab


async def joined(tab: Tab, item_id: str | None = None, group: str = "inbox") -> None:
    await tab.join("todo", group, item_id)
    assert (await tab.next_event())["type"] == "sync"


def a_send(
    event: object = None, *, stream: str = "todo", group: str = "inbox", item_id: object = None, **more: Any
) -> dict[str, Any]:
    """A `send`; `more` is what stands beside its fields, such as a `ref`."""
    said = {"type": "typing", "data": None} if event is None else event
    return {
        "type": "send",
        **more,
        "data": {"streamName": stream, "groupId": group, "id": item_id, "event": said},
    }


async def refused(tab: Tab, message: object) -> tuple[str, Any]:
    """The code and the ref of the error that a message gets."""
    await tab.say(message)
    answer = await tab.next()
    assert answer["type"] == "error"
    assert answer["message"]
    return answer["code"], answer.get("ref")


async def acknowledged(tab: Tab, message: dict[str, Any]) -> None:
    await tab.say(message)
    assert await tab.next() == {"type": "ack", "ref": message["ref"]}
