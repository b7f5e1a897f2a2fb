"""Writes of one process: per item, one compare-and-set is under way, and what comes meanwhile is in the next.

The first who wants to write an item leads: it does the work for itself and
for those who came until it was sent. When it has its answer, it hands over
to the next who has none. A leader that is cancelled leaves its commit to the
next one, which finds out what became of it before it goes on.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from itertools import count, islice
from typing import TypeAlias

from streams.errors import Contention, StreamsError
from streams.folding import Folded, Held, fold
from streams.jetstream.commits import Commit, Commits
from streams.jetstream.recent import NOTHING, Known, Recent
from streams.jetstream.records import write_headers
from streams.jetstream.writers import HEADER as WRITERS
from streams.jetstream.writers import Last, Writers, header, process_of
from streams.keys import Address
from streams.store import Decide, Lifetime, Written

ATTEMPTS, PATIENCE_SECONDS = 30, 5.0
"""A write gives up that has lost to other processes so many times, and over so long a time."""

RIVAL_SECONDS = 0.25
"""For so long after another process has written, a write looks first at what the key holds."""

STREAK, RIVAL_STREAK = 32, 8
CLOSE_SECONDS = 0.05
"""Writes that go on from what this process wrote itself need half the time, and would win against all others
for ever. After so many of them, each so soon after the one before, the next one waits and looks: another
process that wants to write can do so then. It has no other way to be noticed."""

RIVAL_PAUSE_SECONDS = 0.002
MAX_PAUSE_SECONDS = 0.05
"""Who lost waits for a random part of this, for every process that it has lost to; and never longer."""

FOLD = 256
"""Writes that become one at most."""

Read: TypeAlias = Callable[[Address], Awaitable[Known]]


@dataclass(eq=False, slots=True)
class Wish:
    """A write that somebody waits for."""

    decide: Decide
    lifetime: Lifetime
    is_blind: bool
    turn: asyncio.Future[None]
    """Done when there is an answer, or when it is this one's turn to lead."""
    answer: Written | Exception | None = None
    lost: int = 0
    """Compare-and-sets that others won."""
    lost_since: float = 0.0


@dataclass(slots=True)
class _Sent:
    """A commit, and those whose wishes are in it."""

    commit: Commit
    folded: Folded
    wishes: list[Wish]
    known: Known
    """What they were decided upon."""
    decided_at: float
    operation: str
    since: int
    others: tuple[Last, ...]
    """See `Writers`."""


@dataclass(slots=True)
class _Line:
    """Those who want to write one item."""

    waiting: deque[Wish] = field(default_factory=deque)
    """In the order in which they came, without the one that leads."""
    sent: _Sent | None = None
    """Its outcome is not known yet."""


