"""The load process: all clients and the writer, apart from every server.

Run with one JSON argument, a `Task`; prints one JSON object, the `Measures`.
"""

from __future__ import annotations

import asyncio
import gc
import math
import sys
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import orjson
import uvloop

from tests.benchmarks.clients import Socket, Tally, TimingSocket, stamp
from tests.benchmarks.processes import cpu_seconds, memory_mb
from tests.benchmarks.targets import LANES, TARGETS, Item, Servers, Target, Write

WATCHERS = 500
"""Sockets of a fan-out."""

AHEAD = 64
"""Writes that may be ahead of the slowest deliveries."""

ITEMS = 32
"""Items of a group, written in turn."""

ITEM_BYTES = 200
"""Length of an item as JSON text."""

LATENCY_WRITES_PER_SECOND = 50.0

JOIN_SECONDS = 30.0
"""How long all joins of a scenario may take."""

WRITE_SECONDS = 15.0
"""How long one write may take before the round fails."""

SETTLE_SECONDS = 0.5
"""Between two scenarios, so that the disconnects of one are not charged to the next."""

Measures: TypeAlias = dict[str, float]


@dataclass(frozen=True, slots=True)
class Task:
    """What one load process does."""

    target: str
    servers: Servers
    seconds: float
    """How long each scenario writes."""


def stamped(sequence: int) -> Item:
    """The item of one write, made just before it."""
    item = {"id": f"item-{sequence % ITEMS}", "stamp": stamp(sequence), "text": ""}
    item["text"] = "x" * (ITEM_BYTES - len(orjson.dumps(item)))
    return item


@dataclass(frozen=True, slots=True)
class Scenario:
    """One group with its sockets and its writer."""

    group: str
    sockets: list[Socket]
    tally: Tally
    write: Write

    async def write_one(self, sequence: int) -> None:
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self.write(self.group, stamped(sequence))
        except TimeoutError as error:
            raise ConnectionError(f"a write to {self.group} took more than {WRITE_SECONDS:.0f} s") from error

    async def warm_up(self) -> None:
        """Write every item once, so that all that is measured is an update."""
        for sequence in range(ITEMS):
            await self.write_one(sequence)
        if not await self.tally.reach(ITEMS * len(self.sockets)):
            missing = ITEMS * len(self.sockets) - self.tally.delivered
            raise ConnectionError(f"{missing} frames of the warm-up in {self.group} never came")
        self.tally.delivered = 0
        for socket in self.sockets:
            socket.count = 0
            if isinstance(socket, TimingSocket):
                socket.latencies_ns.clear()

    async def write_for(self, seconds: float, writes_per_second: float) -> int:
        """Write at this rate, but never more than `AHEAD` writes ahead of the deliveries.

        Returns, when all is delivered or lost, how many writes were made.
        """
        start, written, turn = time.monotonic(), 0, asyncio.Lock()

        async def lane() -> None:
            nonlocal written
            while True:
                async with turn:
                    due = start + written / writes_per_second
                    await asyncio.sleep(due - time.monotonic())
                    has_room = await self.tally.reach((written - AHEAD) * len(self.sockets))
                    if not has_room or max(due, time.monotonic()) >= start + seconds:
                        return
                    sequence, written = written, written + 1
                await self.write_one(sequence)

        async with asyncio.TaskGroup() as lanes:
            for number in range(LANES):
                lanes.create_task(lane(), name=f"lane {number}")
        await self.tally.reach(written * len(self.sockets))
        # A frame too many on one socket may have hidden one that another still waits for.
        while any(socket.count < written for socket in self.sockets):
            if not await self.tally.reach(self.tally.delivered + 1):
                break
        if self.tally.closed:
            raise ConnectionError(f"the server closed {self.tally.closed} of {len(self.sockets)} sockets")
        if not self.tally.delivered:
            raise ConnectionError(f"none of {written} writes to {self.group} was delivered")
        return written

    def frames(self, written: int) -> Measures:
        """Frames that should have come, and those that did not or came too often."""
        missing = [written - socket.count for socket in self.sockets]
        return {
            "frames": float(written * len(self.sockets)),
            "lost": float(sum(max(0, count) for count in missing)),
            "extra": float(sum(max(0, -count) for count in missing)),
        }


