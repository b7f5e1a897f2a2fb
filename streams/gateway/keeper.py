"""Keeps all groups of one bucket that are watched here, with one comparison for all of them.

Joins, losses, and looking for losses that nobody noticed are one operation:
ask how far the bucket has come, and take in what is above the position that
all groups are complete to. It costs what changed in the bucket, and nothing
where nothing did, however many groups are watched. Where much changed that
nobody here watches, the groups are asked for instead.

One task does all of it, one thing at a time. While it rests from looking for
losses, which is most of the time, it serves joins.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from streams.errors import StoreUnavailable
from streams.gateway.follower import SETTLE_SECONDS, Follower, backoff, tell
from streams.gateway.kept import Kept, batches
from streams.gateway.measures import Measures
from streams.gateway.pace import Share
from streams.store import EpochChanged, Feed, Position

log = logging.getLogger(__name__)

LOST_SECONDS = (0.05, 1.0)
"""How long after a lost connection what was missed is read: other gateways have lost theirs too."""

SETTLE_TOGETHER_SECONDS = 0.25
"""Groups that are to settle within so long of each other do so at once."""

LATE_SECONDS = 12.0
"""A comparison that takes longer is late: a loss may then stand for more than half a minute."""

SAY_LATE_SECONDS = 60.0
"""How often that is said, at most."""


class Keeper:
    """The groups of one bucket, and what keeps them. It looks for losses about every `seconds`.

    That takes no more of the processor than its share, which it has together
    with all other keepers. Joins do not wait for it.
    """

    def __init__(self, feed: Feed, stream: str, measures: Measures, share: Share, seconds: float) -> None:
        self._kept = Kept(feed, stream, measures)
        self._stream, self._measures, self._share, self._seconds = stream, measures, share, seconds
        self._loop = asyncio.get_running_loop()
        self._wanted: dict[Follower, None] = {}
        """Those whose groups are to be brought up to the bucket now, as joins wait for them."""
        self._settling: deque[tuple[float, Follower]] = deque()
        """Those whose groups will be, and when."""
        self._due, self._is_lost = self._next(), False
        """When to look for losses, and whether that is soon because there was one."""
        self._serve_at = -math.inf
        """When to serve joins again after a failure."""
        self._failures = 0
        self._said_late_at = -math.inf
        self._changed = asyncio.Event()
        """Something is to be done, or sooner than it was."""
        self._ended: Exception | None = None

    def add(self, follower: Follower) -> None:
        """Keep its group from when it was read."""
        self._kept.followers[follower.key] = follower
        follower.leave_to(self)

    def remove(self, follower: Follower) -> None:
        if self._kept.follows(follower):
            del self._kept.followers[follower.key]
        self._wanted.pop(follower, None)

    def __len__(self) -> int:
        return len(self._kept.followers)

    @property
    def age_seconds(self) -> float:
        """How long ago the question began by which all of its groups were last known to be complete."""
        return 0.0 if self._kept.position is None else self._loop.time() - self._kept.verified_at

    # What followers say.

    @property
    def position(self) -> Position | None:
        return self._kept.settled

    def take_over(self, follower: Follower) -> None:
        if self._ended is not None:
            raise self._ended
        self._kept.include(follower)
        self._settling.append((self._loop.time() + SETTLE_SECONDS, follower))
        self._changed.set()

    def want(self, follower: Follower) -> None:
        self._wanted[follower] = None
        self._changed.set()

    def lose(self) -> None:
        # Every follower says so.
        if not self._is_lost:
            self._is_lost = True
            self._due = min(self._due, self._loop.time() + random.uniform(*LOST_SECONDS))
            self._changed.set()

    # What it does.

    async def run(self) -> None:
        """Keep them until cancelled. Trouble with the network is retried here, and reaches no other bucket.

        What else goes wrong, the followers raise: their groups cannot be kept.
        """
        try:
            while True:
                try:
                    await self._serve_until(None)
                    await self._look_for_losses()
                    self._failures = 0
                except EpochChanged:
                    self._kept.start_over()
                    self._due = self._loop.time()
                except StoreUnavailable as error:
                    self._due = self._fail(error)
        except Exception as error:
            self._ended = error
            for follower in list(self._kept.followers.values()):
                follower.fail(error)

    async def _look_for_losses(self) -> None:
        began = self._loop.time()
        # What is lost from here on counts for the next time.
        self._due, self._is_lost = math.inf, False
        if self._kept.position is not None:
            end, how = await self._kept.end(), "unmoved"
            if self._kept.is_behind(end):
                how = "scan" if self._kept.is_trusted(began) and await self._scan(end, began) else "groups"
                if how == "groups":
                    await self._ask_for_all(end, began)
            self._kept.verified_at = began
            self._measures.sweeps[how] += 1
        self._due = min(self._due, self._next())

    async def _scan(self, end: Position, began: float) -> bool:
        """Take in everything up to an end. False: all groups had better be asked for."""
        # The first page is always read: it says how many records there are, and of what.
        records = 0
        while self._kept.is_behind(end):
            started = _clocks()
            page = await self._kept.page(end) if self._kept.is_scan_cheaper(records) else None
            if page is None:
                return False
            _, records = page
            await self._rest(started, began)
        return True

    async def _ask_for_all(self, end: Position, began: float) -> None:
        everyone, is_trusted = self._kept.begin(), self._kept.is_trusted(began)
        # Whole groups are read one after another, others as many as go into a request.
        for batch in batches(everyone) if is_trusted else ([each] for each in everyone):
            started = _clocks()
            await self._kept.ask_for(batch, end)
            await self._rest(started, began)
        self._kept.finish(end)

    async def _rest(self, started: tuple[float, float], began: float) -> None:
        """Something was done. Leave the processor to others for as long as that asks for."""
        now = self._loop.time()
        if now - began > LATE_SECONDS and now - self._said_late_at > SAY_LATE_SECONDS:
            self._said_late_at = now
            log.warning(
                "looking for losses takes long, and they stay so long: seconds=%.0f stream=%s groups=%d",
                now - began,
                self._stream,
                len(self),
            )
        # Neither the time that went by nor that of the processor was all for this.
        spent = min(after - before for before, after in zip(started, _clocks(), strict=True))
        await self._serve_until(self._share.spend(spent, now))

    async def _serve_until(self, when: float | None) -> None:
        """Serve joins until then, or until it is time to look for losses."""
        while True:
            self._changed.clear()
            now, until = self._loop.time(), self._due if when is None else when
            if now >= until:
                return
            while self._settling and self._settling[0][0] <= now:
                self._wanted[self._settling.popleft()[1]] = None
            if self._wanted and now >= self._serve_at:
                await self._serve()
                continue
            if self._wanted:
                until = min(until, self._serve_at)
            if self._settling:
                until = min(until, self._settling[0][0] + SETTLE_TOGETHER_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._changed.wait()

    async def _serve(self) -> None:
        """Bring the groups that are wanted up to the bucket, and tell those who wait for them."""
        wanted, self._wanted = self._wanted, {}
        # Those that are read anew tell theirs when they were, and some have been left since they were wanted.
        waiting = {each: each.take_waiting() for each in wanted if each.loaded and self._kept.follows(each)}
        if not waiting:
            return
        try:
            await self._bring_up(list(waiting))
        except BaseException as error:
            self._wanted = dict.fromkeys(waiting) | self._wanted
            for follower, futures in waiting.items():
                follower.put_back(futures)
            if not isinstance(error, StoreUnavailable):
                raise
            self._serve_at = self._fail(error)
            return
        self._failures = 0
        for follower, futures in waiting.items():
            if follower.loaded:
                tell(futures)
            else:
                follower.put_back(futures)

    async def _bring_up(self, followers: Sequence[Follower]) -> None:
        """Return when the groups of some hold everything that was committed before this call."""
        began = self._loop.time()
        end, how = await self._kept.end(), "unmoved"
        if self._kept.is_behind(end):
            is_done = False
            if self._kept.is_trusted(began):
                end, is_done = await self._scan_for(followers, end)
            how = "scan" if is_done else "groups"
            for batch in () if is_done else batches(followers):
                await self._kept.ask_for(batch, end)
        for follower in followers:
            if follower.is_of(end.epoch):
                follower.group.reach(end)
                follower.verified_at = began
        self._measures.sweeps[how] += 1

    async def _scan_for(self, followers: Sequence[Follower], end: Position) -> tuple[Position, bool]:
        """Take in everything that is committed by now.

        How far that is, and whether it was done. Otherwise the groups had better be asked for, up to there.
        """
        records, pages = self._kept.expected(end), 0
        while self._kept.is_scan_cheaper(records, followers):
            page = await self._kept.page(end)
            if page is None:
                break
            reached, more = page
            records, pages = float(more), pages + 1
            if more:
                continue
            if pages == 1:
                return reached, True
            # What was overwritten while pages were read came up again behind them. One replica has
            # shown the end; another one, which gave an earlier page, may have known more than that.
            end, pages = await self._kept.end(), 0
            if reached.revision >= end.revision:
                return reached, True
            records = self._kept.expected(end)
        return end, False

    def _fail(self, error: StoreUnavailable) -> float:
        """When to try again."""
        self._failures += 1
        log.warning("cannot read the bucket, trying again: %s stream=%s", error, self._stream)
        return self._loop.time() + backoff(self._failures)

    def _next(self) -> float:
        return self._loop.time() + self._seconds * random.uniform(0.8, 1.2)


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.thread_time()
