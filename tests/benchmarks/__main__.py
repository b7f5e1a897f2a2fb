"""`make bench`: what is ours and its peers under the same load, in one run, a table for each part."""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import orjson
from rich.console import Console

from tests.benchmarks import functions, gateway, store
from tests.benchmarks.processes import end_cleanly_on_sigterm
from tests.benchmarks.targets import WS_MANIFEST

PARTS = {"gateway": gateway.run, "store": store.run, "functions": functions.run}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("part", nargs="?", choices=list(PARTS), help="which table (all)")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything short is measured (3)")
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
    console = Console(width=max(120, Console().width), highlight=False)
    all_well = True
    for part in [options.part] if options.part else PARTS:
        table, is_well = PARTS[part](rounds, is_quick=options.quick)
        console.print(table)
        all_well = all_well and is_well
    console.print(f"{machine()}; load average at start {load_average[0]:.2f}", markup=False, soft_wrap=True)
    return 0 if all_well else 1


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


def complain(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
