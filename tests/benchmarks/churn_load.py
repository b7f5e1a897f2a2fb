"""The process of the clients that come and go: `python -m tests.benchmarks.churn_load NATS_URL TASK`.

It is told what to do, line by line, and answers when it is done.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import orjson
import uvloop

import streams
from tests.benchmarks.churn_clients import Client, Refused, Writer, group_of, unlike

OPENING_AT_ONCE = 50

REFUSALS = 5
"""So often a client tries again that was refused a group."""

DELETED = 0.05
"""Share of writes that delete an item. The next write makes it anew."""

Answer: TypeAlias = dict[str, float]


@dataclass(frozen=True, slots=True)
class Task:
    """Who there is."""

    groups: int
    port: int
    """Of the gateway that all connect to at first."""


class Crowd:
    """All clients, each with one group that it never leaves, and later a second one that changes."""

    def __init__(self, task: Task) -> None:
        self.clients: dict[int, Client] = {}
        self.writer = Writer(task.groups)
        self.lost = 0
        """Connections that the server ended."""
        self.refused = 0
        """Joins that the server refused, and everybody may. They were tried again."""
        self._groups, self._port = task.groups, task.port
        self._came = self._moved = 0

    async def fill(self) -> Answer:
        await self.writer.fill()
        return {}

    async def warm(self) -> Answer:
        """One client in all groups, so that no other is the first one anywhere."""
        client = self.clients[-1] = await self._connected(-1, is_extended=False)
        for number in range(self._groups):
            await self._join(client, group_of(number))
        return {}

    async def open(self, first: int, count: int, *, is_extended: bool) -> Answer:
        """Let clients come, `OPENING_AT_ONCE`."""
        numbers = iter(range(first, first + count))

        async def lane() -> None:
            for number in numbers:
                await self._come(number, is_extended=is_extended)

        async with asyncio.TaskGroup() as lanes:
            for number in range(OPENING_AT_ONCE):
                lanes.create_task(lane(), name=f"open {number}")
        return {}

    async def spread(self) -> Answer:
        """Let everybody join a second group."""
        waiting = iter([client for number, client in self.clients.items() if number >= 0])

        async def lane() -> None:
            for client in waiting:
                await self._join(client, self._other_group(client))

        async with asyncio.TaskGroup() as lanes:
            for number in range(OPENING_AT_ONCE):
                lanes.create_task(lane(), name=f"spread {number}")
        return {}

    async def churn(self, seconds: float, per_second: float, writes_per_second: float) -> Answer:
        """So many go and others come in their place, and as many change a group, while all groups change."""
        stop, end = asyncio.Event(), time.monotonic() + seconds
        lost, writes = self.lost, self.writer.writes
        self._came = self._moved = 0
        writing = asyncio.create_task(self.writer.write(writes_per_second, DELETED, stop), name="write")
        idle = deque(random.sample(list(self.clients), len(self.clients)))

        async def turn(act: Callable[[int], Awaitable[None]], number: int) -> None:
            await act(number)
            # Its next turn comes when everybody else had one.
            idle.append(number)

        async with asyncio.TaskGroup() as turns:
            due = time.monotonic()
            while due < end and not writing.done():
                for act in (self._replace, self._move):
                    turns.create_task(turn(act, idle.popleft()), name=act.__name__)
                due += 1 / per_second
                await asyncio.sleep(due - time.monotonic())
        stop.set()
        await writing
        return {
            "came": self._came,
            "moved": self._moved,
            "writes": self.writer.writes - writes,
            "lost": self.lost - lost,
        }

    async def compare(self) -> Answer:
        """How many clients show something else than what was written, when they had time to hear of it."""
        return {
            "clients": len(self.clients),
            "rooms": sum(len(client.shown) for client in self.clients.values()),
            "unlike": await unlike(self.clients.values(), self.writer),
            "wrong": sum(client.wrong for client in self.clients.values()),
            "lost": self.lost,
            "refused": self.refused,
        }

    async def leave(self, numbers: Iterable[int] | None = None) -> Answer:
        for number in list(self.clients) if numbers is None else numbers:
            self.clients.pop(number).end()
        return {}

    async def _come(self, number: int, *, is_extended: bool) -> None:
        client = self.clients[number] = await self._connected(number, is_extended=is_extended)
        await self._join(client, group_of(number % self._groups))

    async def _connected(self, number: int, *, is_extended: bool) -> Client:
        client = Client(number, is_extended=is_extended, gone=self._lose)
        await client.connect(self._port)
        return client

    async def _join(self, client: Client, group: str) -> None:
        """Raises Refused when it was refused too often."""
        for attempt in range(REFUSALS):
            try:
                return await client.join(group)
            except Refused:
                self.refused += 1
                await asyncio.sleep(random.uniform(0.5, 1.0) * 2**attempt)
        return await client.join(group)

    async def _replace(self, number: int) -> None:
        """Somebody goes, and somebody comes into the same groups."""
        before = self.clients[number]
        groups = list(before.shown)
        before.end()
        client = self.clients[number] = await self._connected(number, is_extended=before.is_extended)
        client.wrong += before.wrong
        for group in groups:
            await self._join(client, group)
        self._came += 1

    async def _move(self, number: int) -> None:
        """Somebody goes to another second group."""
        client = self.clients[number]
        _, second = client.shown
        client.leave(second)
        await self._join(client, self._other_group(client))
        self._moved += 1

    def _other_group(self, client: Client) -> str:
        """Any one that it has not joined."""
        while (group := group_of(random.randrange(self._groups))) in client.shown:
            pass
        return group

    def _lose(self, client: Client) -> None:
        self.lost += 1


async def obey(*orders: Callable[..., Awaitable[Answer]]) -> None:
    """Do what each line of the input says, by the name of the method, and answer, until it ends."""
    by_name = {order.__name__: order for order in orders}
    print('"ready"', flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = orjson.loads(line)
        done = await by_name[order.pop("do")](**order)
        print(orjson.dumps(done).decode(), flush=True)


async def main(nats_url: str, task: Task) -> None:
    async with streams.connected(nats_url):
        crowd = Crowd(task)
        await obey(crowd.fill, crowd.warm, crowd.open, crowd.spread, crowd.churn, crowd.compare, crowd.leave)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], Task(**orjson.loads(sys.argv[2]))))
