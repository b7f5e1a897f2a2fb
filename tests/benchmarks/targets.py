"""The compared servers: how each is started, written to and joined.

A target's servers are started by the main process, and its `writing` is used
by the load process. Between the two only `Servers` travels.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, TypeAlias

import orjson

from tests.benchmarks.processes import free_port, running

PEERS = Path(__file__).parent / "peers"
WS_MANIFEST = PEERS / "node_modules" / "ws" / "package.json"
STREAM = "bench"

LANES = 8
"""Writes that may be on their way at once: HTTP connections, or tasks that wait in `set`."""

NPM_SECONDS = 120.0
"""How long `npm install` may take before its peer is skipped."""

Item: TypeAlias = dict[str, str]
Write: TypeAlias = Callable[[str, Item], Awaitable[None]]
"""Write one item of a group, and wait for whatever acknowledgement the server gives."""


class Skipped(Exception):
    """A target cannot run on this machine. The message is the reason."""


@dataclass(frozen=True, slots=True)
class Servers:
    """The running processes of one target."""

    port: int
    """Where clients connect on 127.0.0.1."""
    pids: list[int]
    """Roots of the process trees that face the clients."""
    nats_pids: list[int]
    """Roots of the NATS server's. Empty for peers without one."""
    nats_url: str
    """Where writers connect. Empty for peers that are written to over HTTP."""


class Target(Protocol):
    name: ClassVar[str]

    def prepare(self) -> None:
        """Install what is missing.

        Raises:
            Skipped: It cannot be installed.
        """
        ...

    def running(self, directory: Path) -> AbstractContextManager[Servers]:
        """Fresh servers for the length of the block; files go to `directory`.

        Raises:
            ServerFailed: One of them does not start.
        """
        ...

    def writing(self, servers: Servers) -> AbstractAsyncContextManager[Write]: ...


def join_message(group: str) -> bytes:
    """What a client sends to watch a group. Every target understands Motia's form, on the path `/`."""
    return orjson.dumps(
        {"type": "join", "data": {"streamName": STREAM, "groupId": group, "subscriptionId": "s"}}
    )


class FastApi:
    """What a Python team writes first: a set of WebSockets and a loop of `send_text`."""

    name: ClassVar[str] = "fastapi"

    def prepare(self) -> None:
        pass

    @contextmanager
    def running(self, directory: Path) -> Iterator[Servers]:
        port = free_port()
        app = "tests.benchmarks.peers.fastapi_naive:app"
        options = ["--loop=uvloop", "--http=httptools", "--no-access-log", "--log-level=warning"]
        command = [sys.executable, "-m", "uvicorn", app, "--host=127.0.0.1", f"--port={port}", *options]
        with running(self.name, command, directory) as server:
            server.wait_for_port(port)
            yield Servers(port, [server.pid], [], "")

    def writing(self, servers: Servers) -> AbstractAsyncContextManager[Write]:
        return posting(servers.port)


class Ws:
    """The fastest that plain Node offers: the package `ws`, every write encoded once."""

    name: ClassVar[str] = "ws"

    def prepare(self) -> None:
        for program in ("node", "npm"):
            if shutil.which(program) is None:
                raise Skipped(f"{program} is not installed")
        if WS_MANIFEST.exists():
            return
        options = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(
                ["npm", "install", "--prefix", str(PEERS), *options, "ws@8"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=NPM_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise Skipped(f"npm could not install ws in {NPM_SECONDS:.0f} s") from error
        if done.returncode != 0:
            raise Skipped(f"npm could not install ws (status {done.returncode})")

    @contextmanager
    def running(self, directory: Path) -> Iterator[Servers]:
        port = free_port()
        command = ["node", str(PEERS / "ws_broadcast.mjs"), str(port)]
        with running(self.name, command, directory) as server:
            server.wait_for_port(port)
            yield Servers(port, [server.pid], [], "")

    def writing(self, servers: Servers) -> AbstractAsyncContextManager[Write]:
        return posting(servers.port)


class Streams:
    """Ours: every write is durable in JetStream and returns the value that it replaced."""

    name: ClassVar[str] = "streams"

    def prepare(self) -> None:
        pass

    @contextmanager
    def running(self, directory: Path) -> Iterator[Servers]:
        port = free_port()
        server = [sys.executable, "-m", "tests.benchmarks.streams_server"]
        with running("nats", [*server, "nats", str(directory / "store")], directory) as nats:
            nats_url = nats.wait_for_ready()
            with running("gateway", [*server, "gateway", nats_url, str(port)], directory) as gateway:
                gateway.wait_for_port(port)
                yield Servers(port, [gateway.pid], [nats.pid], nats_url)

    @asynccontextmanager
    async def writing(self, servers: Servers) -> AsyncIterator[Write]:
        # Imported here: the main process and the peers do without.
        import streams

        bench = streams.Stream(STREAM, dict)

        async def write(group: str, item: Item) -> None:
            await bench.set(group, item["id"], item)

        async with streams.connected(servers.nats_url):
            yield write


TARGETS: dict[str, Target] = {target.name: target for target in (FastApi(), Ws(), Streams())}


@asynccontextmanager
async def posting(port: int) -> AsyncIterator[Write]:
    """Write by HTTP POST on keep-alive connections, one request at a time on each."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(LANES)]
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for connection in connections:
        free.put_nowait(connection)

    async def write(group: str, item: Item) -> None:
        reader, writer = connection = await free.get()
        body = orjson.dumps(item)
        writer.write(
            b"POST /%s/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (group.encode(), item["id"].encode(), len(body), body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        # Both peers answer 204: no body to read.
        if not head.startswith(b"HTTP/1.1 204 "):
            raise ConnectionError(f"a write was answered with {head[:60]!r}")
        free.put_nowait(connection)

    try:
        yield write
    finally:
        for _, writer in connections:
            writer.close()
