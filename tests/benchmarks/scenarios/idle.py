"""Sockets that watch a group in which nothing happens: what each holds, and what keeping it costs."""

from __future__ import annotations

import asyncio
from functools import partial

from tests.benchmarks.clients import Tally
from tests.benchmarks.load import Measures
from tests.benchmarks.scenarios.crowd import Stand, Used
from tests.benchmarks.scenarios.following import FollowingSocket
from tests.benchmarks.scenarios.writer import Writer

SOCKETS_PER_GROUP = 20
FIRST = 50
"""Sockets that come and go before, so that what is made once is there."""

REST_SECONDS = 1.0
"""After these, until the server is looked at."""


async def idle(stand: Stand) -> Measures:
    """Memory in KiB for each connection, CPU in microseconds for each second of it."""
    tally, period = Tally(), stand.scale.idle_seconds
    groups = [f"idle-{number}" for number in range(max(1, stand.scale.idle_sockets // SOCKETS_PER_GROUP))]
    async with stand.target.writing(stand.servers) as write:
        await Writer(write, groups, len(groups)).write_all()
    made = [
        partial(FollowingSocket, groups[number % len(groups)], tally, stand.target, len(groups))
        for number in range(stand.scale.idle_sockets)
    ]
    async with stand.crowd(made[:FIRST]):
        pass
    await asyncio.sleep(REST_SECONDS)
    nobody = await _used(stand, period / 5)
    before = stand.memory_mb()
    async with stand.crowd(made) as crowd:
        # Ours has its first ping after half a period at the earliest, and one in each period from then on.
        await asyncio.sleep(period / 2)
        pings = sum(socket.pings for socket in crowd)
        used = await _used(stand, period)
        pings = sum(socket.pings for socket in crowd) - pings
        if tally.closed:
            raise ConnectionError(f"the server closed {tally.closed} idle sockets")
        busy, quiet = used.cpu_seconds / used.seconds, nobody.cpu_seconds / nobody.seconds
        measures = {
            "sockets": float(len(crowd)),
            "memory_kb": (stand.memory_mb() - before) * 1024 / len(crowd),
            "cpu_us": (busy - quiet) * 1e6 / len(crowd),
            "nobody_ms": quiet * 1e3,
        }
        if pings:
            measures["ping_seconds"] = used.seconds * len(crowd) / pings
        return measures


async def _used(stand: Stand, seconds: float) -> Used:
    meter = stand.meter()
    await asyncio.sleep(seconds)
    return meter.read()
