"""The processes that increment one item: `python -m tests.benchmarks.counting NATS_URL PROCESSES`.

They are forked from one that has imported everything, which is done much
sooner than starting as many. That one hands on what it is told and answers
for all of them.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from typing import Literal, TypeAlias

import nats
import orjson
import uvloop
from nats.js.errors import KeyWrongLastSequenceError

import streams
from streams import ops
from tests.benchmarks.targets import STREAM

GROUP = "hot"
BUCKET = "naive"
"""What the naive loops write to."""

TELLING_SECONDS = 0.1
"""Between a turn is told and it begins."""

Kind: TypeAlias = Literal["streams", "naive"]


@dataclass(frozen=True, slots=True)
class Turn:
    """What some of the processes do at once."""

    kind: Kind
    item: str
    processes: int
    callers: int
    """Per process."""
    seconds: float
    begin: float = 0.0
    """When all begin, by CLOCK_MONOTONIC, which is one for all processes."""

    @property
    def end(self) -> float:
        """No increment begins later than this."""
        return self.begin + self.seconds


@dataclass(frozen=True, slots=True)
class Counted:
    """What one process did in a turn."""

    increments: int
    failed: int
    longest_ms: float
    """What one increment took."""
    cpu_seconds: float
    ended: float


def main(url: str, count: int) -> None:
    """Answer turns until the input ends."""
    context, pipes = multiprocessing.get_context("fork"), []
    for number in range(count):
        here, there = context.Pipe()
        context.Process(target=_run, args=(url, there), name=f"counting {number}", daemon=True).start()
        there.close()
        pipes.append(here)
    for pipe in pipes:
        pipe.recv()
    print('"ready"', flush=True)
    for line in sys.stdin:
        # The first ones would leave no time to those that are not told yet.
        turn = replace(Turn(**orjson.loads(line)), begin=time.monotonic() + TELLING_SECONDS)
        for pipe in pipes[: turn.processes]:
            pipe.send(turn)
        counted: list[Counted] = [pipe.recv() for pipe in pipes[: turn.processes]]
        seconds = max(one.ended for one in counted) - turn.begin
        print(orjson.dumps([seconds, [asdict(one) for one in counted]]).decode(), flush=True)


def _run(url: str, pipe: Connection) -> None:
    uvloop.run(_answer(url, pipe))


async def _answer(url: str, pipe: Connection) -> None:
    async with streams.connected(url), await nats.connect(url) as client:
        kv, stream = await client.jetstream().key_value(BUCKET), streams.Stream(STREAM, dict)
        pipe.send("ready")
        while True:
            turn: Turn = await asyncio.to_thread(pipe.recv)

            async def ours(item: str = turn.item) -> bool:
                await stream.update(GROUP, item, [ops.increment("n")])
                return True

            async def naive(key: str = f"{GROUP}.{turn.item}", end: float = turn.end) -> bool:
                while time.monotonic() < end:
                    entry = await kv.get(key)
                    item = orjson.loads(entry.value or b"")
                    item["n"] += 1
                    try:
                        await kv.update(key, orjson.dumps(item), last=entry.revision)
                    except KeyWrongLastSequenceError:
                        continue
                    return True
                return False

            pipe.send(await _counted(turn, ours if turn.kind == "streams" else naive))


async def _counted(turn: Turn, increment: Callable[[], Awaitable[bool]]) -> Counted:
    increments, failed, longest, cpu = 0, 0, 0.0, time.process_time()
    await asyncio.sleep(turn.begin - time.monotonic())

    async def caller() -> None:
        nonlocal increments, failed, longest
        while (began := time.monotonic()) < turn.end:
            try:
                is_done = await increment()
            except streams.StreamsError as error:
                print(error, file=sys.stderr)
                failed += 1
            else:
                increments += is_done
            longest = max(longest, time.monotonic() - began)

    async with asyncio.TaskGroup() as callers:
        for number in range(turn.callers):
            callers.create_task(caller(), name=f"caller {number}")
    return Counted(increments, failed, longest * 1e3, time.process_time() - cpu, time.monotonic())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
