"""What it costs to look for changes that were lost on the way, and whether they are found in time.

Two processes watch the same groups at the same time; one compares them with
their bucket, the other never does. What one takes more is the price.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from tests.benchmarks.churn_server import Nats, nats_running, own_mb
from tests.benchmarks.load import Measures
from tests.benchmarks.processes import ServerFailed, Worker, cpu_seconds, working
from tests.benchmarks.tables import print_logs


@dataclass(frozen=True, slots=True)
class Scale:
    sizes: tuple[int, ...] = (1_000, 10_000, 100_000)
    """Watched groups, each with one item. The bucket has as many as the last."""
    seconds: float = 60.0
    """How long each load is measured."""
    compare_seconds: float = 15.0
    """How often is compared: as gateways do where nobody says otherwise."""
    writes_per_second: float = 500.0


QUICK = Scale(sizes=(1_000, 5_000), seconds=10.0, compare_seconds=3.0)

NEVER_SECONDS = 1e9

SETTLE_SECONDS = 5.0
"""After all have joined, groups look once more."""

LOST = 8
"""Changes that are lost, spread over the time between two comparisons."""

REPAIR_SECONDS = 30.0
"""How long a lost change may be unknown."""

PATIENCE_SECONDS = 60.0
"""How long is waited for one all the same."""

FILL_SECONDS = 300.0
JOIN_SECONDS = 600.0
ORDER_SECONDS = 60.0
"""How long another order may take, beside the time that it asks for."""

LOADS: dict[str, tuple[str, float | None]] = {
    "idle": ("nothing is written", None),
    "mixed": ("500 writes/s, 1 of 10 to a watched group", 0.1),
    "watched": ("500 writes/s to watched groups", 1.0),
}
"""What it is called, and the share of writes to watched groups."""

FIRST_ROWS = [
    ("memory KB per group (PSS)", "memory_kb", ".1f"),
    ("gateway CPU ms per joined group", "join_cpu_ms", ".2f"),
    ("  longest garbage collection meanwhile, ms", "join_collection_ms", ",.0f"),
    ("lost changes found", "found", ",.0f"),
    (f"  of {LOST}, within {REPAIR_SECONDS:.0f} s", "in_time", ",.0f"),
    ("  longest, seconds", "longest_s", ".1f"),
]
ROWS = [
    ("CPU of comparing, seconds per minute", "cpu", ".2f"),
    ("  of a core (goal: ≤ 10 %)", "share", ".1%"),
    ("  all CPU of the hub that compares", "with", ".2f"),
    ("  all CPU of the other one", "without", ".2f"),
    ("per minute: questions where the bucket ends", "ends", ",.0f"),
    ("  scans of the bucket", "scans", ",.0f"),
    ("  reads of groups", "group_requests", ",.0f"),
    ("  groups named in them", "group_reads", ",.0f"),
    ("longest hold of the event loop, CPU ms", "hold_ms", ",.0f"),
    ("  longest garbage collection", "collection_ms", ",.0f"),
    ("  longest hold of the other one", "other_hold_ms", ",.0f"),
]


@dataclass(frozen=True, slots=True)
class Workers:
    """Who takes part."""

    nats: Nats
    comparing: Worker
    other: Worker
    load: Worker
    overheard: Worker


def run(rounds: int, *, is_quick: bool) -> tuple[Table, bool]:
    """The table, and whether every lost change was found in time. However many rounds, it is done once."""
    scale = QUICK if is_quick else Scale()
    title = f"looking for lost changes every {scale.compare_seconds:g} s"
    shown = Table(title=title, caption="two hubs watch the same; one compares", caption_justify="left")
    measured: list[Measures] = []
    with tempfile.TemporaryDirectory(prefix="streams-benchmark-") as folder:
        directory = Path(folder)
        try:
            measured += _sizes(scale, directory)
        except ServerFailed as failure:
            print_logs(directory)
            shown.add_row(escape(f"failed: {failure}"))
            return shown, False
    shown.add_column("watched groups", no_wrap=True)
    for size in scale.sizes:
        shown.add_column(f"{size:,}", justify="right", no_wrap=True)
    for label, name, form in FIRST_ROWS:
        shown.add_row(label, *(format(found[name], form) for found in measured))
    for load, (title, _) in LOADS.items():
        shown.add_section()
        shown.add_row(f"[bold]{title}[/bold]")
        for label, name, form in ROWS:
            shown.add_row(f"  {label}", *(format(found[f"{load}/{name}"], form) for found in measured))
    return shown, all(found["in_time"] == LOST for found in measured)


def _sizes(scale: Scale, directory: Path) -> Iterator[Measures]:
    with ExitStack() as processes:

        def worker(name: str, *arguments: str) -> Worker:
            started = processes.enter_context(working(name, arguments, directory))
            started.answer(ORDER_SECONDS)
            return started

        nats = processes.enter_context(nats_running(directory))
        load = worker("load", "losses_load", nats.url)
        comparing, other = (
            worker(f"hub-{seconds:g}", "losses_hub", nats.url, str(seconds))
            for seconds in (scale.compare_seconds, NEVER_SECONDS)
        )
        workers = Workers(nats, comparing, other, load, worker("requests", "storm_requests", nats.url))
        load.tell({"do": "fill", "number": scale.sizes[-1]})
        load.answer(FILL_SECONDS)
        before = 0
        for size in scale.sizes:
            yield _size(workers, scale, before, size)
            before = size


def _size(workers: Workers, scale: Scale, before: int, size: int) -> Measures:
    """Watch more groups, up to `size`, and measure with all of them."""
    print(f"losses: {size:,} groups", file=sys.stderr, flush=True)
    hubs = (workers.comparing, workers.other)
    memory_mb, cpu = own_mb(workers.comparing.popen.pid), cpu_seconds([workers.other.popen.pid])
    for hub in hubs:
        hub.tell({"do": "join", "first": before, "count": size - before})
    joins = [hub.answer(JOIN_SECONDS) for hub in hubs]
    time.sleep(SETTLE_SECONDS)
    joined = size - before
    measures: Measures = {
        "join_cpu_ms": (cpu_seconds([workers.other.popen.pid]) - cpu) * 1e3 / joined,
        "join_collection_ms": max(each["collection_ms"] for each in joins),
        "memory_kb": (own_mb(workers.comparing.popen.pid) - memory_mb) * 1024 / joined,
    }
    for name, (title, share) in LOADS.items():
        print(f"losses: {title}", file=sys.stderr, flush=True)
        found = _loaded(workers, scale, size, share)
        measures |= {f"{name}/{measure}": value for measure, value in found.items()}
    return measures | _repaired(workers, scale, size)


def _loaded(workers: Workers, scale: Scale, size: int, share: float | None) -> Measures:
    """Both hubs under one load. `share` of the writes are to watched groups; None: there are none."""
    hubs = (workers.comparing, workers.other)
    for hub in hubs:
        _order(hub, "look")
    _order(workers.overheard, "tell")
    cpus, began = [cpu_seconds([hub.popen.pid]) for hub in hubs], time.monotonic()
    if share is None:
        time.sleep(scale.seconds)
    else:
        asked = {"watched": size, "share": share, "per_second": scale.writes_per_second}
        _order(workers.load, "write", seconds=scale.seconds, **asked)
    minutes = (time.monotonic() - began) / 60
    with_it, without = (
        (cpu_seconds([hub.popen.pid]) - cpu) / minutes for hub, cpu in zip(hubs, cpus, strict=True)
    )
    asked_for = _order(workers.overheard, "tell")
    holds, other_holds = (_order(hub, "look") for hub in hubs)
    return {
        "with": with_it,
        "without": without,
        "cpu": with_it - without,
        "share": (with_it - without) / 60,
        "hold_ms": holds["hold_ms"],
        "collection_ms": holds["collection_ms"],
        "other_hold_ms": other_holds["hold_ms"],
        **{name: asked_for[name] / minutes for name in ("ends", "scans", "group_requests", "group_reads")},
    }


def _repaired(workers: Workers, scale: Scale, size: int) -> Measures:
    """Lose some changes, and wait until they are found."""
    print("losses: lost changes", file=sys.stderr, flush=True)
    numbers = random.sample(range(size), LOST)
    acknowledged = _order(workers.load, "write_marked", seconds=scale.compare_seconds, numbers=numbers)
    until = time.monotonic() + PATIENCE_SECONDS
    while len(found := _found(workers.comparing, acknowledged)) < LOST and time.monotonic() < until:
        time.sleep(0.5)
    took = [came - acknowledged[number] for number, came in found.items()]
    return {
        "found": len(took),
        "in_time": sum(seconds <= REPAIR_SECONDS for seconds in took),
        "longest_s": max(took, default=PATIENCE_SECONDS),
    }


def _found(hub: Worker, acknowledged: Measures) -> Measures:
    return {number: came for number, came in _order(hub, "found").items() if number in acknowledged}


def _order(worker: Worker, what: str, seconds: float = 0.0, **details: Any) -> Measures:
    """Tell it, with the seconds that it is to take where it is to take any, and wait for what it answers."""
    worker.tell({"do": what, **details} | ({"seconds": seconds} if seconds else {}))
    done: Measures = worker.answer(seconds + ORDER_SECONDS)
    return done
