"""Clients that do not read: how much waits for them, and how long that is borne.

One who reads slowly is kept for as long as it reads at all. One who takes
nothing is sent away after a while, and earlier when too much waits for all
of them together: then those for whom the most waits.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from streams.gateway.measures import Measures
from streams.gateway.watcher import Watcher
from streams.messages import CLOSE_TOO_SLOW

log = logging.getLogger(__name__)

STALL_SECONDS = 30.0
"""How long a client may take nothing of what waits for it."""

UNREAD_BYTES = 256 * 1024 * 1024
"""What may wait for all clients of this process together."""

TOO_SLOW = "too slow: come back for a fresh state"

LOOK_SECONDS = 1.0
"""How often it is looked at them, at most."""

LEFT_SHARE = 0.9
"""When too much waits, so many are sent away that no more than this share of what may wait is left."""


@dataclass(slots=True)
class _Seen:
    unread_bytes: int
    since: float
    """When it was last seen to take something."""


class Laggards:
    """All who are behind."""

    def __init__(self, measures: Measures, *, stall_seconds: float, unread_bytes: int) -> None:
        self._measures = measures
        self._stall_seconds, self._limit = stall_seconds, unread_bytes
        self._loop = asyncio.get_running_loop()
        self._seen: dict[Watcher, _Seen] = {}
        self._unread_bytes = 0
        """Of all, as it was when each was looked at."""
        self._is_looking = False

    def __len__(self) -> int:
        return len(self._seen)

    @property
    def unread_bytes(self) -> int:
        """What waits for all of them."""
        return sum(each.unread_bytes for each in self._seen)

    def add(self, watcher: Watcher) -> None:
        """It has begun not to read. May send some away, this one too."""
        unread = watcher.unread_bytes
        self._seen[watcher] = _Seen(unread, self._loop.time())
        self._unread_bytes += unread
        if self._unread_bytes > self._limit:
            self._look_at_all()
        if not self._is_looking:
            self._is_looking = True
            self._loop.call_later(min(LOOK_SECONDS, self._stall_seconds / 4), self._look)

    def discard(self, watcher: Watcher) -> None:
        """It reads again, or is gone."""
        if (seen := self._seen.pop(watcher, None)) is not None:
            self._unread_bytes -= seen.unread_bytes

    def _look(self) -> None:
        self._look_at_all()
        self._is_looking = bool(self._seen)
        if self._is_looking:
            self._loop.call_later(min(LOOK_SECONDS, self._stall_seconds / 4), self._look)

    def _look_at_all(self) -> None:
        now, stalled = self._loop.time(), list[Watcher]()
        for watcher, seen in self._seen.items():
            unread = watcher.unread_bytes
            if unread < seen.unread_bytes:
                seen.since = now
            elif now - seen.since > self._stall_seconds:
                stalled.append(watcher)
            self._unread_bytes += unread - seen.unread_bytes
            seen.unread_bytes = unread
        for watcher in stalled:
            self._forget(watcher, f"nothing was read for {self._stall_seconds:g} s")
            watcher.close(CLOSE_TOO_SLOW, TOO_SLOW)
        if self._unread_bytes > self._limit:
            most = sorted(self._seen, key=lambda watcher: self._seen[watcher].unread_bytes)
            while most and self._unread_bytes > self._limit * LEFT_SHARE:
                watcher = most.pop()
                self._forget(watcher, "too much waits for all clients together")
                # A close would stand behind what waits, and all of it would stay for seconds.
                watcher.cut(CLOSE_TOO_SLOW, TOO_SLOW)

    def _forget(self, watcher: Watcher, reason: str) -> None:
        log.warning("a client is too slow: %s session=%s", reason, watcher.session)
        self._measures.stalled += 1
        self.discard(watcher)
