"""One group as its watchers see it. Pure: changes in, what to show out.

Changes may come in any order, twice, or not at all, from the live feed and
from reads of the bucket alike. Two rules make one state of them:

- per item, only a higher revision than the one held counts;
- nothing at or below `position` counts: everything up to there is in already.

What a watcher is told follows from what the group held a moment ago, and all
watchers hold the same: `create` only for an item they do not have, `update`
and `delete` only for one they have.

For that it needs to know which items there are, and their revisions. Their
values may be let go where memory is short, and read again when they are to be
shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from heapq import nlargest
from operator import attrgetter
from typing import Literal

from streams.changes import ItemDeleted, ItemSet, Stored, just_id, with_id
from streams.digest import Digest
from streams.store import Delta, Epoch, Position

FEW_DELETES = 64
"""Of so many deletes, or of as many as there are items, it is remembered when they were: the newest ones."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What one change is to everybody who watches the group."""

    kind: Literal["create", "update", "delete"]
    id: str
    item: bytes
    """JSON text with the `id` of the key; for a delete, the item that went."""
    revision: int
    time_ms: int
    """When it was committed, in milliseconds since 1970; 0: nobody knows."""


class ValuesAbsent(Exception):
    """What is asked for cannot be shown before the values of these items are read again."""

    def __init__(self, ids: list[str]) -> None:
        self.ids = ids
        super().__init__(f"the values of {len(ids)} items were let go")


@dataclass(frozen=True, slots=True)
class Difference:
    """What whoever had all of a group up to some revision needs to have all of it now."""

    created: list[ItemSet]
    """Items that were made since, in the order of their creation: older ones of the same ids are gone."""
    updated: list[ItemSet]
    """Others that changed."""
    deleted: list[str]
    """Ids of items that went and were not made anew, as far as that is remembered."""


