"""What a gateway counts about itself. Numbers alone: how they are told is the business of `metrics`.

Everything here is an addition where something happens anyway: nothing is
counted once for every client.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

LATENCY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of what is told of a time: from a good network to something that is broken."""


class Histogram:
    """How many values were at or below each bound, and their sum."""

    __slots__ = ("_numbers", "bounds", "sum")

    def __init__(self, bounds: Sequence[float] = LATENCY_SECONDS) -> None:
        self.bounds = tuple(bounds)
        self.sum = 0.0
        self._numbers = [0] * (len(self.bounds) + 1)

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value, so many times."""
        self._numbers[bisect_left(self.bounds, value)] += times
        self.sum += value * times

    @property
    def count(self) -> int:
        return sum(self._numbers)

    def cumulative(self) -> list[int]:
        """For each bound, how many were not above it; at the end, how many there were."""
        total, out = 0, []
        for number in self._numbers:
            total += number
            out.append(total)
        return out


@dataclass(slots=True)
class Measures:
    """What happened since this process started."""

    changes: int = 0
    """Changes of items that NATS told of, in groups that are followed."""
    events: int = 0
    """Ephemeral events, likewise."""
    joins: int = 0
    """Rooms whose state was sent to a client that asked for it, or waits for it to read."""
    frames: int = 0
    """WebSocket messages about rooms that went out, each once for every client."""
    bytes: int = 0
    """Their bytes."""
    writes: int = 0
    """What they were sent with: one write holds all frames that one socket gets in one tick."""
    conflated: int = 0
    """Changes of whole groups that a slow client was not told one by one, each once for every such client."""
    dropped: int = 0
    """Events that a slow client never gets, each once for every such client."""
    repairs: int = 0
    """Changes that were missed, and found by comparing with the bucket."""
    values_let_go: int = 0
    """Values of items of watched groups that were let go because all took too much memory, and ..."""
    values_read: int = 0
    """... that were read again because somebody was to be told of them."""
    resyncs: Counter[str] = field(default_factory=Counter)
    """Clients that were given the whole state anew, by reason: `slow`, ..."""
    stalled: int = 0
    """Clients that were sent away because they read nothing for too long, or too many did not."""
    sweeps: Counter[str] = field(default_factory=Counter)
    """Comparisons with a bucket, by what they took: `unmoved`, `scan`, `groups`."""
    write_to_send: Histogram = field(default_factory=Histogram)
    """Seconds from a commit, by NATS' clock, until its frame is written to the sockets, by ours."""
    hook: Histogram = field(default_factory=Histogram)
    """Seconds that the application took to say who somebody is, or what they may see."""
    loop_lag: Histogram = field(default_factory=Histogram)
    """Seconds by which the event loop was late, looked at a few times a second."""
