"""Keeps one group, or one item of one, equal to its bucket for as long as somebody watches it.

Joining, settling after a join, coming back after a lost connection, and
looking for losses that nobody noticed are one and the same operation: ask
the leader how far the bucket has come, and read what changed since the
position up to which the group is known to be complete.

A follower does all of that by itself, or leaves all but the first read to a
keeper, which does it for all groups of a bucket at once.

Listening starts before the first read, so that no write falls between the
two. The price: some changes come twice, and the group drops them.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from streams.changes import Change, EventSent, ItemDeleted
from streams.errors import StoreUnavailable
from streams.gateway.group import Group, Shown
from streams.gateway.values import read_again, take_in
from streams.gateway.wish import Wish
from streams.messages import Room
from streams.store import Epoch, EpochChanged, Feed, Position

log = logging.getLogger(__name__)

SETTLE_SECONDS = 1.0
"""After the first read, look once more: in a cluster the listening and the read travel different ways."""

MARKERS_TRUSTED_SECONDS = 1200.0
"""A read of changes finds deletes by their markers, which live an hour. After this long without
one, the whole group is read and compared instead."""

RETRY_SECONDS = (0.05, 5.0)
"""First and longest wait after a failure; doubled each time, with jitter."""


class Upkeep(Protocol):
    """What keeps a group complete that has been read once."""

    @property
    def position(self) -> Position | None:
        """All groups that are kept hold everything up to here."""
        ...

    def take_over(self, follower: Follower) -> None:
        """The follower's group was read."""
        ...

    def want(self, follower: Follower) -> None:
        """Somebody waits until the group holds all that is committed by now."""
        ...

    def lose(self) -> None:
        """Changes of any group may have been missed."""
        ...


