"""Writes to watched groups, and to others: `python -m tests.benchmarks.losses_load NATS_URL`."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from itertools import count

import uvloop

import streams
from streams.jetstream.bucket import provision
from streams.jetstream.connection import connected_to
from streams.keys import Namespace
from tests.benchmarks.churn_clients import group_of
from tests.benchmarks.churn_load import Answer, obey
from tests.benchmarks.losses_hub import mark
from tests.benchmarks.targets import STREAM

IN_FLIGHT = 256
LANES = 16
AWAY = 10_000
"""Groups that are written to and watched by nobody."""

_FILLING = "x" * 100

bench = streams.Stream(STREAM, dict)


async def fill(number: int) -> Answer:
    """Write one item to each of so many groups, of which none has any."""
    groups = iter(range(number))
    began = time.monotonic()

    async def lane() -> None:
        for group in groups:
            await bench.set(group_of(group), "item", {"id": "item", "text": _FILLING})

    async with asyncio.TaskGroup() as lanes:
        for each in range(IN_FLIGHT):
            lanes.create_task(lane(), name=f"fill {each}")
    return {"seconds": time.monotonic() - began}


async def write(watched: int, share: float, per_second: float, seconds: float) -> Answer:
    """Write at this rate; that share of it to any of the watched groups. How often it did."""
    began, turns, writes = time.monotonic(), count(), count()

    async def lane() -> None:
        while (due := next(turns) / per_second) < seconds:
            await asyncio.sleep(began + due - time.monotonic())
            if random.random() < share:
                group = group_of(random.randrange(watched))
            else:
                group = f"away-{random.randrange(AWAY)}"
            await bench.set(group, "item", {"id": "item", "text": _FILLING, "n": next(writes)})

    async with asyncio.TaskGroup() as lanes:
        for each in range(LANES):
            lanes.create_task(lane(), name=f"write {each}")
    return {"writes": next(writes)}


async def write_marked(numbers: list[int], seconds: float) -> Answer:
    """Write a change with a mark to each of these groups, spread over some seconds.

    Returns when each was acknowledged, by CLOCK_MONOTONIC.
    """
    acknowledged: Answer = {}
    for number in numbers:
        await bench.set(group_of(number), "marked", {"id": "marked", "text": mark(number)})
        acknowledged[str(number)] = time.monotonic()
        await asyncio.sleep(seconds / len(numbers))
    return acknowledged


async def main(nats_url: str) -> None:
    async with connected_to(nats_url) as connection:
        await provision(connection, Namespace(), STREAM)
    async with streams.connected(nats_url):
        await obey(fill, write, write_marked)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
