"""What the load processes have in common: what they are told, what they write, what they measure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from tests.benchmarks.clients import stamp
from tests.benchmarks.targets import Item, Servers

ITEM_BYTES = 200
"""Length of an item as JSON text."""

CLIENTS = 2500
"""Of the mixed load, where the machine has room for them."""

Measures: TypeAlias = dict[str, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything the gateway's scenarios do."""

    seconds: float = 3.0
    """How long each of the short ones writes, or joins."""
    watchers: int = 500
    """Sockets of a fan-out."""
    cold_groups: int = 400
    clients: int = CLIENTS
    mixed_seconds: float = 20.0
    idle_sockets: int = 2000
    idle_seconds: float = 25.0
    """One period of our pings."""
    slow_writes: int = 50_000
    slow_seconds: float = 30.0
    """After so long it writes no more, and says how often it has written."""


QUICK = Scale(0.7, 200, 60, 200, 3.0, 200, 3.0, 3000, 8.0)


@dataclass(frozen=True, slots=True)
class Task:
    """What one load process does against servers that run already."""

    target: str
    servers: Servers
    scenarios: list[str]
    scale: Scale


def stamped(item_id: str, sequence: int, size: int = ITEM_BYTES) -> Item:
    """The item of one write, made just before it; `size` bytes of JSON text."""
    item = {"id": item_id, "stamp": stamp(sequence), "text": ""}
    item["text"] = "x" * (size - len(orjson.dumps(item)))
    return item


def quantile(ordered: list[float], share: float) -> float:
    """Nearest rank, so that it is a value that was measured."""
    return ordered[math.ceil(share * len(ordered)) - 1]
