"""The load process of `stalled`: writers, a client that reads, and one that does not.

`python -m tests.benchmarks.stalled_load NATS_URL PORT KIND READER WRITES`
answers with one line when all is done.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import orjson
import uvloop

from streams.jetstream.connection import connected_to
from streams.jetstream.kv_store import KvStore
from streams.keys import Address, Namespace
from tests.benchmarks.clients import Tally, stamp
from tests.benchmarks.load import Measures, quantile
from tests.benchmarks.stalled_readers import Motia, Raw, Reader
from tests.benchmarks.targets import STREAM

GROUP = "stalled"
ITEMS = 100
ITEM_BYTES = 2000
IN_FLIGHT = 64

BEFORE_SHARE = 5
"""One part in so many of the writes is made before, when everybody reads, to compare with."""

WRITE_SECONDS = 100.0
"""How long the writes may take. What is not written by then is not."""

COMING, GOING = 0.1, 0.2
"""Of all writes, how many make an item anew, and how many delete it."""

REST_SECONDS = 2.0
"""After all is read, until the memory is looked at for the last time."""


class Writer:
    """Writes with many under way, each item in its turn."""

    def __init__(self, store: KvStore, *, is_coming_and_going: bool) -> None:
        self._store, self._is_coming_and_going = store, is_coming_and_going
        self._random = random.Random(7)
        self._sequence = 0
        self.revisions: set[int] = set()
        """Of all that was acknowledged."""

    async def fill(self) -> None:
        for number in range(ITEMS):
            await self._set(number)
        # Who comes after this has it in its first state.
        self.revisions.clear()

    async def write(self, writes: int) -> float:
        """Write so many times, or for `WRITE_SECONDS`. Returns how long it took, in seconds."""
        began, left = time.monotonic(), iter(range(writes))

        async def lane() -> None:
            for _ in left:
                if time.monotonic() - began > WRITE_SECONDS:
                    return
                await self._write_one()

        async with asyncio.TaskGroup() as lanes:
            for number in range(IN_FLIGHT):
                lanes.create_task(lane(), name=f"lane {number}")
        return time.monotonic() - began

    async def _write_one(self) -> None:
        number = self._sequence
        chance = self._random.random() if self._is_coming_and_going else 1.0
        if chance < COMING + GOING:
            await self._change(number, None)
        if not COMING < chance < COMING + GOING:
            await self._set(number)

    async def _set(self, number: int) -> None:
        item = {"id": _id(number), "stamp": stamp(number), "text": ""}
        item["text"] = "x" * (ITEM_BYTES - len(orjson.dumps(item)))
        await self._change(number, orjson.dumps(item))

    async def _change(self, number: int, value: bytes | None) -> None:
        self._sequence += 1
        address = Address(STREAM, GROUP, _id(number))
        written = await self._store.write(address, lambda _: value, is_blind=True)
        if written.revision is not None:
            self.revisions.add(written.revision)


def _id(number: int) -> str:
    return f"item-{number % ITEMS:03}"


async def stalled(nats_url: str, port: int, kind: str, reader: str, writes: int) -> dict[str, Any]:
    """Times are those of CLOCK_MONOTONIC, in seconds, so that others can look at the memory meanwhile."""
    loop = asyncio.get_running_loop()
    async with connected_to(nats_url, name="benchmark writer") as connection:
        store = KvStore(connection, Namespace())
        writer = Writer(store, is_coming_and_going=kind == "coming and going")
        await writer.fill()
        _, healthy = await loop.create_connection(lambda: Raw(GROUP, Tally()), "127.0.0.1", port)
        await healthy.joined
        async with reading(reader, port) as slow:
            await slow.comes_to(await items_of(store))
            unhurried = await writer.write(writes // BEFORE_SHARE)
            await _current(slow, healthy, store)
            told = len(writer.revisions)

            slow.stop()
            stopped = time.monotonic()
            took = await writer.write(writes)
            written = time.monotonic()
            items = await items_of(store)
            # It may have been behind itself for a moment, and then it has the newest all the same.
            await healthy.comes_to(items)
            outcome = await slow.goes_on(items)
        await asyncio.sleep(REST_SECONDS)
        measures: Measures = {
            "changes": float(len(writer.revisions) - told),
            "changes_per_second": (len(writer.revisions) - told) / took,
            "before_per_second": told / unhurried,
            "missing": float(len(writer.revisions - healthy.revisions)),
            "healthy_wrong": float(healthy.wrong),
            "healthy_closed": float(healthy.tally.closed),
            **_latencies("before", [ms for ns, ms in healthy.latencies if ns / 1e9 < stopped]),
            **_latencies("stall", [ms for ns, ms in healthy.latencies if ns / 1e9 >= stopped]),
        }
        healthy.transport.abort()
        moments = {"stopped": stopped, "written": written, "rested": time.monotonic()}
        return {"measures": measures, "outcome": asdict(outcome), "moments": moments}


@asynccontextmanager
async def reading(reader: str, port: int) -> AsyncIterator[Reader]:
    """The client that will not read."""
    if reader == "motia":
        async with Motia.running(GROUP, port) as motia:
            yield motia
        return
    loop = asyncio.get_running_loop()
    _, raw = await loop.create_connection(lambda: Raw(GROUP, Tally()), "127.0.0.1", port)
    await raw.joined
    yield raw
    raw.transport.abort()


async def items_of(store: KvStore) -> list[Any]:
    return [orjson.loads(item.value) for item in await store.get_group(STREAM, GROUP)]


async def _current(slow: Reader, healthy: Raw, store: KvStore) -> None:
    items = await items_of(store)
    await healthy.comes_to(items)
    await slow.comes_to(items)


def _latencies(name: str, milliseconds: list[float]) -> Measures:
    """The median and p99."""
    ordered = sorted(milliseconds)
    return {f"{name}_p50_ms": quantile(ordered, 0.5), f"{name}_p99_ms": quantile(ordered, 0.99)}


async def main(arguments: list[str]) -> dict[str, Any]:
    match arguments:
        case [nats_url, port, kind, reader, writes]:
            return await stalled(nats_url, int(port), kind, reader, int(writes))
        case _:
            sys.exit("usage: python -m tests.benchmarks.stalled_load NATS_URL PORT KIND READER WRITES")


if __name__ == "__main__":
    print(orjson.dumps(uvloop.run(main(sys.argv[1:]))).decode())
