"""What one connection costs our gateway: memory and CPU when nothing happens, and CPU until it has its state.

`python -m tests.benchmarks.connections` prints a table. `--where` says which
lines of Python hold the memory instead, and `--profile` in which functions the
time of joins is spent.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import orjson
import uvloop
from rich.console import Console
from rich.table import Table

from tests.benchmarks.churn_server import allow_sockets
from tests.benchmarks.connections_server import COLD_GROUPS, WARM, cold
from tests.benchmarks.processes import (
    Process,
    cpu_seconds,
    end_cleanly_on_sigterm,
    free_port,
    memory_mb,
    running,
)
from tests.tokens import token

SOCKETS = (2_000, 5_000)
JOINS = 4_000
AT_ONCE = 32
"""Sockets that are about to join."""

FIRST = 300
"""Sockets that come and go before anything is measured, so that what is made once is there."""

USERS = 50
"""Who come by turns, where they have tokens."""

PING_SECONDS = 25.0
SETTLE_SECONDS = 1.0


class Client(asyncio.Protocol):
    """Opens, joins one group, and then answers pings."""

    __slots__ = ("_came", "_group", "_header", "_is_upgraded", "joined", "pings", "transport")

    def __init__(self, group: str, header: str) -> None:
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.pings = 0
        self._group, self._header = group, header
        self._came, self._is_upgraded = b"", False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP
        self.transport = transport
        # About what a browser sends.
        transport.write(
            "GET / HTTP/1.1\r\nHost: localhost:8080\r\nConnection: Upgrade\r\nPragma: no-cache\r\n"
            "Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0\r\n"
            "Upgrade: websocket\r\nOrigin: http://localhost:5173\r\nSec-WebSocket-Version: 13\r\n"
            "Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{self._header}\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        if self.joined.done():
            if data.startswith(b"\x89"):
                self.pings += 1
                self.transport.write(b"\x8a\x80\0\0\0\0")
            return
        self._came += data
        if not self._is_upgraded:
            if not self._came.startswith(b"HTTP/1.1 101 "):
                self.joined.set_exception(
                    ConnectionError(f"the upgrade was answered with {self._came[:80]!r}")
                )
                return
            _, end, rest = self._came.partition(b"\r\n\r\n")
            if not end:
                return
            self._is_upgraded, self._came = True, rest
            self.transport.write(_join(self._group))
        if _is_whole(self._came):
            self._came = b""
            self.joined.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.joined.done():
            self.joined.set_exception(exc or ConnectionError("the server closed a socket that joined"))


def _join(group: str) -> bytes:
    fields = {
        "streamName": "bench",
        "groupId": group,
        "subscriptionId": "5bfe3f0e-3b0b-4b2e-8d54-6cf1fb5e7d1a",
    }
    text = orjson.dumps({"type": "join", "data": fields})
    # The mask is zero, which is legal and leaves the message as it is.
    return b"\x81\xfe" + len(text).to_bytes(2) + bytes(4) + text


def _is_whole(frame: bytes) -> bool:
    if len(frame) < 10:
        return False
    size = {126: 2, 127: 8}.get(frame[1], 0)
    length = int.from_bytes(frame[2 : 2 + size]) if size else frame[1]
    return len(frame) >= 2 + size + length


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway's process, and that of NATS behind it."""

    process: Process
    nats: Process
    port: int

    async def opened(self, group: str, header: str) -> Client:
        _, client = await asyncio.get_running_loop().create_connection(
            lambda: Client(group, header), "127.0.0.1", self.port
        )
        await client.joined
        return client

    async def asked(self, path: str) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            return (await reader.read()).partition(b"\r\n\r\n")[2].decode()
        finally:
            writer.close()

    async def memory_bytes(self) -> float:
        await self.asked("/collect")
        return memory_mb([self.process.pid]) * 1024**2

    def cpu_us(self) -> tuple[float, float]:
        """Of the gateway, and of NATS."""
        return cpu_seconds([self.process.pid]) * 1e6, cpu_seconds([self.nats.pid]) * 1e6

    @asynccontextmanager
    async def crowd(
        self, count: int, group: Callable[[int], str], headers: Iterator[str]
    ) -> AsyncIterator[list[Client]]:
        """So many clients that have joined."""
        clients: list[Client] = []
        numbers = iter(range(count))

        async def lane() -> None:
            for number in numbers:
                client = await self.opened(group(number), next(headers))
                clients.append(client)

        try:
            async with asyncio.TaskGroup() as lanes:
                for number in range(AT_ONCE):
                    lanes.create_task(lane(), name=f"lane {number}")
            yield clients
        finally:
            for client in clients:
                client.transport.abort()
            await asyncio.sleep(SETTLE_SECONDS)

    async def joins(
        self, count: int, group: Callable[[int], str], headers: Iterator[str]
    ) -> tuple[float, float]:
        """CPU in microseconds of one client that comes, joins and goes: of the gateway, and of NATS."""
        numbers = iter(range(count))

        async def lane() -> None:
            for number in numbers:
                (await self.opened(group(number), next(headers))).transport.abort()

        before = self.cpu_us()
        async with asyncio.TaskGroup() as lanes:
            for number in range(AT_ONCE):
                lanes.create_task(lane(), name=f"lane {number}")
        after = self.cpu_us()
        return (after[0] - before[0]) / count, (after[1] - before[1]) / count


