"""Updates while the server is killed again and again: nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from streams import Contention, OutcomeUnknown, StoreUnavailable, Stream, bound_to, ops
from streams.dev.nats_server import NatsServer
from streams.jetstream.bucket import provision
from streams.jetstream.connection import connected_to
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from tests.gateway.waiting import until

KILLS = 10
BETWEEN_KILLS = 150
"""Updates that are acknowledged before the next kill."""

counter = Stream("todo", dict)


@dataclass
class Tally:
    """What callers were told of their updates, each of which leaves a mark of its own."""

    acknowledged: set[str] = field(default_factory=set)
    nothing_written: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    replaced: list[int] = field(default_factory=list)
    """The counts that acknowledged updates replaced."""


async def keep_counting(store: KvStore, name: str, item: str, tally: Tally, done: asyncio.Event) -> None:
    number = 0
    while not done.is_set():
        number += 1
        mark = f"{name}.{number}"
        try:
            with bound_to(store):
                result = await counter.update("g", item, [ops.increment("n"), ops.set(["marks", mark], True)])
        except OutcomeUnknown:
            tally.unknown.add(mark)
        # A busy machine lets one process win every race for an item: that is said, and nothing is written.
        except (StoreUnavailable, Contention):
            tally.nothing_written.add(mark)
        else:
            tally.acknowledged.add(mark)
            tally.replaced.append((result.old_value or {}).get("n", 0))


@pytest.mark.timeout(120)
async def test_updates_survive_a_server_that_is_killed_again_and_again(
    own_nats: NatsServer, namespace: Namespace
):
    tallies = {"hot": Tally(), "other": Tally()}

    def acknowledged() -> int:
        return sum(len(tally.acknowledged) for tally in tallies.values())

    async with connected_to(own_nats.url) as one, connected_to(own_nats.url) as another:
        await provision(one, namespace, "todo")
        # What two processes are: each has a connection, and knows nothing of what the other does.
        stores = [KvStore(one, namespace), KvStore(another, namespace)]
        done = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for number in range(8):
                for item, tally in tallies.items():
                    tasks.create_task(keep_counting(stores[number % 2], f"w{number}", item, tally, done))
            for _ in range(KILLS):
                wanted = acknowledged() + BETWEEN_KILLS
                await until(lambda wanted=wanted: acknowledged() >= wanted, seconds=20)
                own_nats.kill()
                await own_nats.restart()
            done.set()

        for item, tally in tallies.items():
            with bound_to(stores[0]):
                found = await counter.get("g", item)
            assert found is not None
            marks = set(found["marks"])
            assert found["n"] == len(marks), "an increment was counted twice"
            assert tally.acknowledged <= marks, "an acknowledged update is not there"
            assert not tally.nothing_written & marks, "what was not written is there"
            assert marks <= tally.acknowledged | tally.unknown
            assert len(set(tally.replaced)) == len(tally.replaced), "two updates replaced the same item"
    assert acknowledged() >= KILLS * BETWEEN_KILLS
