"""Plain WebSockets with a token, as programs under Node open them, on a gateway as it is deployed."""

from __future__ import annotations

import asyncio
import json
import subprocess
from contextlib import AsyncExitStack
from functools import cache
from typing import Any, Literal, TypeAlias

import pytest
import pytest_asyncio

from streams import bound_to
from streams.jetstream.connection import Connection
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.messages import CLOSE_UNAUTHORIZED
from tests.browser import SECONDS
from tests.clients.harness import PROGRAM
from tests.clients.npm import installed
from tests.clients.own_groups import gateway_of_own_groups, todo
from tests.conftest import Gateway
from tests.tokens import token

pytestmark = pytest.mark.node

Library: TypeAlias = Literal["ws", "built in"]
LIBRARIES: tuple[Library, ...] = ("ws", "built in")

JOIN = {"type": "join", "data": {"streamName": "todo", "groupId": "ann", "subscriptionId": "s"}}
SYNC = ("sync", [{"id": "a", "v": 1}])


@pytest_asyncio.fixture
async def filled(connection: Connection, namespace: Namespace, opened: AsyncExitStack) -> Gateway:
    """A gateway where everybody may see the group of their own name, with something in that of Ann."""
    gateway = await opened.enter_async_context(gateway_of_own_groups(connection, namespace))
    with bound_to(KvStore(connection, namespace)):
        await todo.set("ann", "a", {"v": 1})
    return gateway


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Library:
    """Each implementation of WebSockets that Node has, in turn."""
    found: Library = request.param
    return found


async def plain(
    library: Library,
    gateway: Gateway,
    *,
    query: str = "",
    protocols: tuple[str, ...] = (),
    headers: dict[str, str] | None = None,
    says: tuple[object, ...] = (JOIN,),
    frames: int = 1,
) -> list[tuple[str, Any]]:
    """What a socket under Node goes through until it was told so many frames, or was closed."""
    installed(PROGRAM.parent)
    asked = {
        "isBuiltIn": library == "built in",
        "url": gateway.url + query,
        "protocols": protocols,
        "headers": headers or {},
        "says": says,
        "frames": frames,
    }
    process = await asyncio.create_subprocess_exec(
        "node",
        *(_flags() if library == "built in" else ()),
        PROGRAM.with_name("plain.mjs"),
        json.dumps(asked),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        printed, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0
    return [(what, value) for what, value in map(json.loads, printed.splitlines())]


@cache
def _flags() -> tuple[str, ...]:
    """What Node needs to have a WebSocket of its own."""
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    major = int(version.removeprefix("v").partition(".")[0])
    if major < 20:
        pytest.skip(f"Node {major} has no WebSocket of its own")
    return ("--experimental-websocket",) if major < 22 else ()


def events(happened: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """What the frames of rooms say, of all that happened."""
    told = [value["event"] for what, value in happened if what == "told" and "event" in value]
    return [(event["type"], event.get("data", event.get("code"))) for event in told]


async def test_a_socket_that_offers_a_token_is_answered_authorization_and_joins(
    library: Library, filled: Gateway
):
    happened = await plain(library, filled, protocols=("Authorization", token("ann")))

    assert happened[0] == ("opened", "Authorization")
    assert events(happened) == [SYNC]


async def test_a_socket_that_offers_the_extended_dialect_too_is_greeted_in_it(
    library: Library, filled: Gateway
):
    protocols = ("streams.v2", "Authorization", token("ann"))

    happened = await plain(library, filled, protocols=protocols, frames=2)

    (_, dialect), (_, hello), *_ = happened
    assert dialect == "streams.v2"
    assert (hello["type"], hello["sub"]) == ("hello", "ann")
    assert events(happened) == [SYNC]


async def test_a_socket_may_say_its_token_when_it_is_open(library: Library, filled: Gateway):
    auth = {"type": "auth", "token": token("ann")}

    happened = await plain(library, filled, protocols=("streams.v2",), says=(auth, JOIN), frames=3)

    (_, hello), (_, taken) = happened[1:3]
    assert (hello["type"], hello["sub"]) == ("hello", None)
    assert (taken["type"], taken["sub"]) == ("auth", "ann")
    assert events(happened) == [SYNC]


@pytest.mark.parametrize("protocols", [(), ("streams.v2",)], ids=["plain", "extended"])
async def test_a_program_may_send_its_token_in_a_header(filled: Gateway, protocols: tuple[str, ...]):
    headers = {"Authorization": f"Bearer {token('ann')}"}

    happened = await plain("ws", filled, protocols=protocols, headers=headers, frames=1 + len(protocols))

    assert happened[0] == ("opened", "".join(protocols))
    assert events(happened) == [SYNC]


async def test_who_brings_the_token_of_somebody_else_is_told_no_in_the_room(
    library: Library, filled: Gateway
):
    happened = await plain(library, filled, protocols=("streams.v2", "Authorization", token("bob")), frames=2)

    assert events(happened) == [("unauthorized", "STREAM_ACCESS_DENIED")]


@pytest.mark.parametrize("dialect", [(), ("streams.v2",)], ids=["plain", "extended"])
async def test_a_program_with_a_bad_token_is_told_so_and_not_why(filled: Gateway, dialect: tuple[str, ...]):
    bad = token("ann", aud="somebody-else")

    happened = await plain("ws", filled, protocols=(*dialect, "Authorization", bad))

    ((what, (status, body)),) = happened
    assert (what, status, body["code"]) == ("refused", 401, "TOKEN_REFUSED")
    assert "somebody-else" not in json.dumps(body)


async def test_a_built_in_socket_with_a_bad_token_never_opens(filled: Gateway):
    bad = token("ann", iss="somebody-else")

    happened = await plain("built in", filled, protocols=("Authorization", bad))

    # Later releases of Node say that it is closed as well.
    assert happened[0] == ("failed", None)
    assert "opened" not in dict(happened)


async def test_a_bad_token_that_is_said_when_the_socket_is_open_ends_it(library: Library, filled: Gateway):
    auth = {"type": "auth", "token": token("ann", aud="somebody-else")}

    happened = await plain(library, filled, protocols=("streams.v2",), says=(auth, JOIN), frames=2)

    assert [what for what, _ in happened] == ["opened", "told", "closed"]
    assert happened[-1] == ("closed", [CLOSE_UNAUTHORIZED, True])