@contextmanager
def gateway() -> Iterator[Gateway]:
    """A gateway over a NATS of its own."""
    server = [sys.executable, "-m", "tests.benchmarks.streams_server", "nats"]
    ours = [sys.executable, "-m", "tests.benchmarks.connections_server"]
    with tempfile.TemporaryDirectory(prefix="streams-benchmark-") as folder:
        directory, port = Path(folder), free_port()
        with running("nats", [*server, str(directory / "store")], directory) as nats:
            url = nats.wait_for_ready()
            with running("gateway", [*ours, url, str(port)], directory) as process:
                process.wait_for_ready()
                yield Gateway(process, nats, port)


def warm(_: int) -> str:
    return WARM


NOBODY = cycle([""])


def somebody() -> Iterator[str]:
    """Tokens as browsers send them."""
    return cycle([f"Sec-WebSocket-Protocol: Authorization, {token(f'user-{n}')}\r\n" for n in range(USERS)])


async def measured(gateway: Gateway, headers: Iterator[str], idle_seconds: float) -> dict[str, float]:
    """Everything of clients that come with one of these headers, by turns."""
    found = dict[str, float]()
    async with gateway.crowd(1, warm, NOBODY):
        await gateway.joins(FIRST, warm, headers)
        found["a join of a warm group, gateway CPU µs"], found["  NATS CPU µs"] = await gateway.joins(
            JOINS, warm, headers
        )
        quiet = await used(gateway, idle_seconds / 2)
        # What the first ones leave behind is there for the others: so they are compared with none.
        before = await gateway.memory_bytes()
        for count in SOCKETS:
            async with gateway.crowd(count, warm, headers) as clients:
                found[f"{count:,} idle: bytes each"] = (await gateway.memory_bytes() - before) / count
                if count < SOCKETS[-1]:
                    continue
                # The first pings are spread over half a period.
                await asyncio.sleep(PING_SECONDS / 2)
                pings = sum(client.pings for client in clients)
                busy = await used(gateway, idle_seconds)
                pings = sum(client.pings for client in clients) - pings
                found["  CPU µs each, a second"] = (busy - quiet) / count
                found["  seconds between two pings"] = idle_seconds * count / max(1, pings)
    return found


async def used(gateway: Gateway, seconds: float) -> float:
    """CPU in microseconds for each second."""
    before, _ = gateway.cpu_us()
    await asyncio.sleep(seconds)
    return (gateway.cpu_us()[0] - before) / seconds


async def where_memory_is(gateway: Gateway) -> str:
    """Of clients with tokens: bytes, blocks and the line that asked for them."""
    await gateway.asked("/trace")
    async with gateway.crowd(SOCKETS[0], warm, somebody()):
        return await gateway.asked("/where")


async def where_time_goes(gateway: Gateway) -> str:
    """Of clients with tokens that join."""
    await gateway.asked("/profile")
    await gateway.joins(JOINS, warm, somebody())
    return await gateway.asked("/profiled")


async def both(idle_seconds: float) -> list[dict[str, float]]:
    """Of clients without tokens, and of others with."""
    columns = list[dict[str, float]]()
    for headers in (NOBODY, somebody()):
        with gateway() as server:
            found = await measured(server, headers, idle_seconds)
            cpu, nats_cpu = await server.joins(COLD_GROUPS, cold, headers)
            columns.append(
                found | {"a join of a cold group, gateway CPU µs": cpu, "  its NATS CPU µs": nats_cpu}
            )
    return columns


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.connections", description=__doc__)
    parser.add_argument("--idle", type=float, default=25.0, help="how many seconds nothing happens (25)")
    parser.add_argument("--where", action="store_true", help="say which lines hold the memory, and no more")
    parser.add_argument("--profile", action="store_true", help="say what joins spend their time with")
    options = parser.parse_args()
    allow_sockets(SOCKETS[-1] + 500)
    end_cleanly_on_sigterm()
    if options.where or options.profile:
        with gateway() as server:
            print(uvloop.run(where_memory_is(server) if options.where else where_time_goes(server)))
        return
    columns = uvloop.run(both(options.idle))
    shown = Table("", "without a token", "with a token")
    for name in columns[0]:
        shown.add_row(name, *(f"{each[name]:,.1f}" for each in columns))
    Console().print(shown)


if __name__ == "__main__":
    main()
