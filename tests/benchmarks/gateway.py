"""The gateway table: our servers and their peers under the same load.

Every round starts every server afresh and in another order, so that whatever
else the machine does in these minutes meets all of them alike. The scenarios
that take long have servers of their own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
from rich.console import Group
from rich.markup import escape

from tests.benchmarks.goals import OURS
from tests.benchmarks.load import QUICK, Measures, Scale, Task
from tests.benchmarks.processes import ROOT, ServerFailed, last_line
from tests.benchmarks.scenarios import OURS_ALONE, PARTS
from tests.benchmarks.scenarios.table import goals_met, goals_table, measured_table, total
from tests.benchmarks.tables import print_logs
from tests.benchmarks.targets import TARGETS, Skipped, Target

ROUNDS = 5

LOAD_SECONDS = 240.0
"""How long one load process may take."""


@dataclass(slots=True)
class Results:
    """What one run has found."""

    targets: list[str]
    versions: dict[str, str] = field(default_factory=dict)
    measured: defaultdict[str, list[Measures]] = field(default_factory=lambda: defaultdict(list))
    """Per target, what came of each run of its servers."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why a target has nothing."""
    failed: list[str] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        """Whether everything worked, and ours made no mistake. What peers lose, the table shows."""
        ours = self.measured.get(OURS, [])
        return not self.failed and not any(total(ours, fault) for fault in ("lost", "extra"))

    def shown(self) -> Group:
        table = measured_table([name for name in self.targets if name in self.measured], self.measured)
        said = [f"{name}: {sentence}" for name, sentence in (self.versions | self.reasons).items()]
        said += [f"failed: {sentence}" for sentence in self.failed]
        return Group(table, *map(escape, said), *goals_table(self.measured))

    def as_json(self) -> dict[str, Any]:
        return {
            "versions": self.versions,
            "measured": self.measured,
            "skipped": self.reasons,
            "failed": self.failed,
            "goals": goals_met(self.measured),
        }


def run(rounds: int, *, is_quick: bool, targets: Sequence[str] = (), parts: Sequence[str] = ()) -> Results:
    """Measure these targets and parts; none named: all of them, the long parts in one round each."""
    results = Results(list(targets or TARGETS))
    for name in results.targets:
        try:
            TARGETS[name].prepare()
        except Skipped as skipped:
            results.reasons[name] = f"skipped: {skipped}"
        else:
            results.versions[name] = TARGETS[name].version()
    names = [name for name in results.targets if name not in results.reasons]
    scale = QUICK if is_quick else Scale()
    for number in range(rounds):
        first = number % max(1, len(names))
        for name in names[first:] + names[:first]:
            for scenarios in _sittings(name, number, rounds, parts):
                label = f"round {number + 1} of {rounds}, {name}"
                print(f"{label}: {', '.join(scenarios)}", file=sys.stderr, flush=True)
                measures, failed = sitting(TARGETS[name], scenarios, scale)
                results.measured[name].append(measures)
                results.failed += [f"{label}, {scenario}: {reason}" for scenario, reason in failed.items()]
    return results


def _sittings(target: str, number: int, rounds: int, asked: Sequence[str]) -> Iterator[list[str]]:
    """What is measured in this round, in lists of scenarios that share their servers."""
    parts = {name: part for name, part in PARTS.items() if name in asked or not asked}
    short = [name for part in parts.values() if not part.is_long for name in part.scenarios]
    if short := [name for name in short if target == OURS or name not in OURS_ALONE]:
        yield short
    for index, part in enumerate(part for part in parts.values() if part.is_long):
        if asked or number == index % rounds:
            yield list(part.scenarios)


def sitting(target: Target, scenarios: list[str], scale: Scale) -> tuple[Measures, dict[str, str]]:
    """Start one target, load it, stop it. Returns what was measured, and which scenarios failed and why."""
    with tempfile.TemporaryDirectory(prefix="streams-benchmark-") as name:
        directory = Path(name)
        try:
            with target.running(directory) as servers:
                measures, failed = loaded(Task(target.name, servers, scenarios, scale), directory)
        except ServerFailed as failure:
            measures, failed = {}, {", ".join(scenarios): str(failure)}
        if failed:
            print_logs(directory)
        return measures, failed


def loaded(task: Task, directory: Path) -> tuple[Measures, dict[str, str]]:
    """What the load process says."""
    command = [sys.executable, "-m", "tests.benchmarks.scenarios", orjson.dumps(asdict(task)).decode()]
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
    answer = orjson.loads(done.stdout)
    return answer["measures"], answer["failed"]
