"""All groups of one bucket that are watched here, and up to where all of them are complete.

A group is read once, by its follower. From then on it is enough to know of
the bucket's newest records: whoever has had all above a position that every
group is complete to has missed nothing of any group.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from streams.gateway.cost import GROUPS_AT_ONCE, ITEMS_AT_ONCE, RECORDS_AT_ONCE, is_scan_cheaper
from streams.gateway.follower import MARKERS_TRUSTED_SECONDS, Follower
from streams.gateway.group import Shown
from streams.gateway.measures import Measures
from streams.store import EpochChanged, Feed, Position, Record

log = logging.getLogger(__name__)

SAMPLE = 64
"""Groups that are looked at to know how many items the others have."""


class Kept:
    """The followers of one bucket. Those that were read are complete up to `position`, or further."""

    def __init__(self, feed: Feed, stream: str, measures: Measures) -> None:
        self._feed, self._stream, self._measures = feed, stream, measures
        self.followers: dict[tuple[str, str | None], Follower] = {}
        """By group and, of those that follow one item of it, that."""
        self.position: Position | None = None
        """What is above it was not looked at yet. None: no group was read."""
        self.settled: Position | None = None
        """The position when the bucket was last asked for its end. Records that were read since may lack an
        item that had just been overwritten, by a write that a replica which knows of that end has not got:
        so nothing that is older than they are may be dropped for that yet."""
        self.verified_at = -math.inf
        """By the loop's clock: when the question began by which that was found. All above came later."""
        self._lowest = math.inf
        """The lowest position of those that were read since `begin`."""
        self._odd: list[Follower] = []
        """Those that were read in another epoch."""
        self._density = self._share = 1.0
        """How many records there were for every revision, when it was last looked: a hot item has but one.
        And how many of them were of groups that are watched."""

    def include(self, follower: Follower) -> None:
        """A group was read. What comes above its position is for it too."""
        position = follower.group.position
        assert position is not None, "a group is included when it was read"
        if self.position is None or self.settled is None:
            self.position = self.settled = position
            self.verified_at = follower.verified_at
        elif position.epoch != self.position.epoch:
            self._odd.append(follower)
        else:
            self._lowest = min(self._lowest, position.revision)
            if position.revision < self.position.revision:
                # It was read while the others were brought further.
                self.position = position
            if position.revision < self.settled.revision:
                self.settled = position

    async def end(self) -> Position:
        """How far the bucket has come.

        Raises:
            EpochChanged: What was read is void.
        """
        self.settled = self.position
        end = await self._feed.end(self._stream)
        if self.position is not None and self.position.epoch != end.epoch:
            raise EpochChanged
        odd, self._odd = self._odd, []
        for follower in odd:
            if not follower.is_of(end.epoch):
                follower.begin_anew()
        return end

    def is_behind(self, end: Position) -> bool:
        return self.position is not None and self.position.revision < end.revision

    def is_trusted(self, now: float) -> bool:
        """Whether deletes above the position are still found by their markers."""
        return now - self.verified_at <= MARKERS_TRUSTED_SECONDS

    def is_scan_cheaper(self, records: float, followers: Sequence[Follower] | None = None) -> bool:
        """Whether to go through so many records rather than to ask for the groups of some, or of all."""
        groups = len(self.followers if followers is None else followers)
        some = list(islice(self.followers.values() if followers is None else followers, SAMPLE))
        items = sum(len(each.group) for each in some) * groups / max(1, len(some))
        watched = records * self._share * groups / max(1, len(self.followers))
        return is_scan_cheaper(records, of_groups=watched, groups=groups, items=items)

    def expected(self, end: Position) -> float:
        """About how many records there are from the position to the end."""
        assert self.position is not None
        return (end.revision - self.position.revision) * self._density

    # Everything that changed.

    async def page(self, end: Position) -> tuple[Position, int] | None:
        """Take in the next records of the bucket, whatever group they are of.

        How far that is, and how many there are above it. None: it cannot be told.

        Raises: As `Feed.recent`.
        """
        assert self.position is not None
        after = self.position.revision
        found = await self._feed.recent(self._stream, after, end)
        if found is None:
            return None
        self._take(found.records)
        # Not where a group was included meanwhile that is behind what these records begin with.
        if after <= self.position.revision < found.position.revision:
            self.position = found.position
        span = max(end.revision, found.position.revision) - after
        self._density = min(1.0, (found.seen + found.more) / max(1, span))
        self._share = len(found.records) / max(1, found.seen)
        return found.position, found.more

    # Some groups.

    def begin(self) -> list[Follower]:
        """All that can be brought to an end group by group, which `finish` then knows."""
        self._lowest = math.inf
        return list(self.followers.values())

    def finish(self, end: Position) -> None:
        """All of them were. Those that were included meanwhile are complete as far as they were read."""
        revision = int(min(end.revision, self._lowest))
        if self.position is None or self.position.revision < revision:
            self.position = Position(end.epoch, revision)

    async def ask_for(self, batch: Sequence[Follower], end: Position) -> None:
        """Bring some groups up to an end by themselves.

        Raises: As `Feed.changes_of`.
        """
        now = asyncio.get_running_loop().time()
        is_trusted, found = self.is_trusted(now), dict[Follower, int]()
        for follower in batch:
            own = follower.group.position
            if own is None or own.epoch != end.epoch or not self.follows(follower):
                continue
            if is_trusted or now - follower.verified_at <= MARKERS_TRUSTED_SECONDS:
                found[follower] = own.revision
            else:
                # What was deleted since may have left no trace.
                delta = await self._feed.changes(follower.room, 0, end)
                self._repair({follower: follower.group.replace(delta)})
                follower.verified_at = now
        if found:
            # They may be further than all are, each by itself.
            settled = self.settled.revision if is_trusted and self.settled is not None else 0
            await self._ask_for(list(found), max(settled, min(found.values())), end)

    async def _ask_for(self, followers: Sequence[Follower], after: int, end: Position) -> None:
        rooms = [follower.room for follower in followers]
        found = await self._feed.changes_of(self._stream, rooms, after, end)
        for start in range(0, len(found.records), RECORDS_AT_ONCE):
            self._take(found.records[start : start + RECORDS_AT_ONCE])
            await asyncio.sleep(0)
        for follower in followers:
            if follower.is_of(found.position.epoch):
                follower.group.reach(found.position)

    def follows(self, follower: Follower) -> bool:
        return self.followers.get(follower.key) is follower

    def start_over(self) -> None:
        """The epoch of the position has ended: nothing of it counts."""
        void, self.position, self.settled, self._odd = self.position, None, None, []
        log.error(
            "starting over, the bucket was made anew, set back, or has new rules stream=%s", self._stream
        )
        for follower in list(self.followers.values()):
            if void is not None and follower.is_of(void.epoch):
                follower.begin_anew()
            elif follower.loaded:
                self.include(follower)

    def _take(self, records: Iterable[Record]) -> None:
        missed: dict[Follower, list[Shown]] = {}
        for record in records:
            for key in ((record.group, None), (record.group, record.id)):
                follower = self.followers.get(key)
                if follower is not None and not follower.group.is_old(record.id, record.revision):
                    self._take_in(record, follower, missed)
        self._repair(missed)

    def _take_in(self, record: Record, follower: Follower, missed: dict[Follower, list[Shown]]) -> None:
        try:
            change = record.change()
        except Exception as error:
            # Of one group, which cannot be kept without it. The others are.
            log.exception("a record cannot be read room=%s", follower.room)
            follower.fail(error)
            return
        shown = change and follower.group.apply(change)
        if shown and follower.loaded:
            missed.setdefault(follower, []).append(shown)

    def _repair(self, missed: dict[Follower, list[Shown]]) -> None:
        found = {follower: shown for follower, shown in missed.items() if shown}
        if not found:
            return
        changes = sum(map(len, found.values()))
        log.info("repaired changes=%d groups=%d stream=%s", changes, len(found), self._stream)
        self._measures.repairs += changes
        for follower, shown in found.items():
            follower.reach()
            follower.show(shown)


def batches(followers: Iterable[Follower]) -> Iterator[list[Follower]]:
    """As many as go into one request each."""
    batch, items = list[Follower](), 0
    for follower in followers:
        size = max(1, len(follower.group))
        if batch and (len(batch) == GROUPS_AT_ONCE or items + size > ITEMS_AT_ONCE):
            yield batch
            batch, items = [], 0
        batch.append(follower)
        items += size
    if batch:
        yield batch
