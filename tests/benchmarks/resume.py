"""A client that holds a large group comes back after a few changes: what it is sent, and what that costs.

It comes back to the gateway that it was on, to that one after a restart, to
another one, and to another one when the markers of the deletes have expired.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
from rich.markup import escape
from rich.table import Table

import streams
from streams.jetstream import records
from streams.jetstream.api import stream_info
from streams.jetstream.bucket import provision
from streams.jetstream.connection import Connection, connected_to
from streams.keys import Namespace
from tests.benchmarks.load import Measures
from tests.benchmarks.processes import Process, ServerFailed, cpu_seconds, free_port, running
from tests.benchmarks.tables import cell, print_logs
from tests.gateway.returning import Returning

ITEMS, QUICK_ITEMS = 10_000, 1_000
ITEM_BYTES = 200
CHANGES, DELETES = 10, 5
IN_FLIGHT = 256

WAYS = ("same", "restarted", "another", "expired")
ROWS = [
    ("all items: KB", "whole_kb", ",.1f"),
    ("  ms until they were there", "whole_ms", ",.1f"),
    ("  gateway CPU ms", "whole_cpu_ms", ",.1f"),
    *[
        row
        for way, title in zip(
            WAYS,
            (
                "back on the same gateway: KB",
                "back after its restart: KB",
                "back on another one: KB",
                "back, markers expired: KB (of which ids)",
            ),
            strict=True,
        )
        for row in (
            (title, f"{way}_kb", ",.2f"),
            ("  without ids, of all items", f"{way}_share", ".2%"),
            ("  ms until it had all", f"{way}_ms", ",.1f"),
            ("  gateway CPU ms, a first read of the group included", f"{way}_cpu_ms", ",.1f"),
        )
    ],
]
FAULTS = [("times that it held something else than is stored", "wrong")]

bench = streams.Stream("bench", dict)


def run(rounds: int, *, is_quick: bool) -> tuple[Table, bool]:
    """The table, and whether the client always held what was stored."""
    items = QUICK_ITEMS if is_quick else ITEMS
    title = (
        f"Coming back to {items:,} items of {ITEM_BYTES} bytes after {CHANGES} changes and {DELETES} deletes"
    )
    found = list[Measures]()
    with tempfile.TemporaryDirectory(prefix="streams-benchmark-") as name:
        directory = Path(name)
        try:
            for number in range(rounds):
                found.append(_round(directory, number, items))
        except ServerFailed:
            print_logs(directory)
            raise
    table = Table("", f"{rounds} rounds", title=title)
    for words, key, form in [*ROWS, *((words, key, ",.0f") for words, key in FAULTS)]:
        table.add_row(escape(words), cell([each[key] for each in found], form))
    return table, not any(each[key] for each in found for _, key in FAULTS)


def _round(directory: Path, number: int, items: int) -> Measures:
    store = directory / f"nats-{number}"
    command = [sys.executable, "-m", "tests.benchmarks.streams_server", "nats", str(store)]
    with running(f"nats-{number}", command, directory) as server:
        url = server.wait_for_ready()
        return asyncio.run(_coming_back(url, directory, items))


@contextmanager
def _gateway(url: str, directory: Path, name: str) -> Iterator[tuple[Process, str]]:
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.streams_server", "gateway", url, str(port)]
    with running(f"gateway-{name}", command, directory) as process:
        process.wait_for_port(port)
        yield process, f"ws://127.0.0.1:{port}/"


async def _coming_back(url: str, directory: Path, items: int) -> Measures:
    namespace, found, wrong = Namespace(), dict[str, float](), 0
    async with connected_to(url) as connection, streams.connected(url):
        await provision(connection, namespace, "bench")
        await _write(items)
        client = Returning("large", stream="bench")
        with ExitStack() as gateways:
            first = gateways.enter_context(_gateway(url, directory, "first"))
            found["whole_kb"], found["whole_ms"], found["whole_cpu_ms"] = await _come(client, first)
            wrong += await _is_wrong(client)
            for number, way in enumerate(WAYS):
                await _change(connection, namespace, number, items, is_expired=way == "expired")
                if way == "restarted":
                    gateways.close()
                gateway = (
                    first if way == "same" else gateways.enter_context(_gateway(url, directory, f"{way}"))
                )
                ids = client.ids_bytes
                kb, ms, cpu_ms = await _come(client, gateway)
                wrong += await _is_wrong(client)
                ids_kb = (client.ids_bytes - ids) / 1e3
                found |= {f"{way}_kb": kb, f"{way}_ms": ms, f"{way}_cpu_ms": cpu_ms}
                found[f"{way}_share"] = (kb - ids_kb) / found["whole_kb"]
    return {**found, "wrong": float(wrong)}


async def _come(client: Returning, gateway: tuple[Process, str]) -> tuple[float, float, float]:
    """KB that came, milliseconds until all was there, and CPU milliseconds of the gateway."""
    process, address = gateway
    async with AsyncExitStack() as opened:
        before, cpu, began = client.bytes, cpu_seconds([process.pid]), time.perf_counter()
        await client.come(address, opened)
        took = time.perf_counter() - began
        cpu = cpu_seconds([process.pid]) - cpu
        return (client.bytes - before) / 1e3, took * 1e3, cpu * 1e3


async def _write(items: int) -> None:
    room = asyncio.Semaphore(IN_FLIGHT)

    async def write(number: int) -> None:
        async with room:
            await bench.set("large", _id(number), _item(number, 0))

    await asyncio.gather(*(write(number) for number in range(items)))


async def _change(
    connection: Connection, namespace: Namespace, round_number: int, items: int, *, is_expired: bool
) -> None:
    """Change and delete some, others every time."""
    start = round_number * (CHANGES + DELETES) + 1
    for number in range(start, start + CHANGES):
        await bench.set("large", _id(number), _item(number, round_number + 1))
    seconds, records.MARKER_SECONDS = records.MARKER_SECONDS, 1 if is_expired else records.MARKER_SECONDS
    try:
        for number in range(start + CHANGES, start + CHANGES + DELETES):
            await bench.delete("large", _id(number))
    finally:
        records.MARKER_SECONDS = seconds
    # What others left as markers does not go: of these alone it is waited for.
    left = 1 + items - DELETES
    while is_expired and (await stream_info(connection, namespace, "bench"))["state"]["messages"] > left:
        await asyncio.sleep(0.1)


async def _is_wrong(client: Returning) -> int:
    """1: it holds something else, or in another order."""
    return int(client.held.items != await bench.get_group("large"))


def _id(number: int) -> str:
    return f"item-{number:06d}"


def _item(number: int, version: int) -> dict[str, Any]:
    item = {"id": _id(number), "version": version, "text": ""}
    return {**item, "text": "x" * (ITEM_BYTES - len(orjson.dumps(item)))}
