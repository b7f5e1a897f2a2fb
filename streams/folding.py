"""Several writes of one item as one. Pure: what is stored and what is wished in, what to store out.

A store that has to wait for each write folds those that came meanwhile into
the next. Everybody is answered as if the writes had been done one after the
other, which is what the results are the proof of.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from streams.changes import checked_value
from streams.keys import Address
from streams.store import UNCHANGED, Decide, Lifetime, Present, Written


@dataclass(frozen=True, slots=True)
class Held(Present):
    """The item that a key holds, as far as a write of it has to know."""

    created: int
    """Revision of its first write; 0: this is the first one."""
    created_ms: int
    expires_ms: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """What one of the writes did."""

    old: bytes | None
    new: bytes | None
    is_change: bool

    def written(self, revision: int | None) -> Written:
        return Written(self.old, self.new, revision if self.is_change else None)


@dataclass(frozen=True, slots=True)
class Folded:
    """What the first writes come to together."""

    steps: list[Step | Exception]
    """One per write that is in; the others have to wait for the next fold."""
    item: Held | None
    is_change: bool
    """Whether anything is to be written."""


def fold(
    address: Address, held: Held | None, wishes: Iterable[tuple[Decide, Lifetime]], now_ms: int
) -> Folded:
    """Apply wishes in order, each to what the one before it left.

    A delete shares its revision with nothing: whoever watches the item sees
    it go, and come back when it was written again.
    """
    # The server takes its time, and gives a write a second at least: an item that is changed all the
    # time would live for ever.
    is_over = held is not None and held.expires_ms is not None and held.expires_ms <= now_ms
    item, is_change = None if is_over else held, False
    steps: list[Step | Exception] = []
    for decide, lifetime in wishes:
        try:
            value = decide(item)
            if value is not None and value is not UNCHANGED:
                checked_value(address, value)
        except Exception as error:
            steps.append(error)
            continue
        old = None if item is None else item.value
        if value is UNCHANGED or (value is None and item is None):
            steps.append(Step(old, old, False))
        elif value is None:
            if is_change:
                break
            steps.append(Step(old, None, True))
            return Folded(steps, None, True)
        else:
            item = _replaced(item, value, lifetime, now_ms)
            is_change = True
            steps.append(Step(old, value, True))
    return Folded(steps, item, is_change)


def _replaced(item: Held | None, value: bytes, lifetime: Lifetime, now_ms: int) -> Held:
    if item is not None and lifetime.is_kept:
        expires_ms = item.expires_ms
    else:
        # Kept as a point in time: a time to live that every write rounds up would never end.
        expires_ms = None if lifetime.seconds is None else now_ms + round(lifetime.seconds * 1000)
    if item is None:
        return Held(value, None, 0, now_ms, expires_ms)
    return Held(value, None, item.created, item.created_ms, expires_ms)
