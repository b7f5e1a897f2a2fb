"""One client's conversation, without its socket: what it has joined, and what that changes.

A client may hold several subscriptions of one room (two components on one
list); it gets one frame per change all the same, because the room, not the
subscription, is what is watched.
"""

from __future__ import annotations

from streams.messages import Join, Leave, Room

MAX_SUBSCRIPTIONS = 1000
"""Subscriptions that one connection may hold. The next one is refused."""


class TooManySubscriptions(Exception):
    """The connection holds `MAX_SUBSCRIPTIONS` already."""


class Session:
    """The rooms of one connection, by subscription."""

    __slots__ = ("_rooms",)

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}

    def join(self, join: Join) -> Room | None:
        """Note a subscription. Returns a room that is left by it: the same id meant another one before.

        A subscription that is there already is not an error: a client that
        asks again gets its room's state again.
        """
        before = self._rooms.get(join.subscription)
        if before is None and len(self._rooms) >= MAX_SUBSCRIPTIONS:
            raise TooManySubscriptions
        self._rooms[join.subscription] = join.room
        return before if before is not None and not self.watches(before) else None

    def leave(self, leave: Leave) -> Room | None:
        """Forget a subscription. Returns its room when nothing else of this client watches it.

        Leaving what was never joined changes nothing.
        """
        room = self._rooms.pop(leave.subscription, None)
        return room if room is not None and not self.watches(room) else None

    def forget(self, room: Room) -> None:
        """Drop every subscription of a room: the client does not get it."""
        for subscription in [each for each, joined in self._rooms.items() if joined == room]:
            del self._rooms[subscription]

    def watches(self, room: Room) -> bool:
        return room in self._rooms.values()

    def rooms(self) -> set[Room]:
        return set(self._rooms.values())
