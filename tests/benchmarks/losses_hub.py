"""A hub with one watcher in all groups: `python -m tests.benchmarks.losses_hub NATS_URL SECONDS`.

A hundred thousand sockets do not fit on this machine, and what is measured
is what lies before them. Every so many seconds the hub compares its groups
with their bucket. Live changes with a mark in them do not reach it: it must
find them.
"""

from __future__ import annotations

import asyncio
import gc
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import uvloop

from streams.access import ANONYMOUS, Caller
from streams.changes import Change, ItemSet
from streams.gateway.hub import Hub
from streams.jetstream.connection import connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.keys import Namespace
from streams.messages import Join, Room
from tests.benchmarks.churn_clients import group_of
from tests.benchmarks.churn_load import Answer, obey
from tests.benchmarks.targets import STREAM
from tests.everybody import open_hub

JOINS_AT_ONCE = 512

TICK_SECONDS = 0.01
"""How often the event loop is looked at."""

_MARK = re.compile(rb"@@(\d+)@@")


def mark(number: int) -> str:
    """What an item has in it whose change is lost."""
    return f"@@{number}@@"


class Everybody:
    """A watcher that is in every group, and takes what it is given."""

    def __init__(self) -> None:
        self.caller: Caller = ANONYMOUS
        self.session = "everybody"
        self.questions = asyncio.Semaphore(JOINS_AT_ONCE)
        self.is_behind, self.is_extended, self.unread_bytes = False, False, 0
        self.writes = 0
        self.problems = list[str]()
        self.found = dict[str, float]()
        """Lost changes by the numbers in their marks, and when each came nevertheless, by CLOCK_MONOTONIC."""
        self._room_came = asyncio.Event()

    async def reach(self, writes: int) -> None:
        """Return when so many writes have been made."""
        while self.writes < writes and not self.problems:
            self._room_came.clear()
            await self._room_came.wait()

    def write(self, frames: bytes) -> None:
        self.writes += 1
        self._room_came.set()
        for number in _MARK.findall(frames):
            self.found.setdefault(number.decode(), time.monotonic())

    def close(self, code: int, reason: str) -> None:
        self.problems.append(f"closed: {code} {reason}")
        self._room_came.set()

    def cut(self, code: int, reason: str) -> None:
        self.close(code, reason)

    def watches(self, room: Room) -> bool:
        return True

    def rooms(self) -> set[Room]:
        return set()

    def window(self, room: Room) -> None:
        return None

    def refuse(self, room: Room, code: str, sentence: str) -> None:
        self.problems.append(f"{room} was refused: {code} {sentence}")
        self._room_came.set()


class LosingFeed(JetStreamFeed):
    """A feed that loses every live change with a mark."""

    @asynccontextmanager
    async def listening(
        self, room: Room, deliver: Callable[[Change], None], lost: Callable[[], None]
    ) -> AsyncIterator[None]:
        def deliver_or_lose(change: Change) -> None:
            if not (isinstance(change, ItemSet) and _MARK.search(change.value)):
                deliver(change)

        async with super().listening(room, deliver_or_lose, lost):
            yield


class Holds:
    """For how much CPU time at once the event loop was kept by something else."""

    def __init__(self) -> None:
        self.longest = self.longest_collection = 0.0
        self._loop = asyncio.get_running_loop()
        self._before = self._began = time.thread_time()
        self._loop.call_later(TICK_SECONDS, self._look)
        gc.callbacks.append(self._collect)

    def told(self) -> Answer:
        """What it was since the last time, in milliseconds."""
        told = {"hold_ms": self.longest * 1e3, "collection_ms": self.longest_collection * 1e3}
        self.longest = self.longest_collection = 0.0
        return told

    def _look(self) -> None:
        now = time.thread_time()
        self.longest = max(self.longest, now - self._before)
        self._before = now
        self._loop.call_later(TICK_SECONDS, self._look)

    def _collect(self, phase: str, _: dict[str, int]) -> None:
        now = time.thread_time()
        if phase == "start":
            self._began = now
        else:
            self.longest_collection = max(self.longest_collection, now - self._began)


class Measured:
    """What the hub is told to do."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._watcher, self._holds = Everybody(), Holds()

    async def join(self, first: int, count: int) -> Answer:
        """Watch more groups. Nothing may be written meanwhile: each write is a state."""
        watcher, began = self._watcher, self._watcher.writes
        for number in range(count):
            self._hub.join(watcher, Join("s", Room(STREAM, group_of(first + number))))
            await watcher.reach(began + number + 1 - JOINS_AT_ONCE)
        await watcher.reach(began + count)
        return self._told()

    async def look(self) -> Answer:
        """What there was since the last look."""
        return self._told()

    async def found(self) -> Answer:
        """When each of the lost changes came that have come."""
        return self._watcher.found

    def _told(self) -> Answer:
        if self._watcher.problems:
            raise RuntimeError(self._watcher.problems[0])
        return self._holds.told() | {"writes": self._watcher.writes}


async def main(nats_url: str, seconds: float) -> None:
    async with connected_to(nats_url, name="losses") as connection:
        feed = LosingFeed(connection, Namespace())
        async with open_hub(feed, look_for_losses_seconds=seconds) as hub:
            measured = Measured(hub)
            await obey(measured.join, measured.look, measured.found)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], float(sys.argv[2])))