class Follower:
    """One group and the task that keeps it, or reads it for its keeper.

    `shown` is called with what watchers must be told, `event` with ephemeral
    events, and `restarted` when the bucket was made anew or set back or has
    new rules, so that all that was said about the group is void. `begun` is
    called when the group has been read whole, at first and after every such
    restart, before those who wait for it are told.
    """

    def __init__(
        self,
        feed: Feed,
        room: Room,
        *,
        shown: Callable[[list[Shown]], None],
        event: Callable[[EventSent], None],
        restarted: Callable[[], None],
        begun: Callable[[], None] = lambda: None,
    ) -> None:
        self.group = Group()
        """What there is of the room: of one item, it is a group that has no other."""
        self.room = room
        self.verified_at = -math.inf
        """By the loop's clock: when the question began by which the group was last known to be complete."""
        self._feed = feed
        self._shown, self._event, self._restarted, self._begun = shown, event, restarted, begun
        self._waiting: list[asyncio.Future[None]] = []
        self._reading = asyncio.Lock()
        """Held while values are read again."""
        self._wish = Wish()
        """To look at the bucket. Where it has a keeper, nobody waits for that."""
        self._losses = self._losses_verified = 0
        self._upkeep: Upkeep | None = None
        self._anew: asyncio.Future[None] | None = None
        """Done when what was read is void, while the group is left to its keeper."""

    @property
    def key(self) -> tuple[str, str | None]:
        """By which the followers of one stream know each other: the group and, of one item, that."""
        return self.room.group, self.room.id

    @property
    def loaded(self) -> bool:
        """Whether the group has been read once: before that it is shown to nobody."""
        return self.group.position is not None

    def is_of(self, epoch: Epoch) -> bool:
        """Whether it was read, and in that epoch."""
        position = self.group.position
        return position is not None and position.epoch == epoch

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
        if self._upkeep is None:
            self.check()
        elif self.loaded:
            self._upkeep.want(self)
        await done

    def check(self) -> None:
        """Look for what may have been lost, soon."""
        self._wish.make()

    def hear(self, change: Change) -> None:
        """Take in what has just happened. What is known already is no error."""
        if isinstance(change, EventSent):
            if self.loaded:
                self._event(change)
            return
        if isinstance(change, ItemDeleted):
            # What is remembered of deletes goes with this.
            self.reach()
        shown = self.group.apply(change)
        if shown is not None and self.loaded:
            self._shown([shown])

    async def read_values(self, ids: Sequence[str]) -> None:
        """Have the values of these items in the group, as far as they are there, if they had been let go.

        Raises:
            StoreUnavailable: They cannot be read.
        """
        async with self._reading:
            # Somebody else may have had some of them read meanwhile.
            while absent := self.group.are_absent(ids):
                group = self.group
                try:
                    read = await read_again(self._feed, self.room, group, absent)
                except EpochChanged:
                    # All that is known is void.
                    self._lose()
                    await self.fresh()
                    continue
                if group is self.group:
                    missed = take_in(group, read, absent)
                    self._shown(missed)

    # For a keeper.

    def leave_to(self, upkeep: Upkeep) -> None:
        """Only read the group, once, and leave it to a keeper from then on. Called before it runs."""
        self._upkeep = upkeep

    def show(self, missed: list[Shown]) -> None:
        """Tell the watchers what was found that the live feed had missed."""
        self._shown(missed)

    def reach(self) -> None:
        """Take over how far the keeper knows all its groups to be complete."""
        position = None if self._upkeep is None else self._upkeep.position
        if position is not None and self.is_of(position.epoch):
            self.group.reach(position)

    def take_waiting(self) -> list[asyncio.Future[None]]:
        """Those who wait for the group to be fresh: it is for the caller to tell them."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def put_back(self, waiting: list[asyncio.Future[None]]) -> None:
        """They could not be told, and wait on."""
        self._waiting = waiting + self._waiting

    def begin_anew(self) -> None:
        """What was read is void: read it again."""
        if self._anew is not None and not self._anew.done():
            self._start_over()
            self._anew.set_result(None)

    def fail(self, error: Exception) -> None:
        """The group cannot be kept any more."""
        if self._anew is not None and not self._anew.done():
            self._anew.set_exception(error)

    # Its task.

    async def run(self) -> None:
        """Follow until cancelled. Trouble with the network is retried here and reaches nobody else.

        Raises:
            UnknownStream: The stream has no bucket.
        """
        # Nobody listened before.
        self._losses += 1
        try:
            async with self._feed.listening(self.room, self.hear, self._lose):
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
            self._wish.forget()
            waiting, self._waiting = self._waiting, []
            began, losses = asyncio.get_running_loop().time(), self._losses
            try:
                await self._catch_up(began)
            except EpochChanged:
                log.error(
                    "starting over, its bucket was made anew, set back, or has new rules room=%s",
                    self.room,
                )
                self._start_over()
                self.put_back(waiting)
                continue
            except StoreUnavailable as error:
                failures += 1
                log.warning("cannot read the group, trying again: %s room=%s", error, self.room)
                self.put_back(waiting)
                await asyncio.sleep(backoff(failures))
                continue
            except BaseException:
                # Whoever waits is told by `run`, also about what ended the task.
                self.put_back(waiting)
                raise
            failures, self.verified_at, self._losses_verified = 0, began, losses
            tell(waiting)
            if self._upkeep is not None:
                await self._kept_by(self._upkeep)
                continue
            try:
                # Not `wait_for`: before Python 3.12 it may lose a cancellation that comes with the wish.
                async with asyncio.timeout(None if settled else SETTLE_SECONDS):
                    await self._wish.made()
            except TimeoutError:
                settled = True

    async def _catch_up(self, now: float) -> None:
        end = await self._feed.end(self.room.stream)
        known = self.group.position
        if known is not None and known.epoch != end.epoch:
            raise EpochChanged
        # Above the leader's end: a replica answered that had applied more than its leader.
        if known is not None and known.revision >= end.revision:
            return
        first = known is None
        whole = known is not None and now - self.verified_at > MARKERS_TRUSTED_SECONDS
        after = 0 if known is None or whole else known.revision
        delta = await self._feed.changes(self.room, after, end)
        missed = self.group.replace(delta) if whole else self.group.catch_up(delta)
        if first:
            self._begun()
        elif missed:
            log.info("repaired changes=%d room=%s", len(missed), self.room)
            self._shown(missed)

    async def _kept_by(self, upkeep: Upkeep) -> None:
        """Leave the group to its keeper, until what was read is void."""
        self._anew = asyncio.get_running_loop().create_future()
        upkeep.take_over(self)
        if self._waiting:
            upkeep.want(self)
        await self._anew

    def _start_over(self) -> None:
        self.group = Group()
        self._restarted()

    def _lose(self) -> None:
        self._losses += 1
        if self._upkeep is not None:
            self._upkeep.lose()
        else:
            self.check()


def tell(waiting: Iterable[asyncio.Future[None]]) -> None:
    """The group is fresh."""
    for done in waiting:
        if not done.done():
            done.set_result(None)


def backoff(failures: int) -> float:
    """How many seconds to wait after so many failures in a row."""
    first, longest = RETRY_SECONDS
    return random.uniform(0.5, 1.0) * min(longest, first * 2.0**failures)
