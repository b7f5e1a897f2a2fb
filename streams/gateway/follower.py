"""Keeps one group equal to its bucket for as long as somebody watches it.

Joining, settling after a join, coming back after a lost connection, and
looking for losses that nobody noticed are one and the same operation: ask
the leader how far the bucket has come, and read what changed since the
position up to which the group is known to be complete.

Listening starts before the first read, so that no write falls between the
two. The price: some changes come twice, and the group drops them.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable

from streams.changes import Change, EventSent
from streams.errors import StoreUnavailable
from streams.gateway.group import Group, Shown
from streams.store import EpochChanged, Feed, Position

log = logging.getLogger(__name__)

SETTLE_SECONDS = 1.0
"""After the first read, look once more: in a cluster the listening and the read travel different ways."""

MARKERS_TRUSTED_SECONDS = 1200.0
"""A read of changes finds deletes by their markers, which live an hour. After this long without
one, the whole group is read and compared instead."""

RETRY_SECONDS = (0.05, 5.0)
"""First and longest wait after a failure; doubled each time, with jitter."""


class Follower:
    """One group and the task that keeps it.

    `shown` is called with what watchers must be told, `event` with ephemeral
    events, and `restarted` when the bucket was made anew or set back or has
    new rules, so that all that was said about the group is void. `begun` is
    called when the group has been read whole, at first and after every such
    restart, before those who wait for it are told.
    """

    def __init__(
        self,
        feed: Feed,
        stream: str,
        group: str,
        *,
        shown: Callable[[list[Shown]], None],
        event: Callable[[EventSent], None],
        restarted: Callable[[], None],
        begun: Callable[[], None] = lambda: None,
    ) -> None:
        self.group = Group()
        self._feed, self._stream, self._name = feed, stream, group
        self._shown, self._event, self._restarted, self._begun = shown, event, restarted, begun
        self._waiting: list[asyncio.Future[None]] = []
        self._wanted = asyncio.Event()
        self._verified_at = -math.inf
        self._losses = self._losses_verified = 0

    @property
    def loaded(self) -> bool:
        """Whether the group has been read once: before that it is shown to nobody."""
        return self.group.position is not None

    @property
    def verified_at(self) -> float:
        """By the loop's clock: when the question began by which the group was last known to be complete."""
        return self._verified_at

    @property
    def is_verified(self) -> bool:
        """Whether that question began after everything may have been missed that may have been missed."""
        return self._losses_verified == self._losses

    async def fresh(self) -> None:
        """Return when the group holds everything that was committed before this call.

        Cancelling this loses nothing.

        Raises:
            UnknownStream: The stream has no bucket.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._wanted.set()
        await done

    def check(self) -> None:
        """Look for what may have been lost, soon."""
        self._wanted.set()

    def behind(self, end: Position) -> bool:
        return self.group.position != end

    async def run(self) -> None:
        """Follow until cancelled. Trouble with the network is retried here and reaches nobody else.

        Raises:
            UnknownStream: The stream has no bucket.
        """
        # Nobody listened before.
        self._losses += 1
        try:
            async with self._feed.listening(self._stream, self._name, self._deliver, self._lose):
                await self._follow()
        except Exception as error:
            self._losses += 1
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_exception(error)
            self._waiting.clear()
            raise

    async def _follow(self) -> None:
        failures, settled = 0, False
        while True:
            self._wanted.clear()
            waiting, self._waiting = self._waiting, []
            began, losses = asyncio.get_running_loop().time(), self._losses
            try:
                await self._catch_up(began)
            except EpochChanged:
                self._start_over("its bucket was made anew, set back, or has new rules")
                self._waiting = waiting + self._waiting
                continue
            except StoreUnavailable as error:
                failures += 1
                log.warning(
                    "cannot read the group, trying again: %s group=%s/%s", error, self._stream, self._name
                )
                self._waiting = waiting + self._waiting
                await asyncio.sleep(_backoff(failures))
                continue
            except BaseException:
                # Whoever waits is told by `run`, also about what ended the task.
                self._waiting = waiting + self._waiting
                raise
            failures, self._verified_at, self._losses_verified = 0, began, losses
            for done in waiting:
                if not done.done():
                    done.set_result(None)
            try:
                # Not `wait_for`: before Python 3.12 it may lose a cancellation that comes with the wish.
                async with asyncio.timeout(None if settled else SETTLE_SECONDS):
                    await self._wanted.wait()
            except TimeoutError:
                settled = True

    async def _catch_up(self, now: float) -> None:
        end = await self._feed.end(self._stream)
        known = self.group.position
        if known is not None and known.epoch != end.epoch:
            raise EpochChanged
        # Above the leader's end: a replica answered that had applied more than its leader.
        if known is not None and known.revision >= end.revision:
            return
        first = known is None
        whole = known is not None and now - self._verified_at > MARKERS_TRUSTED_SECONDS
        after = 0 if known is None or whole else known.revision
        delta = await self._feed.changes(self._stream, self._name, after, end)
        missed = self.group.replace(delta) if whole else self.group.catch_up(delta)
        if first:
            self._begun()
        elif missed:
            log.info("repaired changes=%d group=%s/%s", len(missed), self._stream, self._name)
            self._shown(missed)

    def _start_over(self, why: str) -> None:
        log.error("starting over, %s group=%s/%s", why, self._stream, self._name)
        self.group = Group()
        self._restarted()

    def _lose(self) -> None:
        self._losses += 1
        self.check()

    def _deliver(self, change: Change) -> None:
        if isinstance(change, EventSent):
            if self.loaded:
                self._event(change)
            return
        shown = self.group.apply(change)
        if shown is not None and self.loaded:
            self._shown([shown])


def _backoff(failures: int) -> float:
    first, longest = RETRY_SECONDS
    return random.uniform(0.5, 1.0) * min(longest, first * 2.0**failures)
