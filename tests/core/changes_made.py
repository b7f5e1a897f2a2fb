"""Changes that tests make, and groups that have heard of them."""

from __future__ import annotations

import json

from streams.changes import ItemDeleted, ItemSet, Stored
from streams.gateway.group import Group, Shown
from streams.store import Delta, Epoch, Position

EPOCH = Epoch("e", 1_700_000_000_000)


def item_set(revision: int, item_id: str = "a", *, created: int | None = None) -> ItemSet:
    value = json.dumps({"id": item_id, "n": revision}).encode()
    created = revision if created is None else created
    return ItemSet(item_id, revision, value, created, 1000 + revision, 1000 + created)


def item_deleted(revision: int, item_id: str = "a") -> ItemDeleted:
    return ItemDeleted(item_id, revision, 1000 + revision)


def at(revision: int) -> Position:
    return Position(EPOCH, revision)


def delta(position: int, *changes: Stored) -> Delta:
    return Delta(list(changes), at(position))


def group_of(*changes: Stored, position: int = 0) -> Group:
    """A group that was read up to `position` and has heard of `changes` since."""
    group = Group()
    group.catch_up(delta(position))
    for change in changes:
        group.apply(change)
    return group


def shown(kind: str, change: Stored, item: ItemSet | None = None) -> Shown:
    value = (item or change).value
    return Shown(kind, change.id, value, change.revision, change.time_ms)


def ids(group: Group) -> list[str]:
    return [item.id for item in group.items()]
