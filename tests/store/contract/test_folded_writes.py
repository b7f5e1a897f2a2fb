"""Writes of one item that meet: each counts, each has its own result, and each fails alone."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from itertools import groupby

import pytest

from streams import ItemRefused, OpRefused, Stream, StreamUpdateResult, bound_to, ops
from streams.changes import ItemSet
from streams.store import UNCHANGED, Feed, Lifetime, Present, Store, Unchanged, Written
from tests.store.heard import listening
from tests.store.writes import address, in_order

todo = Stream("todo", dict)


@dataclass
class Writers:
    """Many who write one item at random. No two values are alike."""

    store: Store
    random: random.Random
    seconds: dict[bytes, float | None] = field(default_factory=dict)
    """How long an item with this value was to live, of those that said so: `set`, and what creates it."""

    async def write(self, number: int) -> Written:
        for _ in range(self.random.randrange(4)):
            await asyncio.sleep(0)
        match self.random.choices(("set", "set with ttl", "update", "nothing", "delete"), (3, 2, 6, 1, 1))[0]:
            case "set":
                return await self._set(number, None)
            case "set with ttl":
                return await self._set(number, 60 + number)
            case "update":
                return await self._update(number)
            case "nothing":
                return await self.store.write(address(), lambda _: UNCHANGED)
            case _:
                return await self.store.write(address(), lambda _: None)

    def _set(self, number: int, seconds: float | None) -> Awaitable[Written]:
        value = json.dumps({"by": [number]}).encode()
        self.seconds[value] = seconds
        return self.store.write(address(), lambda _: value, lifetime=Lifetime(seconds), is_blind=True)

    def _update(self, number: int) -> Awaitable[Written]:
        lifetime = Lifetime(5000 + number, is_kept=True)

        def decide(old: Present | None) -> bytes | Unchanged | None:
            by = [] if old is None else json.loads(old.value)["by"]
            value = json.dumps({"by": [*by, number]}).encode()
            if old is None:
                self.seconds[value] = lifetime.seconds
            return value

        return self.store.write(address(), decide, lifetime=lifetime)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_meets_is_done_one_after_the_other(store: Store, feed: Feed, seed: int):
    writers, started = Writers(store, random.Random(seed)), now_ms()

    async with listening(store, feed) as heard:
        results = await asyncio.gather(*(writers.write(number) for number in range(150)))
        came = await heard.all()

    chain = in_order(results)
    states = [None, *(written.value for written in chain)]
    assert all(written.old == written.value in states for written in results if written.revision is None)

    last_of_each = {revision: list(all_)[-1] for revision, all_ in groupby(chain, key=lambda w: w.revision)}
    assert [(change.revision, getattr(change, "value", None)) for change in came] == [
        (revision, written.value) for revision, written in last_of_each.items()
    ]
    for written in chain:
        if written.value is None:
            assert [other.revision for other in chain].count(written.revision) == 1

    last, item = chain[-1], await store.get(address())
    assert (item is None) == (last.value is None)
    if item is not None:
        created = [written for written in chain if written.old is None][-1]
        assert (item.value, item.revision, item.created) == (last.value, last.revision, created.revision)
        given = [writers.seconds[written.value] for written in chain if written.value in writers.seconds][-1]
        assert (item.expires_ms is None) == (given is None)
        assert given is None or started <= item.expires_ms - given * 1000 <= now_ms()


async def test_a_call_that_cannot_be_applied_fails_alone(store: Store):
    with bound_to(store):
        await todo.set("inbox", "1", {"n": 0, "text": "hello"})

        results = await asyncio.gather(
            *(
                todo.update("inbox", "1", [ops.increment("n"), ops.increment("text")])
                if number == 15
                else todo.update("inbox", "1", [ops.increment("n")])
                for number in range(31)
            ),
            return_exceptions=True,
        )

        refused = results.pop(15)
        assert isinstance(refused, OpRefused)
        assert (refused.index, refused.code) == (1, "increment.not_number")
        assert sorted(result.new_value["n"] for result in results) == list(range(1, 31))
        assert await todo.get("inbox", "1") == {"id": "1", "n": 30, "text": "hello"}


async def test_calls_that_fail_in_different_ways_each_hear_their_own_reason(store: Store):
    def raising(number: int):
        def change(item: dict) -> dict:
            match number % 4:
                case 0:
                    raise ZeroDivisionError(number)
                case 1:
                    return {"id": "another"}
                case 2:
                    return {"text": "x" * 600_000}
                case _:
                    return {**item, "n": item["n"] + 1}

        return change

    with bound_to(store):
        await todo.set("inbox", "1", {"n": 0})

        results = await asyncio.gather(
            *(todo.update("inbox", "1", raising(number)) for number in range(40)), return_exceptions=True
        )

        assert [type(result) for result in results] == [
            ZeroDivisionError,
            ItemRefused,
            ItemRefused,
            StreamUpdateResult,
        ] * 10
        assert [result.args for result in results[::4]] == [(number,) for number in range(0, 40, 4)]
        assert await todo.get("inbox", "1") == {"id": "1", "n": 10}


async def test_a_delete_is_heard_between_what_meets_around_it(store: Store, feed: Feed):
    async with listening(store, feed) as heard:
        with bound_to(store):
            results = await asyncio.gather(
                *(
                    todo.delete("inbox", "1")
                    if number == 10
                    else todo.update("inbox", "1", [ops.increment("n")])
                    for number in range(20)
                )
            )
        came = await heard.all()

    went = results[10].old_value["n"]
    left = [json.loads(change.value)["n"] if isinstance(change, ItemSet) else None for change in came]
    before, after = left[: left.index(None)], left[left.index(None) + 1 :]
    assert (before[-1], after[-1]) == (went, 19 - went)
    assert before == sorted(before)
    assert after == sorted(after)


async def test_one_who_gives_up_takes_nothing_from_the_others(store: Store):
    with bound_to(store):
        writing = [
            asyncio.create_task(todo.update("inbox", "1", [ops.append("by", number)])) for number in range(40)
        ]
        await asyncio.sleep(0)
        for task in writing[::4]:
            task.cancel()
        results = await asyncio.gather(*writing, return_exceptions=True)

        by = (await todo.get("inbox", "1"))["by"]
    done = [number for number, result in enumerate(results) if isinstance(result, StreamUpdateResult)]
    assert set(done) >= {number for number in range(40) if number % 4}
    assert set(done) <= set(by)
    assert len(by) == len(set(by))
