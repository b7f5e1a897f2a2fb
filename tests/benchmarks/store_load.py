"""`set` and `get` of single items beside nats-py's `put` and `get`, by turns, from one process.

Run with one JSON argument, a `Task`; answers with one line, the `Measures`
of one round. A `set` returns what it replaced, and every such answer is
looked at; a `put` knows nothing of it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeAlias

import nats
import orjson
import uvloop

import streams
from streams.jetstream.bucket import provision
from streams.jetstream.connection import connected_to
from streams.keys import Namespace
from tests.benchmarks.hot import plain_bucket
from tests.benchmarks.load import ITEM_BYTES, Measures
from tests.benchmarks.processes import cpu_seconds
from tests.benchmarks.targets import STREAM

IN_FLIGHT = 64
"""Calls that are under way at once."""

TURNS = 4
"""How often each kind of call has its turn within a round."""

WRITES = ["new", "own", "others"]
"""Kinds of `set`, in this order on the same items: of new ones, of those that this process has written,
and of those that another one has."""

Call: TypeAlias = Callable[[int], Awaitable[None]]
"""Write or read the item of this number."""


@dataclass(frozen=True, slots=True)
class Task:
    """What one load process does."""

    nats_url: str
    nats_pids: list[int]
    number: int
    """Of the round. Nothing of another round is touched."""
    calls: int
    """In one turn of one kind."""
    is_reading: bool
    """Whether `get` is measured as well."""


@dataclass(slots=True)
class Spent:
    """What all calls of one kind have taken."""

    calls: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Of this process."""
    nats_cpu_seconds: float = 0.0

    async def add(self, call: Call, numbers: range, nats_pids: list[int]) -> None:
        """Call with all of the numbers, `IN_FLIGHT` at once."""
        waiting = iter(numbers)

        async def lane() -> None:
            for number in waiting:
                await call(number)

        nats_cpu, cpu, began = cpu_seconds(nats_pids), time.process_time(), time.monotonic()
        async with asyncio.TaskGroup() as lanes:
            for number in range(IN_FLIGHT):
                lanes.create_task(lane(), name=f"lane {number}")
        self.calls += len(numbers)
        self.seconds += time.monotonic() - began
        self.cpu_seconds += time.process_time() - cpu
        self.nats_cpu_seconds += cpu_seconds(nats_pids) - nats_cpu


def item(number: int, generation: int) -> dict[str, Any]:
    """One item as it was written the first, second, ... time; `ITEM_BYTES` of JSON text."""
    return {"id": f"item-{number:06d}", "generation": generation, "text": _FILLING}


_FILLING = ""
_FILLING = "x" * (ITEM_BYTES - len(orjson.dumps(item(0, 0))))


async def run(task: Task) -> Measures:
    """One round against a server that runs already. Keys are `kind/whose/measure`."""
    namespace, group = f"round-{task.number}", f"single-{task.number}"
    stream = streams.Stream(STREAM, dict)
    spent: defaultdict[str, Spent] = defaultdict(Spent)
    wrong = 0

    def setting(generation: int) -> Call:
        async def call(number: int) -> None:
            nonlocal wrong
            made = item(number, generation)
            result = await stream.set(group, made["id"], made)
            wrong += result.old_value != (item(number, generation - 1) if generation else None)

        return call

    def putting(generation: int) -> Call:
        async def call(number: int) -> None:
            made = item(number, generation)
            await kv.put(f"{group}.{made['id']}", orjson.dumps(made))

        return call

    async def get(number: int) -> None:
        nonlocal wrong
        expected = item(number, len(WRITES) - 1)
        found = await stream.get(group, expected["id"])
        wrong += found != expected

    async def kv_get(number: int) -> None:
        nonlocal wrong
        expected = item(number, len(WRITES) - 1)
        found = await kv.get(f"{group}.{expected['id']}")
        wrong += orjson.loads(found.value or b"") != expected

    async def by_turns(turn: int, kind: str, ours: Call, plain: Call) -> None:
        calls = [(f"{kind}/streams", ours), (f"{kind}/plain", plain)]
        numbers = range(turn * task.calls, (turn + 1) * task.calls)
        for name, call in calls if turn % 2 else reversed(calls):
            await spent[name].add(call, numbers, task.nats_pids)

    async with AsyncExitStack() as opened:
        connection = await opened.enter_async_context(connected_to(task.nats_url))
        await provision(connection, Namespace(namespace), STREAM)
        client = await opened.enter_async_context(await nats.connect(task.nats_url))
        kv = await plain_bucket(client.jetstream())
        async with streams.connected(task.nats_url, namespace=namespace):
            for turn in range(TURNS):
                for generation, kind in enumerate(WRITES[:2]):
                    await by_turns(turn, kind, setting(generation), putting(generation))
                # It knows as little of what was written as another process does.
                async with streams.connected(task.nats_url, namespace=namespace):
                    await stream.set(group, f"connected-{turn}", {"text": ""})
                    await by_turns(turn, "others", setting(2), putting(2))
                    if task.is_reading:
                        await by_turns(turn, "get", get, kv_get)
    measures: Measures = {"wrong": float(wrong)}
    for name, cost in spent.items():
        measures[f"{name}/per_second"] = cost.calls / cost.seconds
        measures[f"{name}/cpu_us"] = cost.cpu_seconds * 1e6 / cost.calls
        measures[f"{name}/nats_cpu_us"] = cost.nats_cpu_seconds * 1e6 / cost.calls
    return measures


if __name__ == "__main__":
    print(orjson.dumps(uvloop.run(run(Task(**orjson.loads(sys.argv[1]))))).decode())
