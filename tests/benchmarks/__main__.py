"""`make bench`: our servers and their peers under the same load, in one run and one table.

Every round starts every server afresh and in another order, so that whatever
else the machine does in these minutes meets all of them alike.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeAlias

import orjson
from rich.console import Console
from rich.table import Table

from tests.benchmarks.load import AHEAD, WATCHERS, Measures, Task
from tests.benchmarks.processes import ROOT, ServerFailed, end_cleanly_on_sigterm, last_line
from tests.benchmarks.targets import TARGETS, WS_MANIFEST, Skipped, Target

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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each server is measured (3)")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that all of it works")
    options = parser.parse_args()
    if not Path("/proc/self/smaps_rollup").exists():
        return complain("the benchmarks read CPU and memory from /proc: run them on Linux, or in a container")
    if options.rounds < 1:
        return complain(f"--rounds {options.rounds} measures nothing; give at least 1")

    end_cleanly_on_sigterm()
    allow_many_sockets()
    load_average = os.getloadavg()
    rounds = 1 if options.quick else options.rounds
    measured, reasons, failed = measure(rounds, QUICK_SECONDS if options.quick else SECONDS)

    console = Console(width=max(120, Console().width), highlight=False)
    console.print(table(measured, reasons))
    console.print(f"{machine()}; load average at start {load_average[0]:.2f}", markup=False, soft_wrap=True)
    return 1 if failed or any(total(rounds_of_one, "lost") for rounds_of_one in measured.values()) else 0


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


def cell(values: list[float], form: str) -> str:
    """Median [min–max]."""
    if not values:
        return "–"
    middle = format(statistics.median(values), form)
    return middle if len(values) == 1 else f"{middle} \\[{min(values):{form}}–{max(values):{form}}]"


def total(rounds: list[Measures], measure: str) -> float:
    return sum(value for row in rounds for key, value in row.items() if key.endswith(f"/{measure}"))


def machine() -> str:
    """Cores and versions, for whoever reads the table later."""
    facts = [f"{len(os.sched_getaffinity(0))} cores", f"Python {sys.version.split()[0]}"]
    facts += [f"{package} {installed(package)}" for package in ("realtime-streams", "fastapi", "uvicorn")]
    facts.append(f"nats-server {printed_version('nats-server')}")
    facts.append(f"Node {printed_version('node')}")
    if WS_MANIFEST.exists():
        facts.append(f"ws {orjson.loads(WS_MANIFEST.read_bytes())['version']}")
    return ", ".join(facts)


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def printed_version(program: str) -> str:
    """What `PROGRAM --version` says at its end. Programs of this virtual environment come first."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    path = shutil.which(program, path=places)
    if path is None:
        return "(not installed)"
    return subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10).stdout.split()[-1]


def allow_many_sockets() -> None:
    """Raise the limit of open files, which is often 256 or 1024; all processes of the run inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def print_logs(directory: Path) -> None:
    for log in sorted(directory.glob("*.log")):
        for line in log.read_text(errors="replace").splitlines()[-20:]:
            print(f"  {log.stem}: {line}", file=sys.stderr)


def complain(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
