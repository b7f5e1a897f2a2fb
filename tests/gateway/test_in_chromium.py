"""A page in a real browser with nothing but `new WebSocket`: who it is, and where it comes from."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from playwright.async_api import Browser, BrowserContext, Error, Frame

from streams import Stream, bound_to
from streams.access import AuthRequest, Claims, StreamAuth, Subscription
from streams.auth.origins import Origins
from streams.auth.revocations import Revocation, revoke
from streams.dev.nats_server import NatsServer
from streams.jetstream.connection import connected_to
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.messages import CLOSE_UNAUTHORIZED
from streams.store import Store
from tests.apps.conftest import SECONDS, fixture
from tests.apps.conftest import chromium as chromium
from tests.clients.react.pages import served
from tests.guarded import guarded_gateway, provisioned
from tests.tokens import token

# One Chromium for all: it takes longer to start than any test takes to run.
pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]

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
</script>
"""
SANDBOX = '<!doctype html><iframe sandbox="allow-scripts" src="/"></iframe>'

NEVER_OPENED = [("error", None), ("close", [1006, False])]
"""All that a page is told of a socket that was refused."""

SENT_AWAY = ("close", [CLOSE_UNAUTHORIZED, True])

Happened: TypeAlias = list[tuple[str, Any]]


def own_group_only(subscription: Subscription, claims: Claims | None) -> bool:
    return claims is not None and subscription.group == claims.sub


todo = Stream("todo", dict, can_access=own_group_only)


@dataclass
class Tab:
    """A page, and what has happened to the socket that it opened."""

    frame: Frame

    async def connect(self, url: str, *protocols: str) -> None:
        """`new WebSocket(url, protocols)`, which returns before anything has happened."""
        await self.frame.evaluate("([url, protocols]) => connect(url, protocols)", [url, protocols])

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


async def test_a_token_beside_authorization_opens_a_live_socket(tab: Tab, url: str, deployed: Deployed):
    await tab.connect(url, "Authorization", token("ann"))
    assert await tab.happened(1) == [("open", "Authorization")]
    await tab.join("ann")
    assert events(await tab.happened(2)) == [("sync", [])]

    with bound_to(deployed.store):
        await todo.set("ann", "a", {"v": 1})
        await tab.happened(3)
        await todo.set("ann", "a", {"v": 2})
        await tab.happened(4)
        await todo.delete("ann", "a")

    assert events(await tab.happened(5))[1:] == [
        ("create", {"id": "a", "v": 1}),
        ("update", {"id": "a", "v": 2}),
        ("delete", {"id": "a", "v": 2}),
    ]


async def test_a_page_that_offers_the_extended_dialect_too_is_greeted_in_it(tab: Tab, url: str):
    await tab.connect(url, "streams.v2", "Authorization", token("ann"))
    await tab.happened(2)
    await tab.join("ann")

    happened = await tab.happened(3)

    assert happened[0] == ("open", "streams.v2")
    assert controls(happened[1:2]) == [("hello", "ann")]
    assert events(happened) == [("sync", [])]


async def test_a_page_may_say_its_token_when_its_socket_is_open(tab: Tab, url: str):
    await tab.connect(url, "streams.v2")
    await tab.happened(2)
    await tab.say({"type": "auth", "token": token("ann")})
    await tab.join("ann")

    happened = await tab.happened(4)

    assert happened[0] == ("open", "streams.v2")
    assert controls(happened) == [("hello", None), ("auth", "ann")]
    assert events(happened) == [("sync", [])]


async def test_a_token_in_the_address_opens_a_socket_without_a_subprotocol(tab: Tab, url: str):
    await tab.connect(f"{url}?authToken={token('ann')}")
    await tab.happened(1)
    await tab.join("ann")

    happened = await tab.happened(2)

    assert happened[0] == ("open", "")
    assert events(happened) == [("sync", [])]


async def test_a_page_without_a_token_is_refused_in_the_room(tab: Tab, url: str):
    await tab.connect(url)
    await tab.happened(1)
    await tab.join("ann")

    happened = await tab.happened(3)

    assert happened[0] == ("open", "")
    assert events(happened)[-1] == ("unauthorized", "STREAM_ACCESS_DENIED")


@pytest.mark.parametrize(
    ("query", "protocols"),
    [
        ("", ["Authorization", "{bad}"]),
        ("", ["streams.v2", "Authorization", "{bad}"]),
        ("?authToken={bad}", []),
        ("?authToken={bad}", ["streams.v2"]),
        ("", ["Authorization"]),
        ("?authToken=", []),
    ],
    ids=["beside", "extended", "address", "address and extended", "none beside", "none in the address"],
)
async def test_a_socket_with_a_bad_token_never_opens(tab: Tab, url: str, query: str, protocols: list[str]):
    bad = token("ann", aud="somebody-else")

    await tab.connect(url + query.format(bad=bad), *(each.format(bad=bad) for each in protocols))

    assert await tab.happened(2) == NEVER_OPENED


