"""Many clients in many small groups, written to all the time, while clients go and come back."""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections.abc import Callable
from functools import partial

from tests.benchmarks.clients import Tally
from tests.benchmarks.load import CLIENTS, Measures, quantile
from tests.benchmarks.scenarios.crowd import Stand
from tests.benchmarks.scenarios.following import FollowingSocket
from tests.benchmarks.scenarios.writer import Writer

WATCHERS_PER_GROUP = GROUPS_PER_CLIENT = 2

DELIVERED_PER_SECOND = 1250.0
"""To all `CLIENTS`; to fewer, their share."""

RECONNECTS_PER_SECOND = 8.0

ITEMS_PER_GROUP = 2

REST_SECONDS = 2.0
"""So that what joining has left to do is not charged to what follows."""

SPARE_FILES = 200
"""That a process has open besides its sockets."""


async def mixed(stand: Stand) -> Measures:
    """CPU of everything (writes, joins, pings too) in microseconds for each delivered change."""
    target, tally = stand.target, Tally()
    sockets_each = 1 if target.further("", 1) else GROUPS_PER_CLIENT
    clients = min(stand.scale.clients, _most_sockets() // sockets_each)
    share = clients / CLIENTS
    groups = [f"mixed-{number}" for number in range(clients)]
    items = len(groups) * ITEMS_PER_GROUP
    made: list[Callable[[], FollowingSocket]] = []
    for number, group in enumerate(groups):
        # In a ring, so that each group has two watchers.
        own = [group, groups[(number + 1) % len(groups)]]
        for first, *rest in [own] if sockets_each == 1 else [[name] for name in own]:
            made.append(partial(FollowingSocket, first, tally, target, items, further=rest))
    async with target.writing(stand.servers) as write:
        writer = Writer(write, groups, items)
        await writer.write_all()
    async with stand.crowd(made) as crowd, target.writing(stand.servers) as write:
        writer.write = write
        await asyncio.sleep(REST_SECONDS)
        restless = _Clients(stand, crowd, sockets_each)
        rate = share * DELIVERED_PER_SECOND / WATCHERS_PER_GROUP
        meter, began_ns = stand.meter(), time.monotonic_ns()
        async with asyncio.TaskGroup() as both:
            seconds = stand.scale.mixed_seconds
            writing = both.create_task(writer.write_for(seconds, rate), name="write")
            both.create_task(restless.come_and_go(seconds, RECONNECTS_PER_SECOND * share), name="reconnect")
        has_states = any(socket.state_items for socket in crowd)
        await tally.until(lambda: not any(_lost(socket, writer, groups, has_states) for socket in crowd))
        used, seconds = meter.read(), (tally.newest_ns - began_ns) / 1e9
        lost = sum(_lost(socket, writer, groups, has_states) for socket in crowd)
        seen = [socket.seen for socket in (*crowd, *restless.gone)]
        extra = sum(each.repeated + each.disordered for each in seen)
        delivered = sum(each.delivered for each in seen)
        if not delivered:
            raise ConnectionError(f"none of {writing.result()} writes was delivered")
        ordered = sorted(each / 1e6 for one in seen for each in one.latencies_ns)
        return {
            "clients": float(clients),
            "sockets": float(len(crowd)),
            "writes_per_second": writing.result() / seconds,
            "delivered_per_second": delivered / seconds,
            **used.each(delivered, stand),
            "p50_ms": quantile(ordered, 0.5),
            "p99_ms": quantile(ordered, 0.99),
            "reconnects_per_second": len(restless.back_ms) / sockets_each / seconds,
            "back_ms": quantile(sorted(restless.back_ms), 0.5),
            "frames": float(delivered),
            "skipped": float(sum(each.skipped for each in seen)),
            "lost": float(lost),
            "extra": float(extra),
            "wrong": float(lost + extra + tally.closed),
        }


class _Clients:
    """They go and come back."""

    def __init__(self, stand: Stand, crowd: list[FollowingSocket], sockets_each: int) -> None:
        self.gone: list[FollowingSocket] = []
        self.back_ms: list[float] = []
        """How long each took to be back, with its groups' states."""
        self._stand, self._crowd, self._sockets_each = stand, crowd, sockets_each

    async def come_and_go(self, seconds: float, per_second: float) -> None:
        start, order = time.monotonic(), random.Random(7)
        async with asyncio.TaskGroup() as tasks:
            for number in range(max(1, int(seconds * per_second))):
                await asyncio.sleep(start + number / per_second - time.monotonic())
                for _ in range(self._sockets_each):
                    socket = self._crowd.pop(order.randrange(len(self._crowd)))
                    socket.leave()
                    self.gone.append(socket)
                    tasks.create_task(self._come_back(socket), name=f"reconnect {number}")

    async def _come_back(self, socket: FollowingSocket) -> None:
        began = time.monotonic()
        self._crowd.append(await self._stand.opened(socket.again))
        self.back_ms.append((time.monotonic() - began) * 1e3)


def _lost(socket: FollowingSocket, writer: Writer, groups: list[str], has_states: bool) -> int:
    """Items whose newest value it has not. Where a join tells no state, those written after it count."""
    lost = 0
    for name in socket.groups:
        group = int(name.rpartition("-")[2])
        for item in range(group, writer.items, len(groups)):
            is_due = has_states or writer.began_ns[item] > socket.joined_ns
            lost += is_due and socket.seen.newest.get(item, -1) < writer.newest[item]
    return lost


def _most_sockets() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES
