"""One client stops reading while 100 items are written 50,000 times: what it costs, and what it has then.

Each column has servers of its own, started afresh, and NATS stores all of it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.markup import escape
from rich.table import Table

from tests.benchmarks.load import Measures
from tests.benchmarks.processes import ServerFailed, answered, memory_mb
from tests.benchmarks.stalled_load import IN_FLIGHT, ITEM_BYTES, ITEMS
from tests.benchmarks.stalled_readers import GENERATION, NODE
from tests.benchmarks.tables import cell, print_logs
from tests.benchmarks.targets import TARGETS, Skipped
from tests.clients.npm import installed

WRITES, QUICK_WRITES = 50_000, 3_000

LOAD_SECONDS = 240.0
"""How long one column of one round may take."""

NPM_SECONDS = 120

LOOK_SECONDS = 0.1
"""Between two looks at the gateway's memory."""


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    kind: str
    """What is written: `updates`, or `coming and going`."""
    reader: str
    """Who stops: `raw`, a socket of ours, or `motia`."""


COLUMNS = [
    Column("updates", "updates", "raw"),
    Column("items come and go", "coming and going", "raw"),
    Column(f"the same, Motia's client ({GENERATION})", "coming and going", "motia"),
]

ROWS = [
    ("changes while it did not read", "changes", ",.0f"),
    ("  per second", "changes_per_second", ",.0f"),
    ("gateway memory MB (PSS), before", "before_mb", ".1f"),
    ("  more at its peak", "peak_mb", ".1f"),
    ("  more 2 s after all was read", "after_mb", ".1f"),
    ("it then got MB", "mb", ".2f"),
    ("  frames", "frames", ",.0f"),
    ("  seconds until it was exact", "seconds", ".3f"),
    ("write → the other, ms, p50", "stall_p50_ms", ".1f"),
    ("  p99", "stall_p99_ms", ".1f"),
    ("  when everybody read, p50", "before_p50_ms", ".1f"),
    ("  p99", "before_p99_ms", ".1f"),
    ("changes that the other was not told (conflated)", "missing", ",.0f"),
]
FAULTS = [
    ("clients that did not come to the stored items, in their order", "inexact"),
    ("sockets that were closed", "closed"),
    ("frames that did not fit what the client had", "wrong"),
]


def run(rounds: int, *, is_quick: bool) -> tuple[Table, bool]:
    """The table, and whether everybody came to the stored items, on the socket that it had."""
    writes = QUICK_WRITES if is_quick else WRITES
    measured: list[defaultdict[str, list[float]]] = [defaultdict(list) for _ in COLUMNS]
    reasons: dict[str, str] = {}
    failed = False
    for number in range(rounds):
        for column, found in zip(COLUMNS, measured, strict=True):
            if column.title in reasons:
                continue
            print(f"round {number + 1} of {rounds}: {column.title}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(prefix="streams-benchmark-") as directory:
                try:
                    for name, value in one_round(column, writes, Path(directory)).items():
                        found[name].append(value)
                except Skipped as skipped:
                    reasons[column.title] = f"skipped: {skipped}"
                except ServerFailed as failure:
                    reasons[column.title], failed = f"failed: {failure}", True
                    print_logs(Path(directory))
    faults = sum(sum(found[name]) for found in measured for _, name in FAULTS)
    return table(writes, measured, reasons), not failed and not faults


def one_round(column: Column, writes: int, directory: Path) -> Measures:
    """Start the servers, load them from another process, and look at the gateway's memory meanwhile."""
    if column.reader == "motia":
        prepare_node()
    with TARGETS["streams"].running(directory) as servers, memory_of(servers.pids) as memory:
        arguments = [servers.nats_url, str(servers.port), column.kind, column.reader, str(writes)]
        done = answered("load", ["stalled_load", *arguments], directory, LOAD_SECONDS)
        time.sleep(2 * LOOK_SECONDS)
    moments, outcome, measures = done["moments"], done["outcome"], done["measures"]
    before = memory.between(moments["stopped"] - 1.0, moments["stopped"])
    stall = memory.between(moments["stopped"], moments["rested"])
    after = memory.between(moments["rested"] - 3 * LOOK_SECONDS, moments["rested"] + 1.0)
    return measures | {
        "before_mb": before[-1],
        "peak_mb": max(stall) - before[-1],
        "after_mb": after[-1] - before[-1],
        "mb": outcome["bytes"] / 1e6,
        "frames": float(outcome["frames"]),
        "seconds": outcome["seconds"],
        "inexact": 1.0 - outcome["is_exact"],
        "closed": outcome["closed"] + measures["healthy_closed"],
        "wrong": outcome["wrong"] + measures["healthy_wrong"],
    }


def prepare_node() -> None:
    """Raises Skipped where Motia's client cannot run."""
    if shutil.which("node") is None:
        raise Skipped("node is not installed")
    try:
        installed(NODE, NPM_SECONDS)
    except (pytest.skip.Exception, pytest.fail.Exception) as left_out:
        raise Skipped(str(left_out)) from left_out


class Memory:
    """What processes took, looked at again and again."""

    def __init__(self) -> None:
        self._looks: list[tuple[float, float]] = []

    def look(self, pids: list[int]) -> None:
        self._looks.append((time.monotonic(), memory_mb(pids)))

    def between(self, begin: float, end: float) -> list[float]:
        """MiB, at moments of CLOCK_MONOTONIC; at least the one that was next."""
        found = [mb for moment, mb in self._looks if begin <= moment <= end]
        return found or [min(self._looks, key=lambda look: abs(look[0] - end))[1]]


@contextmanager
def memory_of(pids: list[int]) -> Iterator[Memory]:
    memory, is_over = Memory(), threading.Event()

    def look() -> None:
        while not is_over.wait(LOOK_SECONDS):
            memory.look(pids)

    looking = threading.Thread(target=look, name="memory")
    looking.start()
    try:
        yield memory
    finally:
        is_over.set()
        looking.join()


def table(writes: int, measured: list[defaultdict[str, list[float]]], reasons: dict[str, str]) -> Table:
    title = f"One client does not read: {writes:,} writes of {ITEM_BYTES} bytes to {ITEMS} items"
    caption = f"{IN_FLIGHT} writes under way; median \\[min–max] over the rounds"
    shown = Table(title=title, caption=caption, caption_justify="left")
    shown.add_column("")
    for column in COLUMNS:
        shown.add_column(column.title, justify="right")
    if reasons:
        shown.add_row("", *(escape(reasons.get(column.title, "")) for column in COLUMNS), end_section=True)
    for label, name, form in ROWS:
        shown.add_row(label, *(cell(found[name], form) for found in measured))
    shown.add_section()
    for label, name in FAULTS:
        shown.add_row(label, *(f"{sum(found[name]):,.0f}" if found[name] else "–" for found in measured))
    return shown