@asynccontextmanager
async def joined(
    target: Target, servers: Servers, group: str, count: int, kind: type[Socket]
) -> AsyncIterator[Scenario]:
    """`count` sockets in one group and a writer, warmed up, for the length of the block."""
    loop, tally, sockets = asyncio.get_running_loop(), Tally(), list[Socket]()
    opening = asyncio.Semaphore(50)

    async def open_one() -> None:
        async with opening:
            _, socket = await loop.create_connection(lambda: kind(group, tally), "127.0.0.1", servers.port)
            sockets.append(socket)
            await socket.joined

    try:
        try:
            async with asyncio.timeout(JOIN_SECONDS), asyncio.TaskGroup() as joins:
                for number in range(count):
                    joins.create_task(open_one(), name=f"join {number}")
        except TimeoutError as error:
            done = sum(socket.joined.done() for socket in sockets)
            raise ConnectionError(f"{done} of {count} joins answered after {JOIN_SECONDS:.0f} s") from error
        # The writer comes last: uvicorn closes an HTTP connection that is idle for 5 s.
        async with target.writing(servers) as write:
            scenario = Scenario(group, sockets, tally, write)
            await scenario.warm_up()
            yield scenario
    finally:
        for socket in sockets:
            socket.transport.abort()
        await asyncio.sleep(SETTLE_SECONDS)


async def latency(target: Target, servers: Servers, sockets: int, seconds: float) -> Measures:
    """Milliseconds from just before a write until a client has read the change."""
    async with joined(target, servers, f"latency-{sockets}", sockets, TimingSocket) as scenario:
        written = await scenario.write_for(seconds, LATENCY_WRITES_PER_SECOND)
        timing = [socket for socket in scenario.sockets if isinstance(socket, TimingSocket)]
        ordered = sorted(nanoseconds / 1e6 for socket in timing for nanoseconds in socket.latencies_ns)
        measures = {"p50_ms": quantile(ordered, 0.5), "p99_ms": quantile(ordered, 0.99)}
        return measures | scenario.frames(written)


async def fan_out(
    target: Target, servers: Servers, seconds: float, writes_per_second: float = math.inf
) -> Measures:
    """What it costs to tell `WATCHERS` sockets. CPU in microseconds per delivered frame."""
    group = f"fan-out-{writes_per_second:.0f}"
    async with joined(target, servers, group, WATCHERS, Socket) as scenario:
        started_ns, client = time.monotonic_ns(), time.process_time()
        server, nats = cpu_seconds(servers.pids), cpu_seconds(servers.nats_pids)
        written = await scenario.write_for(seconds, writes_per_second)
        server, nats = cpu_seconds(servers.pids) - server, cpu_seconds(servers.nats_pids) - nats
        client = time.process_time() - client
        delivered = scenario.tally.delivered
        wall_seconds = max(seconds, (scenario.tally.newest_ns - started_ns) / 1e9)
        measures = {
            "delivered_per_second": delivered / wall_seconds,
            "cpu_us": (server + nats) * 1e6 / delivered,
            "delivered_per_cpu_second": delivered / max(0.01, server + nats),
            "client_cores": client / wall_seconds,
            "memory_mb": memory_mb([*servers.pids, *servers.nats_pids]),
        }
        if servers.nats_pids:
            measures["nats_cpu_us"] = nats * 1e6 / delivered
        return measures | scenario.frames(written)


def quantile(ordered: list[float], share: float) -> float:
    """Nearest rank, so that it is a value that was measured."""
    return ordered[math.ceil(share * len(ordered)) - 1]


async def run(task: Task) -> Measures:
    """All scenarios against servers that run already. Keys are `scenario/measure`."""
    target, servers = TARGETS[task.target], task.servers
    done = {
        "latency-1": await latency(target, servers, 1, task.seconds),
        "latency-100": await latency(target, servers, 100, task.seconds),
        "fan-out": await fan_out(target, servers, task.seconds),
        "paced-10": await fan_out(target, servers, task.seconds, 10),
        "paced-100": await fan_out(target, servers, task.seconds, 100),
    }
    return {f"{scenario}/{name}": value for scenario, found in done.items() for name, value in found.items()}


def main() -> None:
    fields = orjson.loads(sys.argv[1])
    task = Task(**fields | {"servers": Servers(**fields["servers"])})
    # A collection would stop all clients at once and show as latency; the process is short and small.
    gc.disable()
    try:
        measures = uvloop.run(run(task))
    except Exception as error:
        traceback.print_exception(error)
        # The last line is what the table shows, so it names the cause and not the group around it.
        cause: BaseException = error
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        sys.exit(f"{type(cause).__name__}: {cause}")
    sys.stdout.buffer.write(orjson.dumps(measures))


if __name__ == "__main__":
    main()
