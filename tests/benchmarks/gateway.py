"""The gateway table: our servers and their peers under the same load.

Every round starts every server afresh and in another order, so that whatever
else the machine does in these minutes meets all of them alike.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

import orjson
from rich.table import Table

from tests.benchmarks.load import AHEAD, WATCHERS, Measures, Task
from tests.benchmarks.processes import ROOT, ServerFailed, last_line
from tests.benchmarks.tables import cell, print_logs
from tests.benchmarks.targets import TARGETS, Skipped, Target

SECONDS, QUICK_SECONDS = 4.0, 1.0
"""How long each of the five scenarios writes."""

LOAD_SECONDS = 120.0
"""How long one round of one target may take."""

Row: TypeAlias = tuple[str, str, str]
"""Label, measure, and how its number is printed."""

LATENCY: list[Row] = [("p50 ms", "p50_ms", ".2f"), ("p99 ms", "p99_ms", ".2f")]
DELIVERED: Row = ("delivered per second", "delivered_per_second", ",.0f")
CPU: list[Row] = [
    ("server CPU µs per delivered", "cpu_us", ".1f"),
    ("  of it NATS", "nats_cpu_us", ".1f"),
]
SATURATED: list[Row] = [
    ("delivered per server-CPU-second", "delivered_per_cpu_second", ",.0f"),
    ("server memory MB (PSS)", "memory_mb", ",.0f"),
    ("load client, cores busy", "client_cores", ".2f"),
]
SECTIONS: list[tuple[str, str, list[Row]]] = [
    ("write → client, 1 socket", "latency-1", LATENCY),
    ("write → client, 100 sockets", "latency-100", LATENCY),
    (f"{WATCHERS} sockets, ≤ {AHEAD} writes ahead", "fan-out", [DELIVERED, *CPU, *SATURATED]),
    (f"{WATCHERS} sockets, 10 updates/s", "paced-10", [DELIVERED, *CPU]),
    (f"{WATCHERS} sockets, 100 updates/s", "paced-100", [DELIVERED, *CPU]),
]
"""Title, scenario, rows."""


def run(rounds: int, *, is_quick: bool) -> tuple[Table, bool]:
    """The table, and whether all of it worked and no frame was lost."""
    measured, reasons, failed = measure(rounds, QUICK_SECONDS if is_quick else SECONDS)
    lost = any(total(rounds_of_one, "lost") for rounds_of_one in measured.values())
    return table(measured, reasons), not failed and not lost


def measure(rounds: int, seconds: float) -> tuple[dict[str, list[Measures]], dict[str, str], bool]:
    """What was measured per target and round; why a target has nothing; whether one of them failed."""
    measured: defaultdict[str, list[Measures]] = defaultdict(list)
    reasons: dict[str, str] = {}
    failed = False
    for name, target in TARGETS.items():
        try:
            target.prepare()
        except Skipped as skipped:
            reasons[name] = f"skipped: {skipped}"
    names = list(TARGETS)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            if name in reasons:
                continue
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(prefix="streams-benchmark-") as directory:
                try:
                    measures = one_round(TARGETS[name], Path(directory), seconds)
                    measured[name].append(measures)
                except ServerFailed as failure:
                    reasons[name], failed = f"failed: {failure}", True
                    print_logs(Path(directory))
    return measured, reasons, failed


def one_round(target: Target, directory: Path, seconds: float) -> Measures:
    """Start one target, load it from a process of its own, stop it."""
    with target.running(directory) as servers:
        task = Task(target.name, servers, seconds)
        command = [sys.executable, "-m", "tests.benchmarks.load", orjson.dumps(asdict(task)).decode()]
        log = directory / "load.log"
        try:
            with log.open("wb") as errors:
                done = subprocess.run(
                    command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                    timeout=LOAD_SECONDS,
                )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise ServerFailed(f"the load was not done in {LOAD_SECONDS:.0f} s") from error
        if done.returncode != 0:
            raise ServerFailed(last_line(log))
        measures: Measures = orjson.loads(done.stdout)
        return measures


def table(measured: dict[str, list[Measures]], reasons: dict[str, str]) -> Table:
    shown = Table(caption="median \\[min–max] over the rounds", caption_justify="left")
    shown.add_column("", no_wrap=True)
    for name in TARGETS:
        shown.add_column(name, justify="right")
    counts = {name: str(len(rounds)) for name, rounds in measured.items()}
    shown.add_row("rounds", *(reasons.get(name, counts.get(name)) for name in TARGETS), end_section=True)
    for title, scenario, rows in SECTIONS:
        shown.add_row(f"[bold]{title}[/bold]")
        for label, measure, form in rows:
            key = f"{scenario}/{measure}"
            values = ([row[key] for row in measured.get(name, []) if key in row] for name in TARGETS)
            cells = (cell(of_target, form) for of_target in values)
            shown.add_row(f"  {label}", *cells, end_section=measure == rows[-1][1])
    shown.add_row("[bold]frames, all scenarios and rounds[/bold]")
    for label in ("frames", "lost", "extra"):
        sums = (total(measured[name], label) if name in measured else None for name in TARGETS)
        shown.add_row(f"  {label}", *("–" if count is None else f"{count:,.0f}" for count in sums))
    return shown


def total(rounds: list[Measures], measure: str) -> float:
    return sum(value for row in rounds for key, value in row.items() if key.endswith(f"/{measure}"))
