"""Whether what clients see may be old, because NATS is away. They are told so, and keep what they have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

LOOK_SECONDS = 0.5
"""How often it is looked. Who is away for less is not spoken of, where nobody looks meanwhile."""


class Feeds(Protocol):
    """What is known of the buckets that are followed."""

    @property
    def age_seconds(self) -> float:
        """How long ago the question began by which all of them were last known to be complete."""
        ...


class Staleness:
    """Whether NATS is away, or was when what is watched was last compared with it. `tell` hears of news."""

    def __init__(self, is_connected: Callable[[], bool], feeds: Feeds, tell: Callable[[bool], None]) -> None:
        self.is_stale = False
        self._is_connected, self._feeds, self._tell = is_connected, feeds, tell
        self._away_at = 0.0
        self._loop = asyncio.get_running_loop()

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            self._look()
            await asyncio.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        now = self._loop.time()
        if not self._is_connected():
            self._away_at = now
            is_stale = True
        else:
            is_stale = self.is_stale and now - self._feeds.age_seconds <= self._away_at
        if is_stale != self.is_stale:
            self.is_stale = is_stale
            self._tell(is_stale)
