"""One client, as those see it who have something to tell it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from streams.access import Caller
from streams.messages import Room


class Watcher(Protocol):
    """One client, as the hub sees it."""

    caller: Caller
    session: str
    """What others know it by."""
    is_extended: bool
    """Whether it speaks the extended dialect."""

    @property
    def questions(self) -> asyncio.Semaphore:
        """Held while a rule is asked about this client."""
        ...

    def write(self, frames: bytes) -> None:
        """Send one or more whole frames. Never waits; a socket that is gone ignores it."""
        ...

    def close(self, code: int, reason: str) -> None: ...

    def cut(self, code: int, reason: str) -> None:
        """Close, and let go at once of what was not read. It may not come to know the code."""
        ...

    @property
    def is_behind(self) -> bool:
        """Whether it does not read what was written, so that nothing more may be."""
        ...

    @property
    def unread_bytes(self) -> int:
        """What was written and is not yet on its way."""
        ...

    def watches(self, room: Room) -> bool:
        """Whether the client still wants this room."""
        ...

    def rooms(self) -> set[Room]:
        """Every room that it wants."""
        ...

    def window(self, room: Room) -> int | None:
        """How many of the newest items of a group it wants; None: all of them."""
        ...

    def refuse(self, room: Room, code: str, sentence: str) -> None:
        """The client does not get the room, or not any more, and is told so."""
        ...
