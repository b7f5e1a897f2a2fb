"""`make bench`: what is ours and its peers under the same load, in one run, a table for each part."""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import orjson
from rich.console import Console, RenderableType

from tests.benchmarks import cache, churn, functions, gateway, ingest, losses, resume, stalled, store, storm
from tests.benchmarks.processes import end_cleanly_on_sigterm
from tests.benchmarks.scenarios import PARTS as GATEWAY_PARTS
from tests.benchmarks.targets import TARGETS

OTHERS: dict[str, Callable[..., tuple[RenderableType, bool]]] = {
    "ingest": ingest.run,
    "stalled": stalled.run,
    "storm": storm.run,
    "resume": resume.run,
    "cache": cache.run,
    "losses": losses.run,
    "churn": churn.run,
    "store": store.run,
    "functions": functions.run,
}
PARTS = ("gateway", *OTHERS)
ROUNDS = 3

LEAST_WIDTH, GATEWAY_WIDTH = 120, 200
"""Of a table, in characters, however narrow the terminal is."""

OPEN_FILES = 65_536


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("part", nargs="?", choices=PARTS, help="which table (all)")
    parser.add_argument(
        "--rounds",
        type=int,
        help=f"how often everything short is measured ({ROUNDS}; gateway: {gateway.ROUNDS})",
    )
    parser.add_argument("--quick", action="store_true", help="one short round, to see that all of it works")
    parser.add_argument(
        "--only", type=names(TARGETS), default=[], help="targets of the gateway table: a,b (all)"
    )
    parser.add_argument(
        "--scenarios",
        type=names(GATEWAY_PARTS),
        default=[],
        help="parts of the gateway table, each in every round: a,b (all, the long ones in one round)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what the gateway table is made of")
    options = parser.parse_args()
    if not Path("/proc/self/smaps_rollup").exists():
        return complain("the benchmarks read CPU and memory from /proc: run them on Linux, or in a container")
    if options.rounds is not None and options.rounds < 1:
        return complain(f"--rounds {options.rounds} measures nothing; give at least 1")

    end_cleanly_on_sigterm()
    allow_many_sockets()
    facts = f"{machine()}; load average at start {os.getloadavg()[0]:.2f}"
    all_well = True
    for part in [options.part] if options.part else PARTS:
        table, is_well = run(part, options, facts)
        console = Console(
            width=max(GATEWAY_WIDTH if part == "gateway" else LEAST_WIDTH, Console().width), highlight=False
        )
        console.print(table)
        all_well = all_well and is_well
    Console().print(facts, markup=False, soft_wrap=True, highlight=False)
    return 0 if all_well else 1


def run(part: str, options: argparse.Namespace, facts: str) -> tuple[RenderableType, bool]:
    """One part's tables, and whether all of it worked."""
    if part != "gateway":
        rounds = 1 if options.quick else options.rounds or ROUNDS
        return OTHERS[part](rounds, is_quick=options.quick)
    rounds = 1 if options.quick else options.rounds or gateway.ROUNDS
    results = gateway.run(rounds, is_quick=options.quick, targets=options.only, parts=options.scenarios)
    if options.json is not None:
        found = {"machine": facts, "rounds": rounds, **results.as_json()}
        options.json.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    return results.shown(), results.is_well


def names(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Reads names with commas between them."""

    def read(text: str) -> list[str]:
        asked = text.split(",")
        if unknown := [name for name in asked if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: there are {', '.join(known)}")
        return asked

    return read


def machine() -> str:
    """Cores and versions, for whoever reads the table later."""
    facts = [f"{len(os.sched_getaffinity(0))} cores", f"Python {sys.version.split()[0]}"]
    facts += [f"{package} {installed(package)}" for package in ("realtime-streams", "uvicorn", "nats-py")]
    facts.append(f"nats-server {printed_version('nats-server')}")
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
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def complain(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
