"""One group with many sockets: how soon a write shows in them, and what it costs to tell them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import partial

from tests.benchmarks.clients import CountingSocket, Tally
from tests.benchmarks.load import Measures, quantile
from tests.benchmarks.scenarios.crowd import Stand
from tests.benchmarks.scenarios.following import FollowingSocket
from tests.benchmarks.scenarios.writer import Writer, lost_items

ITEMS = 100
"""Of the group."""

AHEAD = 64
"""Writes that may be ahead of the slowest deliveries."""

WRITES_PER_SECOND = 50.0
"""Where latency is measured."""

CONFLATED_SECONDS = 1.0
"""What has not come when nothing came for so long may never come: a newer value took its place."""


class Room:
    """Lets the writer be no more than `AHEAD` writes ahead of what was delivered."""

    def __init__(self, tally: Tally, frames_per_write: int) -> None:
        self._tally, self._each = tally, frames_per_write
        self._given_up = 0

    async def __call__(self, written: int) -> None:
        wanted = (written - AHEAD) * self._each - self._given_up
        if not await self._tally.reach(wanted, CONFLATED_SECONDS):
            self._given_up += wanted - self._tally.delivered


async def latency(stand: Stand, sockets: int) -> Measures:
    """Milliseconds from just before a write until a client has read the change."""
    tally, group = Tally(), f"latency-{sockets}"
    made = partial(FollowingSocket, group, tally, stand.target, ITEMS)
    async with stand.crowd([made] * sockets) as crowd, stand.target.writing(stand.servers) as write:
        writer = Writer(write, [group], ITEMS)
        await writer.write_all()
        await _all_came(crowd, writer)
        for socket in crowd:
            socket.seen.latencies_ns.clear()
        before = sum(socket.seen.delivered for socket in crowd)
        written = await writer.write_for(stand.scale.seconds, WRITES_PER_SECOND)
        await _all_came(crowd, writer)
        ordered = sorted(each / 1e6 for socket in crowd for each in socket.seen.latencies_ns)
        delivered = sum(socket.seen.delivered for socket in crowd) - before
        _check(tally, delivered, group)
        return {
            "p50_ms": quantile(ordered, 0.5),
            "p99_ms": quantile(ordered, 0.99),
            "frames": float(written * sockets),
            "skipped": float(sum(socket.seen.skipped for socket in crowd)),
            "lost": float(sum(lost_items(socket.seen.newest, writer) for socket in crowd)),
            "extra": float(sum(socket.seen.repeated + socket.seen.disordered for socket in crowd)),
        }


async def fan_out(stand: Stand, writes_per_second: float = math.inf) -> Measures:
    """What it costs to tell many sockets. CPU in microseconds for each delivered change."""
    tally, group, copies = Tally(), f"fan-out-{writes_per_second:.0f}", stand.target.copies
    made = partial(CountingSocket, group, tally, stand.target)
    async with (
        stand.crowd([made] * stand.scale.watchers) as crowd,
        # The writer comes last: uvicorn closes an HTTP connection that is idle for 5 s.
        stand.target.writing(stand.servers) as write,
    ):
        writer = Writer(write, [group], ITEMS)
        each = len(crowd) * copies
        await writer.write_all()
        await _all_counted(tally, crowd, writer.begun * copies)
        tally.delivered = 0
        for socket in crowd:
            socket.forget()
        counts = await stand.own_counts()
        meter, started_ns = stand.meter(), time.monotonic_ns()
        written = await writer.write_for(stand.scale.seconds, writes_per_second, room=Room(tally, each))
        writing_seconds = meter.read().seconds
        await _all_counted(tally, crowd, written * copies)
        used = meter.read()
        delivered = tally.delivered // copies
        _check(tally, delivered, group)
        seconds = max(stand.scale.seconds, (tally.newest_ns - started_ns) / 1e9)
        measures = {
            "writes_per_second": written / max(stand.scale.seconds, writing_seconds),
            "delivered_per_second": delivered / seconds,
            "delivered_per_cpu_second": delivered / used.cpu_seconds,
            "delivered_per_read": delivered / sum(socket.reads for socket in crowd),
            "memory_mb": stand.memory_mb(),
            **used.each(delivered, stand),
        }
        counted = await stand.own_counts()
        if counted:
            frames, writes = (counted[name] - counts[name] for name in ("frames", "writes"))
            measures["frames_per_write"] = frames / max(1, writes)
        return measures | _faults(crowd, writer, written, copies)


def _faults(crowd: Sequence[CountingSocket], writer: Writer, written: int, copies: int) -> Measures:
    """Changes that should have come, and those that did not or came too often."""
    lost = skipped = extra = 0
    for socket in crowd:
        extra += max(0, socket.count - written * copies)
        if socket.count < written * copies:
            missed = lost_items(socket.newest(writer.items), writer)
            lost += missed
            skipped += max(0, written - socket.count // copies - missed)
    frames = written * len(crowd)
    return {"frames": float(frames), "skipped": float(skipped), "lost": float(lost), "extra": float(extra)}


async def _all_came(crowd: Sequence[FollowingSocket], writer: Writer) -> None:
    if crowd:
        tally = crowd[0].tally
        await tally.until(lambda: not any(lost_items(socket.seen.newest, writer) for socket in crowd))


async def _all_counted(tally: Tally, crowd: Sequence[CountingSocket], each: int) -> None:
    """Until every socket got so many frames. What has not come in the end is for others to judge."""
    await tally.reach(each * len(crowd))
    # A frame too many on one socket may have hidden one that another still waits for.
    await tally.until(lambda: not any(socket.count < each for socket in crowd))


def _check(tally: Tally, delivered: int, group: str) -> None:
    if tally.closed:
        raise ConnectionError(f"the server closed {tally.closed} sockets of {group}")
    if not delivered:
        raise ConnectionError(f"nothing that was written to {group} was delivered")