async def test_two_tokens_that_differ_open_no_socket(tab: Tab, url: str):
    await tab.connect(f"{url}?authToken={token('ann')}", "Authorization", token("bob"))

    assert await tab.happened(2) == NEVER_OPENED


async def test_a_bad_token_that_is_said_when_the_socket_is_open_ends_it(tab: Tab, url: str):
    await tab.connect(url, "streams.v2")
    await tab.happened(2)

    await tab.say({"type": "auth", "token": token("ann", aud="somebody-else")})

    assert (await tab.happened(3))[2:] == [SENT_AWAY]


async def test_a_token_that_no_subprotocol_can_carry_is_said_when_the_socket_is_open(tab: Tab, url: str):
    opaque = base64.b64encode(b"surely no JWT").decode()
    with pytest.raises(Error, match="SyntaxError"):
        await tab.connect(url, "Authorization", opaque)
    await tab.connect(url, "streams.v2")
    await tab.happened(2)

    await tab.say({"type": "auth", "token": opaque})

    assert (await tab.happened(3))[2:] == [SENT_AWAY]


async def test_at_the_end_of_its_token_a_page_is_sent_away_unless_it_has_said_a_fresh_one(
    pages: Pages, url: str
):
    staying, leaving, plain = [await pages.open() for _ in range(3)]
    ending = token("ann", lasts=4)
    for tab in (staying, leaving):
        await tab.connect(url, "streams.v2", "Authorization", ending)
        await tab.happened(2)
    await plain.connect(url, "Authorization", ending)
    await plain.happened(1)
    await staying.say({"type": "auth", "token": token("ann")})
    await staying.happened(3)

    assert (await leaving.happened(3))[2:] == [SENT_AWAY]
    assert (await plain.happened(2))[1:] == [SENT_AWAY]

    await staying.say({"type": "ping"})
    assert controls(await staying.happened(4)) == [("hello", "ann"), ("auth", "ann"), ("pong", None)]


async def test_a_page_of_a_user_who_is_revoked_is_sent_away(tab: Tab, url: str, deployed: Deployed):
    now = time.time()
    secret = token("ann", made=now - 60)
    await tab.connect(url, "Authorization", secret)
    await tab.happened(1)

    await revoke(deployed.store, Revocation("ann", None, None, now))

    assert (await tab.happened(2))[1:] == [SENT_AWAY]
    await tab.connect(url, "Authorization", secret)
    assert (await tab.happened(4))[2:] == NEVER_OPENED


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_pages_of_this_machine_may_open_sockets(pages: Pages, url: str, host: str):
    tab = await pages.open(host)

    await tab.connect(url, "Authorization", token("ann"))

    assert await tab.happened(1) == [("open", "Authorization")]


async def test_a_page_of_another_origin_opens_no_socket_also_with_a_good_token(
    pages: Pages, url: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "streams.gateway.socket")
    tabs = {
        pages.origin("app.localhost"): await pages.open("app.localhost"),
        "null": await pages.open_sandboxed(),
    }

    for origin, tab in tabs.items():
        await tab.connect(url, "Authorization", token("ann"))
        assert await tab.happened(2) == NEVER_OPENED
        await tab.connect(url)
        assert (await tab.happened(4))[2:] == NEVER_OPENED

        # It was the gateway that refused: Chromium has rules of its own.
        assert caplog.text.count(f"origin {origin!r} code=ORIGIN_REFUSED") == 2


async def test_a_page_of_an_origin_that_was_named_may_open_sockets(pages: Pages, deployed: Deployed):
    url = await deployed.gateway(origins=Origins([pages.origin("app.localhost")]))
    theirs, others = await pages.open("app.localhost"), await pages.open("app2.localhost")

    for tab in (theirs, others):
        await tab.connect(url, "Authorization", token("ann"))

    assert await theirs.happened(1) == [("open", "Authorization")]
    assert await others.happened(2) == NEVER_OPENED


async def test_cookies_make_nobody_somebody(pages: Pages, deployed: Deployed):
    """They go to every port of a host, whoever's page asks."""
    came: list[str] = []

    def authenticate(request: AuthRequest, claims: Claims | None) -> Claims | None:
        came.append(request.headers["cookie"])
        return claims

    url = await deployed.gateway(StreamAuth(authenticate, None, Path("stream_auth.py")))
    secret, names = token("ann"), ("Authorization", "authToken", "token")
    await pages.context.add_cookies(
        [{"name": name, "value": secret, "url": pages.origin("127.0.0.1")} for name in names]
    )
    tab = await pages.open()

    await tab.connect(url, "streams.v2")
    await tab.happened(2)
    await tab.join("ann")

    happened = await tab.happened(3)
    assert controls(happened) == [("hello", None)]
    assert events(happened) == [("unauthorized", "STREAM_ACCESS_DENIED")]
    assert [cookie.count(secret) for cookie in came] == [len(names)]