class Group:
    """The items of one group, as far as they are known."""

    def __init__(self) -> None:
        self._items: dict[str, ItemSet] = {}
        # Revisions of deletes. Those above `position` must be known, so that an older
        # write that comes late does not bring an item back; others are told to those who come back.
        self._gone: dict[str, int] = {}
        self._most_gone = 2 * FEW_DELETES
        """With more of them, the older half is forgotten."""
        self._digest: Digest | None = None
        """None: nobody has asked for it, or not for long."""
        self._epoch: Epoch | None = None
        self._position = 0
        self.newest = 0
        """The highest revision that was taken in. Between `position` and this, others may be missing."""
        self.size = 0
        """Bytes of all values, whether they are here or not."""
        self._absent: dict[str, int] = {}
        """The items whose values were let go, and how long these were."""
        self.absent_bytes = 0
        """All of them together."""

    @property
    def position(self) -> Position | None:
        """Everything at or below it is in. None before the first read of the bucket."""
        return None if self._epoch is None else Position(self._epoch, self._position)

    def apply(self, change: Stored) -> Shown | None:
        """Take one change in. None when it is old news, or nothing that a watcher could see."""
        held = self._items.get(change.id)
        known = self._gone.get(change.id, 0) if held is None else held.revision
        if change.revision <= known or change.revision <= self._position:
            return None
        self.newest = max(self.newest, change.revision)
        if held is not None:
            self._forget_value(held)
        if self._digest is not None:
            self._digest.note(change.id, 0 if held is None else held.revision)
        match change:
            case ItemSet():
                value = with_id(change.id, change.value)
                item = change if value is change.value else replace(change, value=value)
                self._items[change.id] = item
                self.size += len(value)
                self._gone.pop(change.id, None)
                kind: Literal["create", "update"] = "create" if held is None else "update"
                return Shown(kind, change.id, item.value, change.revision, change.time_ms)
            case ItemDeleted():
                self._note_gone(change.id, change.revision)
                if held is None:
                    return None
                del self._items[change.id]
                return Shown("delete", change.id, _as_it_went(held), change.revision, change.time_ms)

    def catch_up(self, delta: Delta) -> list[Shown]:
        """Take in what was read from the bucket, and with it its position.

        What comes back was missed by the live feed; before the group was
        shown to anybody, that is everything.
        """
        shown = [seen for change in delta.changes if (seen := self.apply(change))]
        self.reach(delta.position)
        return shown

    def replace(self, whole: Delta) -> list[Shown]:
        """Take in a read of the whole group: what it does not hold at its position is gone.

        Needed where deletes may be older than their markers live.
        """
        present = {change.id for change in whole.changes}
        position = whole.position.revision
        gone = [i for i in self._items.values() if i.id not in present and i.revision <= position]
        for item in gone:
            del self._items[item.id]
            self._forget_value(item)
            if self._digest is not None:
                self._digest.note(item.id, item.revision)
            self._note_gone(item.id, position)
        # Revision and time of such a delete are not known any more; the position is not below it.
        deletes = [Shown("delete", item.id, _as_it_went(item), position, 0) for item in gone]
        return deletes + self.catch_up(whole)

    def items(self) -> list[ItemSet]:
        """What there is, in the order of creation."""
        return sorted(self._items.values(), key=_BY_CREATION)

    def last(self, count: int) -> list[ItemSet]:
        """The newest items, in the order of creation."""
        return nlargest(count, self._items.values(), key=_BY_CREATION)[::-1]

    def before(self, created: int, item_id: str, count: int) -> list[ItemSet]:
        """The last items that come before a place in the order of creation."""
        older = [item for item in self._items.values() if _BY_CREATION(item) < (created, item_id)]
        return nlargest(count, older, key=_BY_CREATION)[::-1]

    def item(self, item_id: str) -> ItemSet | None:
        return self._items.get(item_id)

    def last_change(self, item_id: str) -> Stored | None:
        """Of an item, as far as it is known."""
        gone = self._gone.get(item_id)
        return self._items.get(item_id) if gone is None else ItemDeleted(item_id, gone, 0)

    def since(self, revision: int) -> Difference:
        """What changed above a revision."""
        newer = [item for item in self._items.values() if item.revision > revision]
        created = [item for item in newer if item.created > revision]
        created.sort(key=_BY_CREATION)
        updated = [item for item in newer if item.created <= revision]
        return Difference(created, updated, [id for id, gone in self._gone.items() if gone > revision])

    def digest(self) -> int:
        """Of all items, see `streams.digest`. It costs what changed since it was asked for last."""
        if self._digest is None:
            self._digest = Digest(self._items)
        return self._digest.value(self._present)

    def revision_of(self, item_id: str) -> int:
        """Of the last change of an item, also of its removal where that is known; else 0."""
        item = self._items.get(item_id)
        return self._gone.get(item_id, 0) if item is None else item.revision

    def is_old(self, item_id: str, revision: int) -> bool:
        """Whether a change of that revision would say nothing new."""
        return revision <= self._position or revision <= self.revision_of(item_id)

    def __len__(self) -> int:
        return len(self._items)

    # Values that are not here.

    def let_values_go(self) -> int:
        """Keep of every item only that it is there. How many values went."""
        before = len(self._absent)
        for item in self._items.values():
            if item.value:
                self._absent[item.id] = len(item.value)
                self._items[item.id] = replace(item, value=b"")
        self.absent_bytes = self.size
        return len(self._absent) - before

    def are_absent(self, ids: Iterable[str]) -> list[str]:
        """Those of them that are there, and whose values are not here."""
        return [item_id for item_id in ids if item_id in self._absent]

    def fill(self, changes: Iterable[Stored]) -> list[Shown]:
        """Take in the newest versions of some items, with their values. What was missed comes back."""
        shown = list[Shown]()
        for change in changes:
            held = self._items.get(change.id)
            if isinstance(change, ItemSet) and held is not None and held.revision == change.revision:
                if not held.value:
                    self._forget_value(held)
                    value = with_id(change.id, change.value)
                    self.size += len(value)
                    self._items[change.id] = replace(held, value=value)
            elif (seen := self.apply(change)) is not None:
                shown.append(seen)
        return shown

    def reach(self, position: Position) -> None:
        """Everything up to there is in."""
        self._epoch = position.epoch
        self._position = max(self._position, position.revision)
        if self._digest is not None and len(self._digest) > max(FEW_DELETES, 2 * len(self._items)):
            self._digest = None

    def _present(self, item_id: str) -> int:
        item = self._items.get(item_id)
        return 0 if item is None else item.revision

    def _forget_value(self, item: ItemSet) -> None:
        absent = self._absent.pop(item.id, 0)
        self.absent_bytes -= absent
        self.size -= absent or len(item.value)

    def _note_gone(self, item_id: str, revision: int) -> None:
        # Behind the others: the oldest is the first to be forgotten.
        self._gone.pop(item_id, None)
        self._gone[item_id] = revision
        if len(self._gone) > max(self._most_gone, 2 * len(self._items)):
            self._forget_deletes()

    def _forget_deletes(self) -> None:
        """Of the older half, except those that are needed here."""
        by_age = sorted(self._gone.items(), key=lambda each: each[1])
        keep = by_age[len(by_age) // 2 :]
        needed = [each for each in by_age[: len(by_age) // 2] if each[1] > self._position]
        self._gone = dict(needed + keep)
        # Where many are needed, as while very many are deleted at once, not with every further one again.
        self._most_gone = 2 * max(FEW_DELETES, sum(gone > self._position for gone in self._gone.values()))


def values_of(items: Iterable[ItemSet]) -> list[bytes]:
    """Their values.

    Raises:
        ValuesAbsent: They are not here.
    """
    values, absent = list[bytes](), list[str]()
    for item in items:
        values.append(item.value)
        if not item.value:
            absent.append(item.id)
    if absent:
        raise ValuesAbsent(absent)
    return values


def _as_it_went(item: ItemSet) -> bytes:
    return item.value or just_id(item.id)


_BY_CREATION = attrgetter("created", "id")
