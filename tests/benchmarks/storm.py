"""A gateway is killed, and all of its clients come to another one, which knows none of their groups.

Meanwhile the groups are written to. What JetStream is asked for is overheard
on the same server, by a client of its own.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from tests.benchmarks.churn_server import Gateway, Nats, allow_sockets, gateway_running, nats_running
from tests.benchmarks.load import Measures
from tests.benchmarks.processes import ServerFailed, Worker, cpu_seconds, working
from tests.benchmarks.storm_load import BACK_SECONDS
from tests.benchmarks.tables import cell, print_logs


@dataclass(frozen=True, slots=True)
class Scale:
    clients: int = 5_000
    groups: int = 500
    writes_per_second: float = 200.0


QUICK = Scale(clients=1_000, groups=100)

JITTERS = [0.0, 2.0]
"""Within so many seconds of losing their line, clients try again: all at once, and as ours do."""

SETTLE_SECONDS = 3.0
"""How long the new gateway may take to look once more at what it has read."""

ORDER_SECONDS = 180.0

ROWS = [
    ("seconds until all were back and current", "seconds", ".2f"),
    ("first try → state ms, p50", "p50_ms", ",.0f"),
    ("  p99", "p99_ms", ",.0f"),
    ("gateway CPU seconds until then", "cpu", ".2f"),
    ("  ms of each client", "cpu_ms", ".2f"),
    ("NATS CPU seconds until then", "nats_cpu", ".2f"),
    ("gateway memory MB (PSS), 3 s later", "memory_mb", ".0f"),
    ("requests that read groups, per group (goal: 1)", "requests", ".2f"),
    ("  in the next 3 s", "later_requests", ".2f"),
    ("times that a group was named in them, mean", "reads", ".2f"),
    ("  of the group that was named most often", "most", ",.0f"),
    ("questions how far the bucket has come", "ends", ",.0f"),
    ("  in the next 3 s", "later_ends", ",.0f"),
    ("scans of the bucket", "scans", ",.0f"),
    ("  in the next 3 s", "later_scans", ",.0f"),
    ("reads of single records, writers' included", "records", ",.0f"),
    ("other requests", "others", ",.0f"),
    ("times that somebody had to try again", "retries", ",.0f"),
]
FAULTS = [
    (f"clients that were not back after {BACK_SECONDS:.0f} s", "away"),
    ("times that somebody was refused", "refused"),
    ("clients that came back to an older state", "stale"),
    ("clients that showed something else than what was written", "unlike"),
    ("changes that did not fit what the client knew", "wrong"),
]


def run(rounds: int, *, is_quick: bool) -> tuple[Table, bool]:
    """The table, and whether everybody came back to what there is."""
    scale = QUICK if is_quick else Scale()
    title = f"{scale.clients:,} clients of a killed gateway, {scale.groups} groups"
    shown = Table(title=title, caption="median \\[min–max] over the rounds", caption_justify="left")
    measured: dict[float, defaultdict[str, list[float]]] = {each: defaultdict(list) for each in JITTERS}
    with tempfile.TemporaryDirectory(prefix="streams-benchmark-") as folder:
        directory = Path(folder)
        try:
            allow_sockets(2 * scale.clients + 500)
            for jitter, measures in _storms(scale, rounds, directory):
                for name, value in measures.items():
                    measured[jitter][name].append(value)
        except ServerFailed as failure:
            print_logs(directory)
            shown.add_row(escape(f"failed: {failure}"))
            return shown, False
    shown.add_column("they try again")
    for jitter in JITTERS:
        shown.add_column(f"within {jitter:g} s" if jitter else "at once", justify="right", no_wrap=True)
    for label, name, form in ROWS:
        shown.add_row(label, *(cell(found[name], form) for found in measured.values()))
    shown.add_section()
    for label, name in FAULTS:
        shown.add_row(label, *(f"{sum(found[name]):,.0f}" for found in measured.values()))
    return shown, not any(sum(found[name]) for found in measured.values() for _, name in FAULTS)


def _storms(scale: Scale, rounds: int, directory: Path) -> Iterator[tuple[float, Measures]]:
    with ExitStack() as servers:
        nats = servers.enter_context(nats_running(directory))
        overheard = servers.enter_context(working("requests", ["storm_requests", nats.url], directory))
        overheard.answer(ORDER_SECONDS)
        load = servers.enter_context(working("load", ["storm_load", nats.url, str(scale.groups)], directory))
        load.answer(ORDER_SECONDS)
        gateway = servers.enter_context(gateway_running("gateway-0", nats, directory))
        _order(load, "fill")
        _order(load, "open", port=gateway.port, count=scale.clients)
        jitters = [jitter for _ in range(rounds) for jitter in JITTERS]
        for number, jitter in enumerate(jitters, 1):
            print(f"storm {number} of {len(jitters)}", file=sys.stderr, flush=True)
            other = servers.enter_context(gateway_running(f"gateway-{number}", nats, directory))
            yield jitter, _storm(scale, jitter, nats, gateway, other, load, overheard)
            gateway = other


def _storm(
    scale: Scale, jitter: float, nats: Nats, gateway: Gateway, other: Gateway, load: Worker, overheard: Worker
) -> Measures:
    _order(load, "expect", port=other.port, jitter=jitter, writes_per_second=scale.writes_per_second)
    time.sleep(SETTLE_SECONDS)
    _requests(overheard)
    cpu, nats_cpu = cpu_seconds([other.pid]), cpu_seconds([nats.pid])
    killed = time.monotonic()
    os.kill(gateway.pid, signal.SIGKILL)
    back = _order(load, "back")
    cpu, nats_cpu = cpu_seconds([other.pid]) - cpu, cpu_seconds([nats.pid]) - nats_cpu
    asked = _requests(overheard)
    time.sleep(SETTLE_SECONDS)
    later = _requests(overheard)
    return {
        "seconds": back.pop("last") - killed,
        **back,
        **_order(load, "compare"),
        "cpu": cpu,
        "cpu_ms": cpu * 1e3 / scale.clients,
        "nats_cpu": nats_cpu,
        "memory_mb": other.memory_mb(),
        "requests": asked["group_requests"] / scale.groups,
        "later_requests": later["group_requests"] / scale.groups,
        "reads": asked["group_reads"] / scale.groups,
        "later_ends": later["ends"],
        "later_scans": later["scans"],
        **{name: asked[name] for name in ("most", "ends", "scans", "records", "others")},
    }


def _requests(overheard: Worker) -> Measures:
    return _order(overheard, "tell")


def _order(worker: Worker, what: str, **details: Any) -> Measures:
    worker.tell({"do": what, **details})
    done: Measures = worker.answer(ORDER_SECONDS)
    return done
