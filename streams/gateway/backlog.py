"""What changed in a group while some of its clients did not read. Pure.

A client that is slow costs no queue. It has a cursor, the number of the last
change that it was told, and here stands, once for everybody who is behind,
which items changed since. Their values are not here: what a client gets when
it reads again is the newest, and the group has that. So a hundred thousand
changes of one item cost as much as one.

A client may be told `create` only of what it has not got, `update` and
`delete` only of what it has. Whether it has an item follows from whether the
item was there at its cursor, so that is kept, as far as any cursor asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["create", "update", "delete"]


@dataclass(slots=True)
class _Entry:
    was_there: bool
    """Whether the item was there before its first change that is noted here."""
    number: int = 0
    """Of its last change."""
    revision: int = 0
    time_ms: int = 0
    """Both of that."""
    born: int = 0
    """Of the last change that made it; 0: none that is noted here did."""
    flips: list[int] = field(default_factory=list)
    """The changes that made it or took it away, ascending, as far as a cursor lies between them."""

    def was_there_at(self, cursor: int) -> bool:
        return self.was_there ^ (sum(number <= cursor for number in self.flips) % 2 == 1)


@dataclass(frozen=True, slots=True)
class Missed:
    """An item that changed after a cursor."""

    id: str
    is_held: bool
    """Whether the client has it, in some version."""
    is_new: bool
    """Whether it was made after the cursor: what the client has, if anything, is of an earlier life."""
    revision: int
    time_ms: int
    """Both of its last change."""


class Backlog:
    """The items that changed since the first of those who are behind fell behind."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        """By id, in the order of their last changes."""
        self._flips = 0
        self._newest_cursor = 0

    def __len__(self) -> int:
        """How much is kept: items, and what their comings and goings take beside them."""
        return len(self._entries) + self._flips

    def clear(self) -> None:
        """Nobody asks for what changed any more."""
        self._entries.clear()
        self._flips = 0

    def begin(self, cursor: int) -> None:
        """Somebody has fallen behind who was told everything up to `cursor`, and nothing after it."""
        self._newest_cursor = max(self._newest_cursor, cursor)

    def note(self, number: int, item_id: str, kind: Kind, revision: int, time_ms: int) -> None:
        """Change `number`, which is higher than all before it, was told to those who are not behind."""
        entry = self._entries.pop(item_id, None)
        if entry is None:
            entry = _Entry(was_there=kind != "create")
        entry.number, entry.revision, entry.time_ms = number, revision, time_ms
        if kind == "create":
            entry.born = number
        if kind != "update":
            if entry.flips and entry.flips[-1] > self._newest_cursor:
                # No cursor lies between the two, and none will: nobody can tell them from nothing.
                entry.flips.pop()
                self._flips -= 1
            else:
                entry.flips.append(number)
                self._flips += 1
        if entry.flips or entry.was_there:
            self._entries[item_id] = entry

    def since(self, cursor: int) -> list[Missed]:
        """What changed after `cursor`, by the order of the last changes."""
        missed = []
        for item_id in reversed(self._entries):
            entry = self._entries[item_id]
            if entry.number <= cursor:
                break
            is_held, is_new = entry.was_there_at(cursor), entry.born > cursor
            missed.append(Missed(item_id, is_held, is_new, entry.revision, entry.time_ms))
        missed.reverse()
        return missed
