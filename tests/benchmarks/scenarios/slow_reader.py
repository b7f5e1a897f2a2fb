"""A client that stops reading, beside one that reads: what that costs the server, and what each gets."""

from __future__ import annotations

import asyncio
import math
import time
from functools import partial

from tests.benchmarks.clients import Tally
from tests.benchmarks.load import Measures
from tests.benchmarks.scenarios.crowd import Stand
from tests.benchmarks.scenarios.fan_out import Room
from tests.benchmarks.scenarios.following import FollowingSocket
from tests.benchmarks.scenarios.writer import Writer, lost_items

ITEMS = 100
ITEM_BYTES = 2000
GROUP = "slow"

LOOK_SECONDS = 0.25
"""Between two looks at the server's memory."""

STUCK_SECONDS = 5.0
"""A server that acknowledged no write for so long is stuck."""

REST_SECONDS = 2.0
"""After all is read, until the memory is looked at for the last time."""


async def slow_reader(stand: Stand) -> Measures:
    """Memory in MiB of all servers; faults 1 for yes, 0 for no."""
    healthy_tally, stalled_tally = Tally(), Tally()
    made = [
        partial(FollowingSocket, GROUP, tally, stand.target, ITEMS)
        for tally in (healthy_tally, stalled_tally)
    ]
    async with stand.target.writing(stand.servers) as write:
        writer = Writer(write, [GROUP], ITEMS, ITEM_BYTES)
        await writer.write_all()
        async with stand.crowd(made) as crowd:
            healthy, stalled = sorted(crowd, key=lambda socket: socket.tally is stalled_tally)
            stalled.transport.pause_reading()
            before, counts = stand.memory_mb(), await stand.own_counts()
            acknowledged, began = writer.done, time.monotonic()
            peak, is_stuck = await _written(stand, writer, Room(healthy_tally, 1))
            seconds, written = time.monotonic() - began, writer.done - acknowledged
            await healthy_tally.until(lambda: not lost_items(healthy.seen.newest, writer))
            measures = {
                "writes": float(written),
                "writes_per_second": written / seconds,
                "stuck": float(is_stuck),
                "before_mb": before,
                "peak_mb": max(peak, stand.memory_mb()) - before,
                # A server that got stuck has told of writes that it never acknowledged.
                "healthy_share": min(1.0, healthy.seen.delivered / max(1, written)),
                "healthy_exact": float(not lost_items(healthy.seen.newest, writer)),
            }
            stalled.transport.resume_reading()
            await stalled_tally.until(lambda: not lost_items(stalled.seen.newest, writer))
            await asyncio.sleep(REST_SECONDS)
            counted = await stand.own_counts()
            if counted:
                measures["conflated"] = float(counted["conflated"] - counts["conflated"])
            return measures | {
                "after_mb": stand.memory_mb() - before,
                "stalled_closed": float(stalled_tally.closed),
                "stalled_mb": stalled.bytes / 1e6,
                "stalled_frames": float(stalled.seen.delivered),
                "stalled_exact": float(not lost_items(stalled.seen.newest, writer)),
                "extra": float(sum(each.seen.repeated + each.seen.disordered for each in crowd)),
            }


async def _written(stand: Stand, writer: Writer, room: Room) -> tuple[float, bool]:
    """Write. Returns the servers' memory at its peak, in MiB, and whether they got stuck."""
    scale, peak = stand.scale, 0.0
    writing = asyncio.create_task(
        writer.write_for(scale.slow_seconds, math.inf, room=room, most=scale.slow_writes), name="write"
    )
    done, done_at = writer.done, time.monotonic()
    while not writing.done():
        await asyncio.wait([writing], timeout=LOOK_SECONDS)
        peak = max(peak, stand.memory_mb())
        if writer.done > done:
            done, done_at = writer.done, time.monotonic()
        elif time.monotonic() - done_at > STUCK_SECONDS:
            writing.cancel()
            await asyncio.wait([writing])
            return peak, True
    writing.result()
    return peak, False
