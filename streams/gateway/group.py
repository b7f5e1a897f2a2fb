"""One group as its watchers see it. Pure: changes in, what to show out.

Changes may come in any order, twice, or not at all, from the live feed and
from reads of the bucket alike. Two rules make one state of them:

- per item, only a higher revision than the one held counts;
- nothing at or below `position` counts: everything up to there is in already.

What a watcher is told follows from what the group held a moment ago, and all
watchers hold the same: `create` only for an item they do not have, `update`
and `delete` only for one they have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Literal

from streams.changes import ItemDeleted, ItemSet, Stored, with_id
from streams.store import Delta, Epoch, Position


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


class Group:
    """The items of one group, as far as they are known."""

    def __init__(self) -> None:
        self._items: dict[str, ItemSet] = {}
        # Revisions of deletes above `position`, so that an older write that
        # comes late does not bring an item back.
        self._gone: dict[str, int] = {}
        self._epoch: Epoch | None = None
        self._position = 0
        self.newest = 0
        """The highest revision that was taken in. Between `position` and this, others may be missing."""
        self.size = 0
        """Bytes of all values."""

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
            self.size -= len(held.value)
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
                self._gone[change.id] = change.revision
                if held is None:
                    return None
                del self._items[change.id]
                return Shown("delete", change.id, held.value, change.revision, change.time_ms)

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
            self.size -= len(item.value)
        # Revision and time of such a delete are not known any more; the position is not below it.
        deletes = [Shown("delete", item.id, item.value, position, 0) for item in gone]
        return deletes + self.catch_up(whole)

    def items(self) -> list[ItemSet]:
        """What there is, in the order of creation."""
        return sorted(self._items.values(), key=attrgetter("created", "id"))

    def item(self, item_id: str) -> ItemSet | None:
        return self._items.get(item_id)

    def revision_of(self, item_id: str) -> int:
        """Of the last change of an item, also of its removal where that is known; else 0."""
        item = self._items.get(item_id)
        return self._gone.get(item_id, 0) if item is None else item.revision

    def is_old(self, item_id: str, revision: int) -> bool:
        """Whether a change of that revision would say nothing new."""
        return revision <= self._position or revision <= self.revision_of(item_id)

    def __len__(self) -> int:
        return len(self._items)

    def reach(self, position: Position) -> None:
        """Everything up to there is in. What is remembered of deletes below it is not needed any more."""
        self._epoch = position.epoch
        if position.revision > self._position:
            self._position = position.revision
            self._gone = {id: revision for id, revision in self._gone.items() if revision > self._position}
