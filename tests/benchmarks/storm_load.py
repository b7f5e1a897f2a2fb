"""The process of the clients whose gateway dies: `python -m tests.benchmarks.storm_load NATS_URL GROUPS`.

It is told what to do, line by line, and answers when it is done.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from contextlib import suppress

import uvloop

import streams
from tests.benchmarks.churn_clients import Client, Refused, Values, Writer, group_of, unlike
from tests.benchmarks.churn_load import OPENING_AT_ONCE, Answer, obey
from tests.benchmarks.load import quantile

RETRY_SECONDS = 1.0
"""At most so much later does a client try again that did not get in."""

BACK_SECONDS = 120.0
"""How long it may take until everybody is back."""


class Refugees:
    """Clients that go to another gateway when theirs is gone."""

    def __init__(self, groups: int) -> None:
        self.clients: dict[int, Client] = {}
        self._groups, self._writer = groups, Writer(groups)
        self._stop = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._port, self._jitter = 0, 0.0
        self._coming = set[asyncio.Task[None]]()
        self._all_back = asyncio.Event()
        self._took = list[float]()
        """Of everybody who is back, seconds from the first try to the state."""
        self._newest = 0.0
        self._stale = self._retries = self._refused = self._wrong = 0

    async def fill(self) -> Answer:
        await self._writer.fill()
        return {}

    async def open(self, port: int, count: int) -> Answer:
        self._port = port
        numbers = iter(range(count))

        async def lane() -> None:
            for number in numbers:
                await self._come(number)

        async with asyncio.TaskGroup() as lanes:
            for number in range(OPENING_AT_ONCE):
                lanes.create_task(lane(), name=f"open {number}")
        return {}

    async def expect(self, port: int, jitter: float, writes_per_second: float) -> Answer:
        """Write, and go to `port` when the line is lost: each after any time up to `jitter` seconds."""
        self._port, self._jitter, self._stop = port, jitter, asyncio.Event()
        self._took, self._stale, self._retries, self._refused = [], 0, 0, 0
        self._all_back.clear()
        self._writing = asyncio.create_task(
            self._writer.write(writes_per_second, 0, self._stop), name="write"
        )
        return {}

    async def back(self) -> Answer:
        """Return when everybody is back and has its group's state, or after `BACK_SECONDS`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(BACK_SECONDS):
                await self._all_back.wait()
        took = sorted(self._took)
        return {
            "last": self._newest,
            "p50_ms": quantile(took, 0.5) * 1e3,
            "p99_ms": quantile(took, 0.99) * 1e3,
            "away": len(self.clients) - len(took),
            "stale": self._stale,
            "retries": self._retries,
            "refused": self._refused,
        }

    async def compare(self) -> Answer:
        """Stop writing, and look who shows something else than what was written."""
        assert self._writing is not None, "nobody writes"
        self._stop.set()
        await self._writing
        return {
            "unlike": await unlike(self.clients.values(), self._writer),
            "wrong": self._wrong + sum(client.wrong for client in self.clients.values()),
        }

    def _lose(self, client: Client) -> None:
        if not client.shown:
            return  # It never got in, and tries again already.
        self._wrong += client.wrong
        coming = asyncio.create_task(self._come_back(client.number), name=f"back {client.number}")
        self._coming.add(coming)
        coming.add_done_callback(self._coming.discard)

    async def _come_back(self, number: int) -> None:
        await asyncio.sleep(random.uniform(0, self._jitter))
        began = time.monotonic()
        while not await self._is_in(number):
            self._retries += 1
            await asyncio.sleep(random.uniform(0, RETRY_SECONDS))
        self._took.append(time.monotonic() - began)
        if len(self._took) == len(self.clients):
            self._all_back.set()

    async def _is_in(self, number: int) -> bool:
        try:
            await self._come(number)
        except (OSError, TimeoutError) as error:
            self._refused += isinstance(error, Refused)
            return False
        return True

    async def _come(self, number: int) -> None:
        group = group_of(number % self._groups)
        client = self.clients[number] = Client(number, is_extended=number % 2 == 1, gone=self._lose)
        await client.connect(self._port)
        written: Values = dict(self._writer.written[group])
        await client.join(group)
        self._newest = time.monotonic()
        shown = client.shown[group]
        self._stale += any(shown.get(item_id, 0) < newest for item_id, newest in written.items())


async def main(nats_url: str, groups: int) -> None:
    async with streams.connected(nats_url):
        crowd = Refugees(groups)
        await obey(crowd.fill, crowd.open, crowd.expect, crowd.back, crowd.compare)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
