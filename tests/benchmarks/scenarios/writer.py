"""Who writes in a scenario: the items of its groups in turn, at a rate, a stamp in each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from tests.benchmarks.load import ITEM_BYTES, stamped
from tests.benchmarks.targets import Write

IN_FLIGHT = 64
"""Writes that may be on their way at once. Over HTTP, as many as there are connections."""

WRITE_SECONDS = 15.0
"""How long one write may take before the scenario fails."""


class Writer:
    """Write n is of item n modulo `items`. No item has two writes on their way, so their order is known."""

    def __init__(self, write: Write, groups: Sequence[str], items: int, size: int = ITEM_BYTES) -> None:
        """`items`: of all groups together. `size`: of one, in bytes."""
        self.write = write
        self.items = items
        self.begun = 0
        """Writes so far, which is the number of the next one."""
        self.done = 0
        """Those that were acknowledged."""
        self.newest = [-1] * items
        """By the number of an item, its newest write."""
        self.began_ns = [0] * items
        """When that one was made."""
        self._groups, self._size = groups, size
        self._turns = [asyncio.Lock() for _ in range(items)]

    async def write_all(self) -> None:
        """Every item once."""

        async def lane() -> None:
            while self.begun < end:
                await self._write_next()

        end = self.begun + self.items
        await _at_once(lane)

    async def write_for(
        self,
        seconds: float,
        writes_per_second: float,
        *,
        room: Callable[[int], Awaitable[object]] | None = None,
        most: float = float("inf"),
    ) -> int:
        """Write at this rate for so long, and return how many writes were made, all acknowledged.

        `room` is awaited with that number before each of them. `most`: no more writes than that.
        """
        start, written, turn = time.monotonic(), 0, asyncio.Lock()

        async def lane() -> None:
            nonlocal written
            while True:
                async with turn:
                    due = start + written / writes_per_second
                    await asyncio.sleep(due - time.monotonic())
                    if room is not None:
                        await room(written)
                    if written >= most or max(due, time.monotonic()) >= start + seconds:
                        return
                    written += 1
                    # Up to the lock of the item nothing waits, so they come to it in their order.
                    writing = self._write_next()
                await writing

        await _at_once(lane)
        return written

    def _write_next(self) -> Awaitable[None]:
        sequence, self.begun = self.begun, self.begun + 1
        return self._write(sequence)

    async def _write(self, sequence: int) -> None:
        item = sequence % self.items
        async with self._turns[item]:
            group, item_id = self._groups[item % len(self._groups)], f"item-{item // len(self._groups)}"
            self.newest[item], self.began_ns[item] = sequence, time.monotonic_ns()
            try:
                async with asyncio.timeout(WRITE_SECONDS):
                    await self.write(group, stamped(item_id, sequence, self._size))
            except TimeoutError as error:
                raise ConnectionError(f"a write to {group} took more than {WRITE_SECONDS:.0f} s") from error
        self.done += 1


def lost_items(newest: dict[int, int], writer: Writer) -> int:
    """Items whose last value never came."""
    return sum(newest.get(item, -1) < sequence for item, sequence in enumerate(writer.newest))


async def _at_once(lane: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as lanes:
        for number in range(IN_FLIGHT):
            lanes.create_task(lane(), name=f"lane {number}")
