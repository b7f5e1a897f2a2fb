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

    __slots__ = ("_rooms", "_windows")

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}
        self._windows: dict[Room, int] | None = None
        """Of which groups it wants the newest items alone, and how many. Few do: None saves memory."""

    def join(self, join: Join) -> Room | None:
        """Note a subscription. Returns a room that is left by it: the same id meant another one before.

        A subscription that is there already is not an error: a client that
        asks again gets its room's state again.
        """
        before = self._rooms.get(join.subscription)
        if before is None and len(self._rooms) >= MAX_SUBSCRIPTIONS:
            raise TooManySubscriptions
        self._rooms[join.subscription] = join.room
        if join.last is not None:
            self._windows = {**(self._windows or {}), join.room: join.last}
        elif self._windows is not None:
            # Of two subscriptions of one room, the last one says how much of it is wanted.
            self._windows.pop(join.room, None)
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

    def room(self, subscription: str) -> Room | None:
        """What a subscription is about. None: there is none of that name."""
        return self._rooms.get(subscription)

    def window(self, room: Room) -> int | None:
        """How many of the newest items of a group are wanted; None: all of them."""
        return None if self._windows is None else self._windows.get(room)

    def watches(self, room: Room) -> bool:
        return room in self._rooms.values()

    def rooms(self) -> set[Room]:
        return set(self._rooms.values())
