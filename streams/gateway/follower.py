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
    events, and `restarted` when the bucket was made anew or set back, so
    that all that was said about the group is void.
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
    ) -> None:
        self.group = Group()
        self._feed, self._stream, self._name = feed, stream, group
        self._shown, self._event, self._restarted = shown, event, restarted
        self._waiting: list[asyncio.Future[None]] = []
        self._wanted = asyncio.Event()
        self._complete_at = 0.0

    @property
    def loaded(self) -> bool:
        """Whether the group has been read once: before that it is shown to nobody."""
        return self.group.position is not None

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
        try:
            async with self._feed.listening(self._stream, self._name, self._deliver, self.check):
                await self._follow()
        except Exception as error:
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
            try:
                await self._catch_up()
            except EpochChanged:
                self._start_over("its bucket was made anew or set back")
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
            failures = 0
            for done in waiting:
                if not done.done():
                    done.set_result(None)
            try:
                await asyncio.wait_for(self._wanted.wait(), None if settled else SETTLE_SECONDS)
            except TimeoutError:
                settled = True

    async def _catch_up(self) -> None:
        now = asyncio.get_running_loop().time()
        end = await self._feed.end(self._stream)
        known = self.group.position
        if known is not None and known.epoch != end.epoch:
            raise EpochChanged
        # Above the leader's end: a replica answered that had applied more than its leader.
        if known is not None and known.revision >= end.revision:
            self._complete_at = now
            return
        first = known is None
        whole = known is not None and now - self._complete_at > MARKERS_TRUSTED_SECONDS
        after = 0 if known is None or whole else known.revision
        delta = await self._feed.changes(self._stream, self._name, after, end)
        missed = self.group.replace(delta) if whole else self.group.catch_up(delta)
        self._complete_at = now
        if missed and not first:
            log.info("repaired changes=%d group=%s/%s", len(missed), self._stream, self._name)
            self._shown(missed)

    def _start_over(self, why: str) -> None:
        log.error("starting over, %s group=%s/%s", why, self._stream, self._name)
        self.group = Group()
        self._restarted()

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
