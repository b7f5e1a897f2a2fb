"""Which positions are young enough to say what has changed since.

A delete is found by its marker, which lives an hour. So "nothing of this
group changed since this position" can be said of a position only while no
marker of after it can have expired. A position does not say when it was,
but positions that were seen lately do: what lies above one of them is
younger.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from streams.store import Epoch, Position

TRUSTED_SECONDS = 1800.0
"""Half of how long a marker lives: the rest is for clocks and for reads that take long."""

EVERY_SECONDS = 60.0
"""How far apart positions are kept."""


class SeenPositions:
    """Where the buckets ended, minute by minute, as far as this process asked."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seen: dict[str, deque[tuple[float, Position]]] = {}

    def note(self, stream: str, end: Position) -> None:
        """The stream's bucket ends here now."""
        now, seen = self._now(), self._seen.setdefault(stream, deque())
        if seen and seen[-1][1].epoch != end.epoch:
            seen.clear()
        if not seen or now - seen[-1][0] >= EVERY_SECONDS:
            seen.append((now, end))
        while seen[0][0] < now - TRUSTED_SECONDS:
            seen.popleft()

    def is_young(self, stream: str, epoch: Epoch, revision: int) -> bool:
        """Whether it is certain that this position is younger than `TRUSTED_SECONDS`."""
        oldest = next(
            (end for at, end in self._seen.get(stream, ()) if at >= self._now() - TRUSTED_SECONDS), None
        )
        return oldest is not None and oldest.epoch == epoch and revision >= oldest.revision
