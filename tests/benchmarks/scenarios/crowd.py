"""Many sockets, opened and closed together, and what servers cost meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import orjson

from tests.benchmarks.clients import Socket
from tests.benchmarks.load import Measures, Scale
from tests.benchmarks.processes import cpu_seconds, memory_mb
from tests.benchmarks.targets import Servers, Target

AT_ONCE = 50
"""Sockets that may be opening at a time."""

JOIN_SECONDS = 60.0
"""How long all joins of a scenario may take."""

SETTLE_SECONDS = 0.5
"""Between two scenarios, so that the disconnects of one are not charged to the next."""

S = TypeVar("S", bound=Socket)


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a scenario takes place: running servers."""

    target: Target
    servers: Servers
    scale: Scale

    @property
    def pids(self) -> list[int]:
        """Roots of all process trees of the target."""
        return [*self.servers.pids, *self.servers.broker_pids]

    async def opened(self, made: Callable[[], S]) -> S:
        """One socket that has joined what it joins.

        Raises:
            ConnectionError: It was refused.
        """
        loop = asyncio.get_running_loop()
        _, socket = await loop.create_connection(made, "127.0.0.1", self.servers.port)
        try:
            await socket.joined
        except BaseException:
            socket.leave()
            raise
        return socket

    @asynccontextmanager
    async def crowd(self, made: Iterable[Callable[[], S]]) -> AsyncIterator[list[S]]:
        """All of these sockets, joined, for the length of the block. They may be exchanged in it."""
        makers = list(made)
        waiting, sockets = iter(makers), list[S]()

        async def lane() -> None:
            for each in waiting:
                sockets.append(await self.opened(each))

        try:
            try:
                async with asyncio.timeout(JOIN_SECONDS), asyncio.TaskGroup() as joins:
                    for number in range(AT_ONCE):
                        joins.create_task(lane(), name=f"join {number}")
            except TimeoutError as error:
                done = f"{len(sockets)} of {len(makers)}"
                raise ConnectionError(f"{done} joins were answered after {JOIN_SECONDS:.0f} s") from error
            yield sockets
        finally:
            for socket in sockets:
                socket.leave()
            await asyncio.sleep(SETTLE_SECONDS)

    def meter(self) -> Meter:
        return Meter(self)

    def memory_mb(self) -> float:
        """Of all servers, in MiB."""
        return memory_mb(self.pids)

    async def own_counts(self) -> dict[str, int]:
        """What our gateway has counted since it started (`streams_server.counts`). Empty: it is a peer."""
        if self.target.name != "streams":
            return {}
        reader, writer = await asyncio.open_connection("127.0.0.1", self.servers.port)
        try:
            writer.write(b"GET /counts HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
        finally:
            writer.close()
        counts: dict[str, int] = orjson.loads(answer.partition(b"\r\n\r\n")[2])
        return counts


class Meter:
    """What the servers and this process have used since it was made."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._began = time.monotonic()
        self._client = time.process_time()
        self._server = cpu_seconds(stand.servers.pids)
        self._broker = cpu_seconds(stand.servers.broker_pids)

    def read(self) -> Used:
        seconds = time.monotonic() - self._began
        broker = cpu_seconds(self._stand.servers.broker_pids) - self._broker
        server = cpu_seconds(self._stand.servers.pids) - self._server
        return Used(seconds, server + broker, broker, time.process_time() - self._client)


@dataclass(frozen=True, slots=True)
class Used:
    seconds: float
    cpu_seconds: float
    """Of all servers."""
    broker_cpu_seconds: float
    """Of these, those behind the ones that face the clients."""
    client_cpu_seconds: float
    """Of the load process."""

    @property
    def client_cores(self) -> float:
        return self.client_cpu_seconds / self.seconds

    def each(self, delivered: int, stand: Stand) -> Measures:
        """CPU in microseconds for each delivered message."""
        measures = {"cpu_us": self.cpu_seconds * 1e6 / delivered, "client_cores": self.client_cores}
        if stand.servers.broker_pids:
            measures["broker_cpu_us"] = self.broker_cpu_seconds * 1e6 / delivered
        return measures
