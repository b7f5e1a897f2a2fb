"""Whatever is written, lost, held up and joined: groups end as their bucket, and joins are current."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.changes import ItemDeleted, ItemSet
from streams.gateway import keeper as keeper_module
from streams.gateway import kept as kept_module
from tests.core.changes_made import item_deleted, item_set
from tests.gateway.keeping import Keeping, Watched, keeping
from tests.gateway.replicas import Replicas, is_there

GROUPS, IDS = "GHI", "ab"

TICKS = 12
"""So often the loop turns until everybody waits for an answer."""


@dataclass(frozen=True)
class Write:
    group: str
    id: str
    is_delete: bool
    is_heard: bool
    """Otherwise it is lost, or comes late."""


@dataclass(frozen=True)
class Late:
    """A lost change comes after all."""

    which: int


@dataclass(frozen=True)
class Join:
    group: str


@dataclass(frozen=True)
class Leave:
    group: str


@dataclass(frozen=True)
class Answer:
    """Something that was asked is answered, or its answer arrives."""

    which: int


@dataclass(frozen=True)
class Renew:
    """The connection is renewed."""


ACTIONS = (
    st.builds(Write, st.sampled_from(GROUPS), st.sampled_from(IDS), st.booleans(), st.booleans())
    | st.builds(Write, st.sampled_from(GROUPS), st.sampled_from(IDS), st.just(False), st.just(False))
    | st.builds(Late, st.integers(0, 9))
    | st.builds(Join, st.sampled_from(GROUPS))
    | st.builds(Leave, st.sampled_from(GROUPS))
    | st.builds(Renew)
)
STEPS = st.lists(st.tuples(ACTIONS, st.lists(st.builds(Answer, st.integers(0, 5)), max_size=4)), max_size=40)


@dataclass
class Scenario:
    now: Keeping
    bucket: Replicas
    watched: dict[str, Watched] = field(default_factory=dict)
    held_up: list[tuple[str, ItemSet | ItemDeleted]] = field(default_factory=list)
    joins: list[asyncio.Task[None]] = field(default_factory=list)

    async def take(self, step: object) -> None:
        match step:
            case Write():
                self._write(step)
            case Late(which) if self.held_up:
                group, change = self.held_up.pop(which % len(self.held_up))
                self._hear(group, change)
            case Join(group):
                if group not in self.watched:
                    self.watched[group] = self.now.watch(group)
                join = self._join(self.watched[group], len(self.bucket.history))
                self.joins.append(asyncio.create_task(join))
            case Leave(group) if group in self.watched:
                # As the hub does: not while somebody joins.
                if not self.watched[group].follower._waiting and all(join.done() for join in self.joins):
                    await self.now.leave(self.watched.pop(group))
            case Answer(which) if self.bucket.open:
                self.bucket.open.pop(which % len(self.bucket.open)).set_result(None)
            case Renew():
                for each in self.watched.values():
                    each.follower._lose()
        await self.turn()

    async def turn(self) -> None:
        for _ in range(TICKS):
            await asyncio.sleep(0)

    async def finish(self) -> None:
        """Nothing is held up any more, and losses are looked for once more."""
        await self._let_on_until(lambda: all(each.follower.loaded for each in self.watched.values()))
        await self._let_on_until(lambda: all(join.done() for join in self.joins))
        await asyncio.gather(*self.joins)
        # The first may have begun before the last loss.
        for _ in range(2 if self.watched else 0):
            swept = self.now.measures.sweeps.total()
            await self.take(Renew())
            await self._let_on_until(lambda swept=swept: self.now.measures.sweeps.total() > swept)

    async def _let_on_until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            while self.bucket.open:
                await self.take(Answer(0))
            # Whoever rests waits for the time.
            await asyncio.sleep(0.0005)

    async def _join(self, watched: Watched, committed: int) -> None:
        await watched.fresh()
        group, name = watched.follower.group, watched.follower.name
        assert group.position is not None
        assert group.position.revision >= committed
        for item_id, change in self.bucket.newest(name, committed).items():
            held = group.item(item_id)
            if held is not None:
                assert held.revision >= change.revision, "a join was shown something older"
            else:
                later = [c for of, c in self.bucket.history[change.revision - 1 :] if of == name]
                assert any(c.id == item_id and not is_there(c) for c in later), "a join misses an item"

    def _write(self, write: Write) -> None:
        revision = len(self.bucket.history) + 1
        there = self.bucket.newest(write.group).get(write.id)
        if write.is_delete and is_there(there):
            change = item_deleted(revision, write.id)
        else:
            created = there.created if isinstance(there, ItemSet) else revision
            change = item_set(revision, write.id, created=created)
        self.bucket.history.append((write.group, change))
        if write.is_heard:
            self._hear(write.group, change)
        else:
            self.held_up.append((write.group, change))

    def _hear(self, group: str, change: ItemSet | ItemDeleted) -> None:
        for deliver in list(self.bucket.listeners.get(group, ())):
            deliver(change)


async def play(steps: list[tuple[object, list[Answer]]], choices: list[int]) -> None:
    turns = iter(choices * 1000)
    bucket = Replicas(lambda most: next(turns) % (most + 1))
    async with asyncio.timeout(20), keeping(bucket) as now:
        scenario = Scenario(now, bucket)
        for group in GROUPS[1:]:
            await scenario.take(Join(group))
        await scenario.finish()
        for action, answers in steps:
            for step in (action, *answers):
                await scenario.take(step)
        await scenario.finish()
        for group, watched in scenario.watched.items():
            newest = bucket.newest(group)
            wanted = {item_id: change.revision for item_id, change in newest.items() if is_there(change)}
            assert {item.id: item.revision for item in watched.follower.group.items()} == wanted
            assert watched.revisions == wanted
        assert max([bucket.reads.count(group) for group in GROUPS], default=0) <= 1 + sum(
            isinstance(action, Leave) for action, _ in steps
        )


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "LOST_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(keeper_module, "SETTLE_SECONDS", 1000.0)


@pytest.mark.parametrize("cheaper", ["scan", "groups", "either"])
def test_every_watched_group_ends_as_its_bucket_and_no_join_is_older_than_what_was_committed(
    monkeypatch: pytest.MonkeyPatch, cheaper: str
):
    if cheaper != "either":
        monkeypatch.setattr(kept_module, "is_scan_cheaper", lambda *_, **__: cheaper == "scan")

    @settings(deadline=None, max_examples=200)
    @given(STEPS, st.lists(st.integers(0, 60), min_size=1, max_size=20))
    def holds(steps: list[tuple[object, list[Answer]]], choices: list[int]) -> None:
        asyncio.run(play(steps, choices))

    holds()
