"""What a client is told that did not read for a while: what each item is now, and not how it came about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TypeAlias

from streams.changes import ItemSet, just_id
from streams.gateway.backlog import Kind, Missed
from streams.gateway.group import Group, values_of

SINGLE_BYTES = 64 * 1024
"""Items that are not larger, all together, are sent one by one, however much of the group they are."""

Framed: TypeAlias = Callable[[Kind, str, bytes, int, int], bytes]
"""The frame of a change: its kind, id, item, revision, and time in milliseconds."""


def is_most(group: Group, missed: Sequence[Missed]) -> bool:
    """Whether the whole state, which is made once for everybody, is the lesser trouble."""
    if len(missed) <= len(group) // 2:
        return False
    items = [item for each in missed if (item := group.item(each.id)) is not None]
    return sum(len(item.value) for item in items) > SINGLE_BYTES


def what_became(missed: Sequence[Missed], group: Group, framed: Framed) -> list[bytes]:
    """The frames by which a client comes to have what the group has, in the group's order.

    It may be told `create` only of what it has not got, `update` and
    `delete` only of what it has.

    Raises:
        ValuesAbsent: What the items are now is not here.
    """
    deleted, updated, created = list[bytes](), list[ItemSet](), list[ItemSet]()
    for each in missed:
        item = group.item(each.id)
        if each.is_held and (item is None or each.is_new):
            # An item that was made anew stands behind the others, as it does for everybody.
            revision = each.revision if item is None else item.revision - 1
            deleted.append(framed("delete", each.id, just_id(each.id), revision, each.time_ms))
        if item is not None and each.is_held and not each.is_new:
            updated.append(item)
        elif item is not None:
            created.append(item)
    created.sort(key=attrgetter("created", "id"))
    values_of(updated + created)
    changed = [framed("update", item.id, item.value, item.revision, item.time_ms) for item in updated]
    made = [framed("create", item.id, item.value, item.revision, item.time_ms) for item in created]
    return deleted + changed + made
