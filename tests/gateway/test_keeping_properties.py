"""Whatever is written, lost, held up and joined: groups end as their bucket, and joins are current."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.changes import ItemDeleted, ItemSet, Stored
from streams.gateway import keeper as keeper_module
from streams.gateway import kept as kept_module
from streams.messages import Room
from tests.core.changes_made import item_deleted, item_set
from tests.gateway.keeping import Keeping, Watched, keeping
from tests.gateway.replicas import Replicas, is_there

GROUPS, IDS = "GHI", "ab"

ROOMS = [Room("todo", group) for group in GROUPS] + [Room("todo", group, "a") for group in "GH"]

STEPS, ROUNDS = 60, 4
"""After so many steps all is let on, and what came of it is looked at."""

TICKS = 6
"""So often the loop turns until everybody waits for an answer."""

WEIGHTS = {"answer": 45, "lose": 20, "hear": 6, "delay": 3, "join": 14, "leave": 4, "renew": 8}


@dataclass
class Scenario:
    now: Keeping
    bucket: Replicas
    random: random.Random
    watched: dict[Room, Watched] = field(default_factory=dict)
    held_up: list[tuple[str, ItemSet | ItemDeleted]] = field(default_factory=list)
    """Live changes that did not come, or not yet."""
    joins: list[asyncio.Task[None]] = field(default_factory=list)
    leaves: int = 0

    async def step(self) -> None:
        (kind,) = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        room = self.random.choice(ROOMS)
        group = room.group
        match kind:
            case "answer" if self.bucket.open:
                self.random.choice(self.bucket.open).set_result(None)
            case "lose":
                self.held_up.append((group, self._write(group)))
            case "hear":
                self._hear(group, self._write(group))
            case "delay" if self.held_up:
                self._hear(*self.held_up.pop(self.random.randrange(len(self.held_up))))
            case "join":
                if room not in self.watched:
                    self.watched[room] = self.now.watch(group, item_id=room.id)
                join = self._join(self.watched[room], len(self.bucket.history))
                self.joins.append(asyncio.create_task(join))
            # Not while somebody joins: nor does the hub.
            case "leave" if room in self.watched and all(join.done() for join in self.joins):
                self.leaves += 1
                await self.now.leave(self.watched.pop(room))
            case "renew":
                self._renew()
        await self._turn()

    async def finish(self) -> None:
        """Nothing is held up any more, and losses are looked for once more."""
        await self._let_on_until(lambda: all(each.follower.loaded for each in self.watched.values()))
        await self._let_on_until(lambda: all(join.done() for join in self.joins))
        await asyncio.gather(*self.joins)
        # The first may have begun before the last loss.
        for _ in range(2 if self.watched else 0):
            swept = self.now.measures.sweeps.total()
            self._renew()
            await self._let_on_until(lambda swept=swept: self.now.measures.sweeps.total() > swept)

    def check(self) -> None:
        for room, watched in self.watched.items():
            newest = self._newest(room)
            wanted = {item_id: change.revision for item_id, change in newest.items() if is_there(change)}
            assert {item.id: item.revision for item in watched.follower.group.items()} == wanted
            assert watched.revisions == wanted
        for room in ROOMS:
            assert self.bucket.reads.count(room) <= 1 + self.leaves

    def _newest(self, room: Room, upto: int | None = None) -> dict[str, Stored]:
        newest = self.bucket.newest(room.group, upto)
        return {item_id: change for item_id, change in newest.items() if room.id in (None, item_id)}

    async def _let_on_until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            while self.bucket.open:
                self.bucket.open[0].set_result(None)
                await self._turn()
            # Whoever rests waits for the time.
            await asyncio.sleep(0.0005)

    async def _turn(self) -> None:
        for _ in range(TICKS):
            await asyncio.sleep(0)

    async def _join(self, watched: Watched, committed: int) -> None:
        await watched.fresh()
        group, room = watched.follower.group, watched.follower.room
        assert group.position is not None
        assert group.position.revision >= committed
        for item_id, change in self._newest(room, committed).items():
            if (held := group.item(item_id)) is not None:
                assert held.revision >= change.revision, "a join was shown something older"
            else:
                later = [each for of, each in self.bucket.history[change.revision - 1 :] if of == room.group]
                assert any(each.id == item_id and not is_there(each) for each in later), "an item is missing"

    def _write(self, group: str) -> ItemSet | ItemDeleted:
        revision, item_id = len(self.bucket.history) + 1, self.random.choice(IDS)
        there = self.bucket.newest(group).get(item_id)
        change: ItemSet | ItemDeleted
        if is_there(there) and self.random.random() < 0.3:
            change = item_deleted(revision, item_id)
        else:
            created = there.created if isinstance(there, ItemSet) else revision
            change = item_set(revision, item_id, created=created)
        self.bucket.history.append((group, change))
        return change

    def _hear(self, group: str, change: ItemSet | ItemDeleted) -> None:
        self.bucket.say(group, change)

    def _renew(self) -> None:
        for lost in list(self.bucket.lost):
            lost()


async def play(seed: int) -> None:
    chance = random.Random(seed)
    bucket = Replicas(lambda most: chance.randint(0, most))
    async with asyncio.timeout(30), keeping(bucket) as now:
        scenario = Scenario(now, bucket, chance)
        for _ in range(ROUNDS):
            for _ in range(STEPS):
                await scenario.step()
            await scenario.finish()
            scenario.check()


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "LOST_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(keeper_module, "SETTLE_SECONDS", 1000.0)


@pytest.mark.parametrize("cheaper", ["scan", "groups", "either"])
def test_every_group_ends_as_its_bucket_and_no_join_is_older_than_what_was_committed(
    monkeypatch: pytest.MonkeyPatch, cheaper: str
):
    coin = random.Random(cheaper)
    answers = {"scan": lambda: True, "groups": lambda: False, "either": lambda: coin.random() < 0.7}
    monkeypatch.setattr(kept_module, "is_scan_cheaper", lambda *_, **__: answers[cheaper]())

    @settings(deadline=None, max_examples=50)
    @given(st.integers(0, 2**32))
    def holds(seed: int) -> None:
        asyncio.run(play(seed))

    holds()
