"""Sockets that come, join a group, get its state and go: how many of them a second, and a CPU second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle

from tests.benchmarks.clients import Socket, Tally
from tests.benchmarks.load import Measures
from tests.benchmarks.scenarios.crowd import Stand
from tests.benchmarks.scenarios.writer import Writer
from tests.tokens import token

AT_ONCE = 32
"""Sockets that are about to join."""

WARM_ITEMS, COLD_ITEMS = 100, 10
"""Of a group."""

MOST = 12_000
"""Each leaves a port behind that is not used again for a minute."""

USERS = 50
"""Who join by turns, where they have tokens."""


async def warm(stand: Stand, *, has_tokens: bool = False) -> Measures:
    """A group that somebody watches already."""
    tally, group = Tally(), "warm"
    async with stand.target.writing(stand.servers) as write:
        await Writer(write, [group], WARM_ITEMS).write_all()
    headers = cycle([f"Authorization: Bearer {token(f'user-{number}')}" for number in range(USERS)])

    def makers() -> Iterator[Callable[[], Socket]]:
        until = time.monotonic() + stand.scale.seconds
        for _ in range(MOST):
            if time.monotonic() > until:
                return
            yield partial(Socket, group, tally, stand.target, header=next(headers) if has_tokens else "")

    async with stand.crowd([partial(Socket, group, tally, stand.target)]):
        return await _joins(stand, makers())


async def cold(stand: Stand) -> Measures:
    """Each another group, which nobody has watched yet."""
    tally, groups = Tally(), [f"cold-{number}" for number in range(stand.scale.cold_groups)]
    async with stand.target.writing(stand.servers) as write:
        await Writer(write, groups, COLD_ITEMS * len(groups)).write_all()
    return await _joins(stand, (partial(Socket, group, tally, stand.target) for group in groups))


async def _joins(stand: Stand, makers: Iterator[Callable[[], Socket]]) -> Measures:
    joins = items = 0
    took: list[float] = []

    async def lane() -> None:
        nonlocal joins, items
        for made in makers:
            began = time.monotonic()
            socket = await stand.opened(made)
            took.append((time.monotonic() - began) * 1e3)
            joins, items = joins + 1, items + socket.state_items
            socket.leave()

    meter = stand.meter()
    async with asyncio.TaskGroup() as lanes:
        for number in range(AT_ONCE):
            lanes.create_task(lane(), name=f"lane {number}")
    used = meter.read()
    return {
        "per_second": joins / used.seconds,
        "per_cpu_second": joins / used.cpu_seconds,
        "cpu_ms": used.cpu_seconds * 1e3 / joins,
        "took_p50_ms": sorted(took)[len(took) // 2],
        "items": items / joins,
        "client_cores": used.client_cores,
    }
