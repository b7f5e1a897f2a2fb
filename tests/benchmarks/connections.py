"""What one connection costs our gateway: memory and CPU in silence, and CPU until it has its state.

`python -m tests.benchmarks.connections` prints a table. With `--where FILE`
and `--profile FILE` it says besides which lines of Python hold the memory,
and in which functions the time of joins is spent; both are measured apart,
because they are slow.
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

from tests.benchmarks.connections_server import COLD_GROUPS, WARM, cold
from tests.benchmarks.processes import Process, cpu_seconds, free_port, memory_mb, running
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

    def memory_kb(self) -> float:
        return memory_mb([self.process.pid]) * 1024

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


NOBODY = cycle([""])


def somebody() -> Iterator[str]:
    """Tokens as browsers send them."""
    return cycle([f"Sec-WebSocket-Protocol: Authorization, {token(f'user-{n}')}\r\n" for n in range(USERS)])


async def measured(gateway: Gateway, headers: Iterator[str], *, idle_seconds: float) -> dict[str, float]:
    warm = lambda _: WARM  # noqa: E731
    found = dict[str, float]()
    async with gateway.crowd(1, warm, NOBODY):
        await gateway.joins(FIRST, warm, headers)
        found["join, gateway CPU µs"], found["  and of NATS"] = await gateway.joins(JOINS, warm, headers)
        for count in SOCKETS:
            await gateway.asked("/collect")
            before = gateway.memory_kb()
            async with gateway.crowd(count, warm, headers) as clients:
                await gateway.asked("/collect")
                found[f"{count:,} idle, KB each"] = (gateway.memory_kb() - before) / count
                if count == SOCKETS[-1] and idle_seconds:
                    # The first pings are spread over half a period.
                    await asyncio.sleep(PING_SECONDS / 2)
                    busy = gateway.cpu_us()[0]
                    pings = sum(client.pings for client in clients)
                    await asyncio.sleep(idle_seconds)
                    found["idle, CPU µs/s each"] = (gateway.cpu_us()[0] - busy) / idle_seconds / count
                    pings = sum(client.pings for client in clients) - pings
                    found["  seconds between pings"] = idle_seconds * count / max(1, pings)
        if idle_seconds:
            before_cpu = gateway.cpu_us()[0]
            await asyncio.sleep(10)
            found["nobody there, CPU µs/s"] = (gateway.cpu_us()[0] - before_cpu) / 10
    return found


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.connections", description=__doc__)
    parser.add_argument("--idle", type=float, default=25.0, help="seconds of idling (25)")
    parser.add_argument("--where", type=Path, metavar="FILE")
    parser.add_argument("--profile", type=Path, metavar="FILE")
    parser.add_argument("--only", choices=["nobody", "somebody"])
    options = parser.parse_args()
    shown = Table("", *([options.only] if options.only else ["nobody", "somebody"]))
    columns: dict[str, dict[str, float]] = {}
    for who, headers in (("nobody", NOBODY), ("somebody", somebody())):
        if options.only in (None, who):
            with gateway() as server:
                columns[who] = await measured(server, headers, idle_seconds=options.idle)
                if who == "nobody":
                    cpu = await server.joins(COLD_GROUPS, cold, headers)
                    columns[who]["cold join, gateway CPU µs"], columns[who]["  and of NATS "] = cpu
                if options.where:
                    await server.asked("/trace")
                    async with server.crowd(2000, lambda _: WARM, headers):
                        options.where.with_suffix(f".{who}").write_text(await server.asked("/where"))
                if options.profile:
                    await server.asked("/profile")
                    await server.joins(4000, lambda _: WARM, headers)
                    options.profile.with_suffix(f".{who}").write_text(await server.asked("/profiled"))
    for name in {name: None for each in columns.values() for name in each}:
        shown.add_row(name, *(f"{each[name]:,.1f}" if name in each else "" for each in columns.values()))
    Console().print(shown)


if __name__ == "__main__":
    uvloop.run(main())
