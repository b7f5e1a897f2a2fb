"""What the gateway table measures: each scenario loads servers that run already, and says what came of it.

`python -m tests.benchmarks.scenarios TASK` is the process that does so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from tests.benchmarks.load import Measures
from tests.benchmarks.scenarios.crowd import Stand
from tests.benchmarks.scenarios.fan_out import fan_out, latency
from tests.benchmarks.scenarios.idle import idle
from tests.benchmarks.scenarios.joins import cold, warm
from tests.benchmarks.scenarios.mixed import mixed
from tests.benchmarks.scenarios.slow_reader import slow_reader

Scenario: TypeAlias = Callable[[Stand], Awaitable[Measures]]


@dataclass(frozen=True, slots=True)
class Part:
    """Scenarios that are asked for by one name."""

    scenarios: dict[str, Scenario]
    is_long: bool = False
    """It has servers of its own, and is measured in one round unless it is asked for."""


PARTS: dict[str, Part] = {
    "latency": Part({"latency-1": partial(latency, sockets=1), "latency-100": partial(latency, sockets=100)}),
    "fan-out": Part(
        {
            "paced-10": partial(fan_out, writes_per_second=10),
            "paced-100": partial(fan_out, writes_per_second=100),
            "paced-1000": partial(fan_out, writes_per_second=1000),
            "fan-out": fan_out,
        }
    ),
    "joins": Part({"joins-warm": warm, "joins-token": partial(warm, has_tokens=True), "joins-cold": cold}),
    "mixed": Part({"mixed": mixed}, is_long=True),
    "idle": Part({"idle": idle}, is_long=True),
    "slow-reader": Part({"slow-reader": slow_reader}, is_long=True),
}
"""By the name that the command line takes."""

SCENARIOS = {name: scenario for part in PARTS.values() for name, scenario in part.scenarios.items()}

OURS_ALONE = {"joins-token"}
"""Peers have no tokens here."""
