"""Many groups with many items are watched: what a gateway takes that keeps them all, and one that may not.

One client watches each group. Then somebody else joins each: the gateway that
kept nothing of it reads it from NATS again.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from rich.table import Table

import streams
from streams.jetstream.bucket import provision
from streams.jetstream.connection import connected_to
from streams.keys import Namespace
from tests.benchmarks.load import Measures
from tests.benchmarks.processes import Process, ServerFailed, cpu_seconds, free_port, memory_mb, running
from tests.benchmarks.tables import cell, print_logs
from tests.gateway.returning import Returning

GROUPS, QUICK_GROUPS = 40, 6
ITEMS, ITEM_BYTES = 500, 4_000
CACHE_MIB = 8
IN_FLIGHT = 64

ROWS = [
    ("all are kept: memory, MB", "kept_mb", ",.1f"),
    ("  joins of groups that are watched, ms each", "kept_ms", ",.1f"),
    ("  gateway CPU ms each", "kept_cpu_ms", ",.1f"),
    (f"{CACHE_MIB} MiB are kept: memory, MB", "bound_mb", ",.1f"),
    ("  joins of groups that are watched, ms each", "bound_ms", ",.1f"),
    ("  gateway CPU ms each", "bound_cpu_ms", ",.1f"),
    ("clients that held something else than is stored", "wrong", ",.0f"),
]

bench = streams.Stream("bench", dict)


def run(rounds: int, *, is_quick: bool) -> tuple[Table, bool]:
    """The table, and whether every client held what was stored."""
    groups = QUICK_GROUPS if is_quick else GROUPS
    title = f"{groups} watched groups of {ITEMS} items of {ITEM_BYTES:,} bytes"
    found = list[Measures]()
    with tempfile.TemporaryDirectory(prefix="streams-benchmark-") as name:
        directory = Path(name)
        try:
            for number in range(rounds):
                found.append(_round(directory, number, groups))
        except ServerFailed:
            print_logs(directory)
            raise
    table = Table("", f"{rounds} rounds", title=title)
    for words, key, form in ROWS:
        table.add_row(words, cell([each[key] for each in found], form))
    return table, not any(each["wrong"] for each in found)


def _round(directory: Path, number: int, groups: int) -> Measures:
    command = [sys.executable, "-m", "tests.benchmarks.streams_server"]
    found: Measures = {"wrong": 0.0}
    with running(f"nats-{number}", [*command, "nats", str(directory / f"nats-{number}")], directory) as nats:
        url = nats.wait_for_ready()
        asyncio.run(_write(url, groups))
        for name, options in (("kept", ["100000"]), ("bound", [str(CACHE_MIB)])):
            port = free_port()
            with running(
                f"gateway-{number}-{name}", [*command, "gateway", url, str(port), *options], directory
            ) as gateway:
                gateway.wait_for_port(port)
                mb, ms, cpu_ms, wrong = asyncio.run(_watch(url, gateway, port, groups))
            found |= {f"{name}_mb": mb, f"{name}_ms": ms, f"{name}_cpu_ms": cpu_ms}
            found["wrong"] += wrong
    return found


async def _write(url: str, groups: int) -> None:
    room = asyncio.Semaphore(IN_FLIGHT)

    async def write(group: int, item: int) -> None:
        async with room:
            await bench.set(f"group {group}", f"item {item}", {"n": group * ITEMS + item, "text": _TEXT})

    async with connected_to(url) as connection, streams.connected(url):
        await provision(connection, Namespace(), "bench")
        await asyncio.gather(*(write(group, item) for group in range(groups) for item in range(ITEMS)))


async def _watch(url: str, gateway: Process, port: int, groups: int) -> tuple[float, float, float, float]:
    """Memory in MB with a client in each group; milliseconds and CPU milliseconds for each who comes then."""
    address = f"ws://127.0.0.1:{port}/"
    async with AsyncExitStack() as opened, streams.connected(url):
        await _join_all(address, opened, groups)
        mb = memory_mb([gateway.pid])
        cpu, began = cpu_seconds([gateway.pid]), time.perf_counter()
        others = await _join_all(address, opened, groups)
        took, cpu = time.perf_counter() - began, cpu_seconds([gateway.pid]) - cpu
        wrong = [other.held.items != await bench.get_group(other.group) for other in others]
    return mb, took * 1e3 / groups, cpu * 1e3 / groups, float(sum(wrong))


async def _join_all(address: str, opened: AsyncExitStack, groups: int) -> list[Returning]:
    clients = [Returning(f"group {number}", stream="bench") for number in range(groups)]
    for client in clients:
        await client.come(address, opened)
    return clients


_TEXT = "x" * (ITEM_BYTES - 50)