class Writing:
    """All writes of one store. `read` finds what a key holds."""

    def __init__(self, commits: Commits, recent: Recent, read: Read) -> None:
        self._commits, self._recent, self._read = commits, recent, read
        self._lines: dict[Address, _Line] = {}
        self._process = secrets.token_hex(6)
        self._numbers = count()
        # Per stream, from 0 to 3: whether blind writes mostly found nothing where they wrote.
        self._mostly_new: defaultdict[str, int] = defaultdict(lambda: 3)

    async def write(self, address: Address, decide: Decide, lifetime: Lifetime, is_blind: bool) -> Written:
        """See `Store.write`."""
        wish = Wish(decide, lifetime, is_blind, asyncio.get_running_loop().create_future())
        line = self._lines.get(address)
        if line is None:
            line = self._lines[address] = _Line()
        else:
            line.waiting.append(wish)
            await self._turn(address, line, wish)
        if wish.answer is None:
            try:
                await self._lead(address, line, wish)
            finally:
                self._hand_over(address, line)
        if isinstance(wish.answer, Written):
            return wish.answer
        assert wish.answer is not None, "who led has an answer"
        raise wish.answer

    async def _turn(self, address: Address, line: _Line, wish: Wish) -> None:
        try:
            await wish.turn
        except asyncio.CancelledError:
            if wish in line.waiting:
                line.waiting.remove(wish)
            elif wish.answer is None and not wish.turn.cancelled():
                # It was asked to lead just before.
                self._hand_over(address, line)
            raise

    def _hand_over(self, address: Address, line: _Line) -> None:
        while line.waiting:
            turn = line.waiting.popleft().turn
            if not turn.done():
                turn.set_result(None)
                return
        del self._lines[address]

    async def _lead(self, address: Address, line: _Line, leader: Wish) -> None:
        """Write until the leader has its answer."""
        try:
            if line.sent is not None:
                await self._settle(address, line, line.sent)
            if leader.answer is None:
                await self._write(address, line, leader)
        except StreamsError as error:
            # The bucket cannot be read, and that is so for everybody who waits here.
            self._answer(line, [leader, *line.waiting], error)

    async def _write(self, address: Address, line: _Line, leader: Wish) -> None:
        known, is_sure = await self._found(address, leader)
        rivals: set[str] = set()
        while leader.answer is None:
            wishes = [leader, *islice(line.waiting, FOLD - 1)]
            now_ms = time.time_ns() // 1_000_000
            folded = fold(address, known.item, ((w.decide, w.lifetime) for w in wishes), now_ms)
            if not folded.is_change and is_sure:
                self._answer(line, wishes, folded)
                return
            if folded.is_change:
                line.sent = self._sent(address, known, folded, wishes, now_ms)
                await self._settle(address, line, line.sent)
                if known is NOTHING and not is_sure:
                    self._learn(address, was_new=leader.answer is not None)
                if leader.answer is not None:
                    return
                if is_sure:
                    self._count_loss(address, line, wishes)
                    # The more there are, the longer each of them keeps out of the way of the others.
                    seconds = random.random() * RIVAL_PAUSE_SECONDS * max(1, len(rivals))
                    await asyncio.sleep(min(MAX_PAUSE_SECONDS, seconds))
            # What is remembered or guessed proves nothing by itself.
            known, is_sure = await self._look(address), True
            rivals.update(process_of(operation) for operation, _ in known.writers.last())
            rivals.discard(self._process)

    async def _found(self, address: Address, leader: Wish) -> tuple[Known, bool]:
        """What the key holds, as far as it is known, and whether that is sure."""
        if (known := self._recent.last(address)) is not None:
            now = time.monotonic()
            has_rivals = now - known.rival_at < RIVAL_SECONDS
            if known.streak >= (RIVAL_STREAK if has_rivals else STREAK):
                # Long enough for another process to look and to write.
                seconds = random.uniform(2, 4) * known.took_seconds
                await asyncio.sleep(min(MAX_PAUSE_SECONDS, seconds))
            elif not has_rivals or now - known.written_at < 2 * known.took_seconds:
                return known, False
        elif leader.is_blind and self._mostly_new[address.stream] >= 2:
            return NOTHING, False
        known = await self._look(address)
        if leader.is_blind:
            self._learn(address, was_new=known.revision == 0)
        return known, True

    async def _look(self, address: Address) -> Known:
        known = await self._read(address)
        newest = known.writers.newest
        is_rivals = newest is not None and process_of(newest[0]) != self._process
        return replace(known, rival_at=time.monotonic()) if is_rivals else known

    def _learn(self, address: Address, *, was_new: bool) -> None:
        seen = self._mostly_new[address.stream]
        self._mostly_new[address.stream] = min(3, seen + 1) if was_new else max(0, seen - 1)

    def _sent(self, address: Address, known: Known, folded: Folded, wishes: list[Wish], now_ms: int) -> _Sent:
        item, operation = folded.item, f"{self._process}.{next(self._numbers)}"
        headers = write_headers(item, operation=operation, expected=known.revision, now_ms=now_ms)
        since, others = known.writers.before(operation)
        if (writers := header(since, others, known.revision)) is not None:
            headers[WRITERS] = writers
        commit = Commit(address, b"" if item is None else item.value, headers)
        return _Sent(commit, folded, wishes, known, time.monotonic(), operation, since, others)

    async def _settle(self, address: Address, line: _Line, sent: _Sent) -> None:
        """Publish, and answer those whose wishes were done. Nobody is answered when another was first."""
        try:
            revision = await self._commits.publish(sent.commit)
        except StreamsError as error:
            line.sent = None
            self._recent.forget(address)
            self._answer(line, sent.wishes, error)
            return
        line.sent = None
        if revision is None:
            self._recent.forget(address)
            return
        item = sent.folded.item
        if item is not None:
            item = Held(item.value, revision, item.created or revision, item.created_ms, item.expires_ms)
        now, before = time.monotonic(), sent.known
        streak = before.streak + 1 if sent.decided_at - before.written_at < CLOSE_SECONDS else 0
        writers = Writers(sent.since, (sent.operation, revision), sent.others)
        self._recent.remember(
            address, Known(item, revision, writers, now, now - sent.decided_at, streak, before.rival_at)
        )
        self._answer(line, sent.wishes, sent.folded, revision)

    def _answer(
        self, line: _Line, wishes: list[Wish], what: Folded | StreamsError, revision: int | None = None
    ) -> None:
        answers = [what] * len(wishes) if isinstance(what, StreamsError) else what.steps
        for wish, answer in zip(wishes, answers, strict=False):
            wish.answer = answer if isinstance(answer, Exception) else answer.written(revision)
            if not wish.turn.done():
                wish.turn.set_result(None)
        while line.waiting and line.waiting[0].answer is not None:
            line.waiting.popleft()

    def _count_loss(self, address: Address, line: _Line, wishes: list[Wish]) -> None:
        now = time.monotonic()
        for wish in wishes:
            wish.lost += 1
            wish.lost_since = wish.lost_since or now
        for wish in wishes:
            if wish.lost >= ATTEMPTS and now - wish.lost_since > PATIENCE_SECONDS:
                self._answer(line, [wish], Contention(address, wish.lost))
