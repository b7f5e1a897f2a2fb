"""The ports: where items are kept, and how their changes are heard.

Two implementations stand behind them, `streams.memory` and
`streams.jetstream`, and one contract suite (`tests/store/`) runs on both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Protocol, TypeAlias

from streams.access import Subscription
from streams.changes import Change, ItemSet, Stored
from streams.keys import Address


class Unchanged(Enum):
    """What `decide` says when nothing is to be written."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED


@dataclass(frozen=True, slots=True)
class Present:
    """An item as a write finds it."""

    value: bytes
    """The item as JSON text."""
    revision: int | None
    """None: it is the result of a write that becomes part of the same revision as this one."""


Decide: TypeAlias = Callable[[Present | None], bytes | Unchanged | None]
"""From the item as it is (None: there is none) to its new JSON text (None: no item).

It may be called several times, each time with a newer item, and only the
last result counts. `UNCHANGED` writes nothing. What it raises reaches the
caller, and nothing is written.
"""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a written item lives."""

    seconds: float | None = None
    """It vanishes by itself after so many seconds, rounded up to whole ones; None: never."""
    is_kept: bool = False
    """An item that is there already keeps the time that it has left instead."""


FOREVER = Lifetime()

MAX_TTL_SECONDS = 10 * 366 * 24 * 3600
"""Longest time to live: ten years."""


def wrong_ttl(ttl: object) -> str | None:
    """What is wrong with a time to live, in seconds."""
    match ttl:
        case None:
            return None
        case bool():
            pass
        case int() | float() if ttl == inf or 1 <= ttl <= MAX_TTL_SECONDS:
            return None
    return (
        f"ttl={ttl!r} is not a time to live; give seconds from 1 to {MAX_TTL_SECONDS}, or math.inf for never"
    )


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did."""

    old: bytes | None
    """Exactly the item that was replaced, as JSON text; None: there was none."""
    value: bytes | None
    """The item as it is now; None: there is none."""
    revision: int | None
    """Revision of this write, which may carry others of the same item too; None: nothing was written."""


class Store(Protocol):
    """Where items are kept. Every method may be called by any number of tasks at once."""

    async def get(self, address: Address) -> ItemSet | None:
        """The newest item, or None. A value that is not a JSON object is no item.

        Every write that this process knows to be done is seen, here and in `get_group`.
        """
        ...

    async def get_group(self, stream: str, group: str) -> list[ItemSet]:
        """All items of a group in the order of their creation, however many there are."""
        ...

    async def list_groups(self, stream: str) -> list[str]:
        """The groups that hold items, sorted. What is written meanwhile may be in or not."""
        ...

    async def write(
        self,
        address: Address,
        decide: Decide,
        *,
        lifetime: Lifetime = FOREVER,
        is_blind: bool = False,
    ) -> Written:
        """Replace one item by what `decide` makes of it, with nobody else in between.

        `Written.old` is the very item that `decide` was given last. A write
        of None over nothing writes nothing. Writes of one item that meet may
        become one revision; each has its own old and new item all the same,
        and one that raises fails alone. `is_blind` says that the new item
        does not depend on the old one, which may save looking for it first.
        Cancelling this leaves the item written or not written, never in
        between.

        Raises:
            StoreUnavailable: Nothing was written.
            Contention: Other writers won every attempt; nothing was written.
            OutcomeUnknown: The answer was lost, and nothing shows whether it was written.
            UnknownStream: The stream has no bucket.
        """
        ...

    async def delete_group(self, stream: str, group: str) -> int:
        """Delete every item that a group holds now, one by one. How many there were.

        Raises: What `write` does. Some items may be deleted then.
        """
        ...

    async def send(
        self, stream: str, group: str, item_id: str | None, event: bytes, *, is_awaited: bool = True
    ) -> None:
        """Tell everyone who listens now. Kept nowhere; at most once.

        When this returns, the event has left the process. One that is not
        awaited leaves it soon, or, where there is no connection, not at all;
        events of one sender stay in order either way.

        Raises:
            EventRefused: It is too long.
            StoreUnavailable: It may not have left. Not raised where it is not awaited.
            UnknownStream: The stream has no bucket.
        """
        ...


