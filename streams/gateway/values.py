"""Reads values again that a group had let go."""

from __future__ import annotations

from collections.abc import Sequence

from streams.changes import Stored
from streams.errors import StoreUnavailable
from streams.gateway.group import Group, Shown
from streams.messages import Room
from streams.store import Delta, Feed, Position

AT_ONCE = 100
"""Items that are asked for by their names in one request. Names may be long, and a request may not."""


async def read_again(feed: Feed, room: Room, group: Group, absent: Sequence[str]) -> Delta | list[Stored]:
    """The newest versions of these items; or a whole read of the room, where that is less trouble.

    Raises: As `Feed.changes`.
    """
    position = group.position
    assert position is not None, "values are let go of what was read"
    # The group may have heard of writes that stand above its position.
    at_least = Position(position.epoch, max(position.revision, group.newest))
    if 2 * len(absent) > len(group):
        return await feed.changes(room, 0, at_least)
    found = list[Stored]()
    for start in range(0, len(absent), AT_ONCE):
        rooms = [Room(room.stream, room.group, item_id) for item_id in absent[start : start + AT_ONCE]]
        records = (await feed.changes_of(room.stream, rooms, 0, at_least)).records
        found += [change for record in records if (change := record.change())]
    if {change.id for change in found}.issuperset(absent):
        return found
    # What was deleted long ago has left no trace: only a whole read shows that it is gone.
    return await feed.changes(room, 0, at_least)


def take_in(group: Group, read: Delta | list[Stored], absent: Sequence[str]) -> list[Shown]:
    """Put what was read into the group that it was read for. What was missed comes back.

    Raises:
        StoreUnavailable: It is not all that was asked for.
    """
    shown = group.fill(read.changes if isinstance(read, Delta) else read)
    if isinstance(read, Delta):
        shown += group.replace(read)
    if group.are_absent(absent):
        raise StoreUnavailable("values that were written are not found")
    return shown
