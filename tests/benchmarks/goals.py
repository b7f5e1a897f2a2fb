"""What the gateway is to reach: numbers, and where the results have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import median

OURS = "streams"


@dataclass(frozen=True, slots=True)
class Goal:
    """What the median of one measure of ours should be."""

    label: str
    measure: str
    """`scenario/measure`."""
    form: str
    """How its number is printed."""
    least: float = -inf
    most: float = inf

    @property
    def text(self) -> str:
        return f"≤ {self.most:{self.form}}" if self.most < inf else f"≥ {self.least:{self.form}}"

    def is_met(self, values: Sequence[float]) -> bool:
        return self.least <= median(values) <= self.most


GATEWAY = [
    Goal("CPU µs per delivered, 10 updates/s", "paced-10/cpu_us", ".1f", most=13),
    Goal("CPU µs per delivered, 100 updates/s", "paced-100/cpu_us", ".1f", most=11),
    Goal("CPU µs per delivered, 1,000 updates/s", "paced-1000/cpu_us", ".1f", most=2),
    Goal("mixed load, CPU µs per delivered, all-in", "mixed/cpu_us", ".0f", most=80),
    Goal("mixed load, write → client p99 ms", "mixed/p99_ms", ".1f", most=50),
    Goal("mixed load, wrong", "mixed/wrong", ",.0f", most=0),
    Goal("write → client p50 ms, 1 socket", "latency-1/p50_ms", ".2f", most=1.2),
    Goal("write → client p99 ms, 1 socket", "latency-1/p99_ms", ".2f", most=3),
    Goal("write → client p50 ms, 100 sockets", "latency-100/p50_ms", ".2f", most=3),
    Goal("write → client p99 ms, 100 sockets", "latency-100/p99_ms", ".2f", most=7),
    Goal("idle, KB per connection", "idle/memory_kb", ".1f", most=8),
    Goal("idle, CPU µs per connection and second", "idle/cpu_us", ".1f", most=4.7),
    Goal("joins of a warm group per CPU second", "joins-warm/per_cpu_second", ",.0f", least=2500),
    Goal("joins of cold groups per second", "joins-cold/per_second", ",.0f", least=800),
]
