"""How often something may be done: so many at once, and then so many a second. Pure."""

from __future__ import annotations


class Pace:
    """A bucket of `burst` tokens that fills by `per_second`. `now` is in seconds of any clock that rises."""

    __slots__ = ("_burst", "_left", "_per_second", "_since")

    def __init__(self, per_second: float, burst: int, now: float) -> None:
        self._per_second, self._burst = per_second, float(burst)
        self._left, self._since = float(burst), now

    def allows(self, now: float) -> bool:
        """Whether it may be done now; where it may, it counts as done."""
        self._left = min(self._burst, self._left + (now - self._since) * self._per_second)
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Share:
    """A share of a processor, for work that may take its time. `now` is in seconds of a clock that rises."""

    __slots__ = ("_free_at", "_share")

    def __init__(self, share: float) -> None:
        self._share, self._free_at = share, 0.0

    def spend(self, seconds: float, now: float) -> float:
        """So long was worked. When to go on, so that all who have the share together do not take more."""
        self._free_at = max(self._free_at, now) + seconds / self._share - seconds
        return self._free_at
