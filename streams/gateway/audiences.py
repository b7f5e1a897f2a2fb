"""Everybody who watches something, by what is followed for them in NATS: a group, or one item of it.

Who joins a single item of a group that is not followed here has that item
followed alone: what happens to the others, which may be a hundred thousand
users' profiles, does not come to this gateway at all. Where the group is
followed anyway, or many of its items are watched, the group's follower
serves them too.

A client is told of a room by one audience, so it hears of a change once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from streams.gateway.audience import Audience
from streams.gateway.watcher import Watcher
from streams.messages import Room

ITEMS_ALONE = 32
"""So many items of one group are followed alone. Who joins a further one has the group followed: each item
that is followed alone takes two subscriptions in NATS, and as much memory here as a small group."""


class Audiences:
    """The audiences of one process, by the rooms that are followed."""

    def __init__(self) -> None:
        self._audiences: dict[Room, Audience] = {}
        self._alone: Counter[Room] = Counter()
        """By group, how many of its items are followed alone."""

    def __len__(self) -> int:
        return len(self._audiences)

    def __iter__(self) -> Iterator[Audience]:
        return iter(list(self._audiences.values()))

    def __contains__(self, audience: Audience) -> bool:
        return self._audiences.get(audience.room) is audience

    def get(self, followed: Room) -> Audience | None:
        return self._audiences.get(followed)

    def add(self, audience: Audience) -> None:
        self._audiences[audience.room] = audience
        if audience.room.id is not None:
            self._alone[_group_of(audience.room)] += 1

    def discard(self, audience: Audience) -> None:
        """It is not followed any more. One that was taken out before is no error."""
        if audience not in self:
            return
        del self._audiences[audience.room]
        if audience.room.id is not None:
            group = _group_of(audience.room)
            self._alone[group] -= 1
            if not self._alone[group]:
                del self._alone[group]

    def followed_for(self, watcher: Watcher, room: Room) -> Room:
        """What is to be followed for one who joins a room."""
        group = _group_of(room)
        if self._watched_as(watcher, group) is not None:
            return group
        if room in self._audiences:
            return room
        return group if group in self._audiences or self._alone[group] >= ITEMS_ALONE else room

    def telling(self, watcher: Watcher, room: Room) -> Audience | None:
        """The one by which a watcher is told of a room. None: its state was not sent yet."""
        return next((each for each in self._of(room) if each.is_watched(watcher, room)), None)

    def leave(self, watcher: Watcher, room: Room) -> list[Audience]:
        """Tell a watcher nothing more of a room. Those that may have nobody left."""
        found = self._of(room)
        for audience in found:
            audience.remove(watcher, room)
        return found

    def alone(self, watcher: Watcher, group: Room) -> dict[Room, Audience]:
        """The items of a group of which a watcher is told alone, and by whom."""
        own = [room for room in watcher.rooms() if room.id is not None and _group_of(room) == group]
        return {room: found for room in own if (found := self._watched_as(watcher, room)) is not None}

    def _watched_as(self, watcher: Watcher, followed: Room) -> Audience | None:
        audience = self._audiences.get(followed)
        return audience if audience is not None and audience.is_watched(watcher, followed) else None

    def _of(self, room: Room) -> list[Audience]:
        """Those by which somebody may be told of a room."""
        followed = (room,) if room.id is None else (room, _group_of(room))
        return [found for each in followed if (found := self._audiences.get(each)) is not None]


def _group_of(room: Room) -> Room:
    return Room(room.stream, room.group)
