"""A page in a real browser with nothing but `new WebSocket`, and a gateway for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
from playwright.async_api import Browser, BrowserContext, Frame

from streams import Stream
from streams.access import StreamAuth
from streams.auth.origins import Origins
from streams.dev.nats_server import NatsServer
from streams.jetstream.connection import connected_to
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.messages import CLOSE_UNAUTHORIZED
from streams.store import Store
from tests.apps.conftest import SECONDS, fixture
from tests.clients.react.pages import served
from tests.guarded import guarded_gateway, own_group_only, provisioned

PAGE = """<!doctype html>
<title>A page with a socket</title>
<link rel="icon" href="data:,">
<script>
  const happened = []
  const note = (what, value) => happened.push([what, value])
  let socket
  function connect(url, protocols) {
    socket = new WebSocket(url, protocols)
    socket.onopen = () => note('open', socket.protocol)
    socket.onmessage = ({ data }) => note('message', JSON.parse(data))
    socket.onerror = () => note('error', null)
    socket.onclose = ({ code, wasClean }) => note('close', [code, wasClean])
  }
  function follow(url) {
    const source = new EventSource(url)
    source.onmessage = ({ data, lastEventId }) => note('message', { ...JSON.parse(data), lastEventId })
    source.onerror = () => note('error', null)
  }
</script>
"""
SANDBOX = '<!doctype html><iframe sandbox="allow-scripts" src="/"></iframe>'

NEVER_OPENED = [("error", None), ("close", [1006, False])]
"""All that a page is told of a socket that was refused."""

SENT_AWAY = ("close", [CLOSE_UNAUTHORIZED, True])

Happened: TypeAlias = list[tuple[str, Any]]


todo = Stream("todo", dict, can_access=own_group_only)


@dataclass
class Tab:
    """A page, and what has happened to the socket that it opened."""

    frame: Frame

    async def connect(self, url: str, *protocols: str) -> None:
        """`new WebSocket(url, protocols)`, which returns before anything has happened."""
        await self.frame.evaluate("([url, protocols]) => connect(url, protocols)", [url, protocols])

    async def follow(self, url: str) -> None:
        """`new EventSource(url)`."""
        await self.frame.evaluate("url => follow(url)", url)

    async def say(self, message: object) -> None:
        await self.frame.evaluate("message => socket.send(JSON.stringify(message))", message)

    async def join(self, group: str) -> None:
        data = {"streamName": "todo", "groupId": group, "subscriptionId": group}
        await self.say({"type": "join", "data": data})

    async def happened(self, times: int) -> Happened:
        """Wait until so much has happened. All of it."""
        await self.frame.wait_for_function(
            "times => happened.length >= times", arg=times, timeout=SECONDS * 1000
        )
        return [(what, value) for what, value in await self.frame.evaluate("happened")]


class Pages:
    """Opens pages by any name of this machine. Chromium finds it under every name below `localhost`."""

    def __init__(self, context: BrowserContext, port: int) -> None:
        self.context, self._port = context, port

    def origin(self, host: str) -> str:
        return f"http://{host}:{self._port}"

    async def open(self, host: str = "127.0.0.1") -> Tab:
        page = await self.context.new_page()
        await page.goto(self.origin(host))
        return Tab(page.main_frame)

    async def open_sandboxed(self) -> Tab:
        """The page as a frame of another, which its browser trusts with no origin of its own."""
        page = await self.context.new_page()
        await page.goto(f"{self.origin('127.0.0.1')}/sandbox.html")
        return Tab(page.frames[-1])


class Deployed:
    """A namespace with a stream in which everybody may see the group of their own name, and no other."""

    def __init__(self, opened: AsyncExitStack, nats_url: str, namespace: Namespace) -> None:
        self._opened, self._nats_url, self._namespace = opened, nats_url, namespace

    async def provision(self) -> None:
        self._connection = await self._opened.enter_async_context(connected_to(self._nats_url))
        await provisioned(self._connection, self._namespace, [todo])
        self.store: Store = KvStore(self._connection, self._namespace)

    async def gateway(self, auth: StreamAuth | None = None, origins: Origins | None = None) -> str:
        """Start a gateway. Where it is."""
        started = guarded_gateway(self._connection, self._namespace, [todo], auth, origins=origins)
        return (await self._opened.enter_async_context(started)).url


@fixture(scope="module")
async def port(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    folder = tmp_path_factory.mktemp("page")
    (folder / "index.html").write_text(PAGE)
    (folder / "sandbox.html").write_text(SANDBOX)
    async with served(folder) as port:
        yield port


@fixture()
async def deployed(nats: NatsServer, namespace: Namespace) -> AsyncIterator[Deployed]:
    async with AsyncExitStack() as opened:
        deployed = Deployed(opened, nats.url, namespace)
        await deployed.provision()
        yield deployed


@fixture()
async def url(deployed: Deployed) -> str:
    """Where a gateway is."""
    return await deployed.gateway()


# Closed before gateways are, so that none of them waits for it.
@fixture()
async def pages(chromium: Browser, port: int, deployed: Deployed) -> AsyncIterator[Pages]:
    async with await chromium.new_context() as context:
        yield Pages(context, port)


@fixture()
async def tab(pages: Pages, url: str) -> Tab:
    return await pages.open()


def events(happened: Happened) -> Happened:
    """What the frames of rooms say, of all that happened."""
    told = [value["event"] for what, value in happened if what == "message" and "event" in value]
    return [(event["type"], event.get("data", event.get("code"))) for event in told]


def controls(happened: Happened) -> Happened:
    """The other frames, as their type and whom they name."""
    told = [value for what, value in happened if what == "message" and "event" not in value]
    return [(said["type"], said.get("sub")) for said in told]