@dataclass(frozen=True, slots=True)
class Epoch:
    """A stretch of a bucket's life in which positions can be compared."""

    name: str
    """Changes when the bucket is made anew or set back. Without a dot."""
    base_ms: int
    """Milliseconds since 1970 from which this epoch's timestamps count."""
    is_guarded: bool = False
    """Whether a rule says who may see the stream. When that changes, everybody starts over."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far something is known: every write up to `revision`, in this epoch."""

    epoch: Epoch
    revision: int

    def __str__(self) -> str:
        return f"{self.epoch.name}.{self.revision}"


@dataclass(frozen=True, slots=True)
class Delta:
    """The newest version of every item of a room that changed after some revision."""

    changes: list[Stored]
    """Ascending by revision."""
    position: Position
    """Together with all that came before, complete up to here."""


@dataclass(frozen=True, slots=True)
class Record:
    """A change as it stands in a bucket, not looked into yet: mostly it is known already."""

    group: str
    id: str
    revision: int
    change: Callable[[], Stored | None]
    """Look into it. None: it says nothing."""


@dataclass(frozen=True, slots=True)
class Records:
    """The newest records of a bucket, or of some rooms, above some revision."""

    records: list[Record]
    """Ascending by revision."""
    position: Position
    """Together with all that came before, complete up to here."""
    seen: int
    """How many records were read for it, whatever they are of."""
    more: int = 0
    """How many records of the bucket stand above `position`, where not all were asked for."""


class Feed(Protocol):
    """How the changes of a room are heard: of a group, or of one item of it.

    Live changes may be lost; `changes` finds what was.
    """

    def listening(
        self, room: Subscription, deliver: Callable[[Change], None], lost: Callable[[], None]
    ) -> AbstractAsyncContextManager[None]:
        """Call `deliver` with every change committed after the block was entered.

        Changes of one item come in the order of their revisions, those of
        different items in any. `lost` is called when some may have been
        missed; it comes late or never when nobody noticed, so a listener
        also asks for `end` from time to time.
        """
        ...

    async def end(self, stream: str) -> Position:
        """The position of the newest write, asked for after this call began.

        Raises:
            UnknownStream: The stream has no bucket.
            StoreUnavailable: Nobody could answer.
        """
        ...

    async def is_guarded(self, stream: str) -> bool:
        """Whether its bucket says that a rule must be asked who may see it. Asked for after this call began.

        A group that is read later may be of an epoch in which that has
        changed: `Epoch.is_guarded` says so of what was read.

        Raises:
            UnknownStream: The stream has no bucket.
            BucketNotUsable: It has none of a layout that is known here.
            StoreUnavailable: Nobody could answer.
        """
        ...

    async def changes(self, room: Subscription, after: int, at_least: Position) -> Delta:
        """What changed after revision `after` (0: everything there is), complete to `at_least` or further.

        Deletions are part of it as long as their markers live.

        Raises:
            EpochChanged: `at_least` is of an epoch that has ended.
            StoreUnavailable: Nobody who knows enough could answer.
        """
        ...

    async def changes_of(
        self, stream: str, rooms: Sequence[Subscription], after: int, at_least: Position
    ) -> Records:
        """What `changes` finds and raises, of several rooms at once: it costs little more than of one.

        What is of two of them, a group and one of its items, comes once.
        """
        ...

    async def recent(self, stream: str, after: int, at_least: Position) -> Records | None:
        """The next records of the bucket above `after`, some hundred at most, of groups that are listened to.

        At least those of what is listened to, where that is single items.

        An item that is written again moves up: who asks again from every
        `position` has seen all when there are no `more`, which is not before
        `at_least`. None: it cannot be told whether there are.

        Raises: As `changes`.
        """
        ...


class EpochChanged(Exception):
    """Positions of before mean nothing any more: start again from the end."""


_bound: ContextVar[Store] = ContextVar("streams_store")


def bound_store() -> Store | None:
    """The store that streams talk to here, if any."""
    return _bound.get(None)


@contextmanager
def bound_to(store: Store) -> Iterator[None]:
    """Let every stream used inside this block talk to `store`."""
    token = _bound.set(store)
    try:
        yield
    finally:
        _bound.reset(token)
