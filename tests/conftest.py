"""What tests stand on: a real nats-server, both stores, a gateway, and pretend browsers."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import socket
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import docker
import pytest
import pytest_asyncio
import uvicorn.server

from streams.dev.nats_container import NatsContainer, contained
from streams.dev.nats_server import NatsServer, embedded
from streams.gateway.hub import Hub
from streams.gateway.server import listening
from streams.jetstream.bucket import provision
from streams.jetstream.connection import Connection, connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.memory import MemoryStore
from streams.store import Feed, Store
from tests.browser import Browser
from tests.everybody import open_hub

_namespaces = (f"t{number}" for number in count())


class ImpatientAsyncio:
    """`asyncio`, whose sleeps are short."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 20)


@pytest.fixture(autouse=True)
def uvicorn_ends_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """uvicorn looks ten times a second whether it is to end, and then waits as long: two thirds of the
    time of a test with a server of its own."""
    monkeypatch.setattr(uvicorn.server, "asyncio", ImpatientAsyncio())


@dataclass(frozen=True)
class Backend:
    """One implementation of the ports, with a stream `todo` in it."""

    store: Store
    feed: Feed


@dataclass(frozen=True)
class Gateway:
    """A gateway that serves, and the hub behind it."""

    url: str
    hub: Hub


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def nats(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsServer | NatsContainer]:
    """One nats-server for the whole run. Tests share it, each in a namespace of its own.

    With `STREAMS_TEST_NATS=container` it is in a container.
    """
    start = contained if os.environ.get("STREAMS_TEST_NATS") == "container" else embedded
    async with start(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest_asyncio.fixture
async def own_nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A nats-server that this test may kill."""
    async with embedded(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def namespace() -> Namespace:
    return Namespace(next(_namespaces))


@pytest_asyncio.fixture
async def connection(nats: NatsServer) -> AsyncIterator[Connection]:
    async with connected_to(nats.url) as connection:
        yield connection


@pytest_asyncio.fixture
async def jetstream(connection: Connection, namespace: Namespace) -> Backend:
    await provision(connection, namespace, "todo")
    return Backend(KvStore(connection, namespace), JetStreamFeed(connection, namespace))


# Not a coroutine, as the one above is: from inside a running loop the other fixture cannot be awaited.
@pytest.fixture(params=["memory", "jetstream"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each implementation in turn: the contract suite runs on both."""
    if request.param == "memory":
        memory = MemoryStore(["todo"])
        return Backend(memory, memory)
    found: Backend = request.getfixturevalue("jetstream")
    return found


@pytest.fixture
def store(backend: Backend) -> Store:
    return backend.store


@pytest.fixture
def feed(backend: Backend) -> Feed:
    return backend.feed


@asynccontextmanager
async def gateway_on(feed: Feed, *, look_for_losses_seconds: float = 15.0) -> AsyncIterator[Gateway]:
    """A gateway for the length of the block, on any free port."""
    sock = socket.create_server(("127.0.0.1", 0))
    # As uvloop does, which serves otherwise.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    async with (
        open_hub(feed, look_for_losses_seconds=look_for_losses_seconds) as hub,
        listening(hub, sock),
    ):
        yield Gateway(f"ws://127.0.0.1:{sock.getsockname()[1]}/", hub)


@pytest_asyncio.fixture
async def gateway(jetstream: Backend) -> AsyncIterator[Gateway]:
    async with gateway_on(jetstream.feed) as gateway:
        yield gateway


@pytest_asyncio.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    """What a test opens, closed at its end."""
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
def browser(gateway: Gateway, opened: AsyncExitStack) -> Browser:
    """Opens pretend browsers on the gateway."""
    return Browser(gateway.url, opened)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was left out, in a line of its own: a green run must not hide it."""
    skipped = terminalreporter.stats.get("skipped", [])
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.write_line(f"left out: {report.nodeid} ({reason.removeprefix('Skipped: ')})")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need Node or Chromium run where these exist.

    With `STREAMS_TEST_ALL` they run everywhere, and fail where one is missing.
    So do those that need a container engine, with `STREAMS_TEST_DOCKER`.
    """
    for item in items:
        if (
            item.get_closest_marker("docker")
            and "STREAMS_TEST_DOCKER" not in os.environ
            and not _container_engine_answers()
        ):
            item.add_marker(pytest.mark.skip(reason="no container engine answers"))
        for program in ("node", "chromium"):
            if (
                item.get_closest_marker(program)
                and not shutil.which(program)
                and "STREAMS_TEST_ALL" not in os.environ
            ):
                item.add_marker(pytest.mark.skip(reason=f"{program} is not installed"))


@cache
def _container_engine_answers() -> bool:
    # The library forgets to close a socket where nobody listens.
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        try:
            with closing(docker.from_env(timeout=5)) as client:
                return bool(client.ping())
        except docker.errors.DockerException:
            return False
        finally:
            gc.collect()
