"""The store table: a hot item, single items, a large group and growing texts.

Beside most of it stands what nats-py does with the same server: puts and gets
of its key-value buckets, and the loops that one writes with them.
"""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from statistics import median

import orjson
from rich.markup import escape
from rich.table import Table

from tests.benchmarks import growing, hot, large_group, store_load
from tests.benchmarks.load import ITEM_BYTES, Measures
from tests.benchmarks.processes import ServerFailed, answered, running
from tests.benchmarks.tables import cell, print_logs
from tests.benchmarks.targets import TARGETS, Servers

AT_ONCE = f"{store_load.IN_FLIGHT} in flight"

ROUND_SECONDS = 60.0
"""How long one round of single items may take."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything."""

    rounds: int
    turn_seconds: float = 1.0
    """Of incrementing a hot item."""
    calls: int = 2000
    """Of one kind in one turn, where NATS syncs now and then."""
    synced_calls: int = 500
    """Where it syncs always."""
    group_items: int = 100_000
    group_rounds: int = 2
    writers: int = 200
    writing_seconds: float = 20.0


QUICK = Scale(1, 0.5, 300, 100, 5_000, 1, 20, 2.0)


@dataclass(frozen=True, slots=True)
class Goal:
    """What our own number should be, or its ratio to the one beside it."""

    text: str
    least: float = -inf
    most: float = inf
    is_of_ratio: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line: our measure, the one beside it, and their ratio, round by round."""

    label: str
    ours: str
    form: str
    beside: str = ""
    ratio: str = ".2f"
    goal: Goal | None = None


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    beside: str
    """What stands beside it."""
    rows: list[Row]


def calls(label: str, kind: str, beside: str, *, ratio: str, goal: Goal | None = None) -> list[Row]:
    """How many a second, and what each costs."""
    ours, theirs = f"{kind}/streams", f"{kind}/{beside}"
    return [
        Row(f"{label} per second", f"{ours}/per_second", ",.0f", f"{theirs}/per_second", ratio, goal),
        Row("  client CPU µs of each", f"{ours}/cpu_us", ",.0f", f"{theirs}/cpu_us"),
        Row("  NATS CPU µs of each", f"{ours}/nats_cpu_us", ",.0f", f"{theirs}/nats_cpu_us"),
    ]


def hot_item(shape: str, who: str, goal: Goal | None = None) -> Section:
    ours, theirs = f"hot/{shape}/streams", f"hot/{shape}/naive"
    rows = [
        *calls("increments", f"hot/{shape}", "naive", ratio=",.1f", goal=goal),
        Row("  stored writes of each", f"{ours}/stored", ".2f", f"{theirs}/stored"),
        Row("  longest wait ms", f"{ours}/longest_ms", ",.0f"),
        Row("  slowest process, of the mean", f"{ours}/fewest", ".0%"),
    ]
    return Section(f"one hot item, {who}", "loop of get and update", rows)


def single_items(server: str, syncs: str) -> Section:
    share = Goal("≥ 60 %", least=0.6, is_of_ratio=True)
    kinds = [("new", "new items"), ("own", "items written before"), ("others", "others' items")]
    rows = [
        row
        for kind, label in kinds
        for row in calls(label, f"{server}/{kind}", "plain", ratio=".0%", goal=share)
    ]
    return Section(f"set with old value, {AT_ONCE}, {ITEM_BYTES} B, NATS syncs {syncs}", "kv.put", rows)


SECTIONS = [
    hot_item("1x64", "1 process × 64 callers", Goal("≥ 20 ×", least=20, is_of_ratio=True)),
    hot_item("32x1", "32 processes × 1 caller", Goal("≥ 600", least=600)),
    hot_item("8x8", "8 processes × 8 callers"),
    single_items("default", "every 2 min"),
    single_items("always", "always"),
    Section(f"get, {AT_ONCE}, {ITEM_BYTES} B", "kv.get", calls("items", "default/get", "plain", ratio=".0%")),
    Section(
        f"one large group, items of {large_group.ITEM_BYTES} B",
        "kv.watch, kv.keys",
        [
            Row("items", "group/items", ",.0f"),
            Row("written per second", "group/write/per_second", ",.0f"),
            Row("get_group s", "group/read/seconds", ".2f", "group/kv-read/seconds"),
            Row("  client CPU s", "group/read/cpu_seconds", ".2f", "group/kv-read/cpu_seconds"),
            Row("  memory MB, at most", "group/read/peak_mb", ",.0f", "group/kv-read/peak_mb"),
            Row("list_groups s", "group/list/seconds", ".2f", "group/kv-list/seconds"),
            Row("join → sync s, cold", "group/join/cold_s", ".2f"),
            Row("join → sync s, warm", "group/join/warm_s", ".3f"),
            Row("  MB of the sync", "group/join/sync_mb", ".1f"),
            Row("change → client ms, p50", "group/join/change_ms", ".2f"),
            Row("delete → client ms, p50", "group/join/delete_ms", ".2f"),
            Row("gateway memory MB (PSS)", "group/gateway_mb", ",.0f"),
        ],
    ),
    Section(
        f"growing texts, {growing.APPENDS_PER_SECOND} appends of {growing.FRAGMENT_LENGTH} B a second each",
        "",
        [
            Row("writers", "growing/writers", ",.0f"),
            Row("KB of a whole answer", "growing/answer_kb", ".0f"),
            Row("appends per second", "growing/per_second", ",.0f"),
            Row("  behind schedule ms, p99", "growing/late_p99_ms", ".1f"),
            Row("  process stopped ms, longest", "growing/stopped_ms", ".0f"),
            Row("append → client ms, p50", "growing/p50_ms", ".2f"),
            Row("append → client ms, p99", "growing/p99_ms", ".1f", goal=Goal("≤ 100", most=100)),
            Row("  longest", "growing/longest_ms", ".1f"),
            Row("stored writes per answer", "growing/stored", ".1f", goal=Goal("≤ 60", most=60)),
            Row("KB stored per answer", "growing/stored_kb", ".0f", goal=Goal("≤ 400", most=400)),
            Row("KB sent per answer, client", "growing/wire_kb", ".0f", goal=Goal("≤ 400", most=400)),
            Row("writer CPU µs per append", "growing/cpu_us", ".0f"),
            Row("gateway CPU µs per append", "growing/gateway_cpu_us", ".0f"),
            Row("NATS CPU µs per append", "growing/nats_cpu_us", ".0f"),
        ],
    ),
]

FAULTS = [
    ("wrong counts, items and texts", "wrong"),
    ("drafts lost", "lost"),
    ("drafts too late or too early", "unusable"),
    ("stored writes nobody saw", "unseen"),
]
"""What fails the run when it is not zero: words for it, and the measure's last name."""


def run(rounds: int, *, is_quick: bool) -> tuple[Table, bool]:
    """The table, and whether all of it worked and nothing was wrong in it."""
    measured: defaultdict[str, list[float]] = defaultdict(list)
    reasons: list[str] = []
    scale = QUICK if is_quick else Scale(rounds)
    for name, part in PARTS.items():
        print(f"store: {name}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="streams-benchmark-") as directory:
            try:
                for measures in part(Path(directory), scale):
                    for key, value in measures.items():
                        measured[key].append(value)
            except ServerFailed as failure:
                reasons.append(f"{name} failed: {failure}")
                print_logs(Path(directory))
    is_right = all(sum(of_fault(measured, name)) == 0 for _, name in FAULTS)
    return table(measured, reasons), is_right and not reasons


def _hot(directory: Path, scale: Scale) -> Iterator[Measures]:
    with nats(directory) as servers, hot.counting(servers, directory) as worker:
        for number in range(scale.rounds):
            yield named("hot", hot.one_round(worker, servers, number, scale.turn_seconds))


def _single(directory: Path, scale: Scale) -> Iterator[Measures]:
    with nats(directory) as default, nats(directory, "always") as always:
        for number in range(scale.rounds):
            for name, servers, calls_ in (
                ("default", default, scale.calls),
                ("always", always, scale.synced_calls),
            ):
                is_reading = name == "default"
                task = store_load.Task(servers.nats_url, servers.broker_pids, number, calls_, is_reading)
                order = orjson.dumps(asdict(task)).decode()
                yield named(name, answered("single", ["store_load", order], directory, ROUND_SECONDS))


def _group(directory: Path, scale: Scale) -> Iterator[Measures]:
    with nats(directory) as servers:
        rounds = min(scale.rounds, scale.group_rounds)
        for measures in large_group.rounds(servers, directory, scale.group_items, rounds):
            yield named("group", measures)


def _growing(directory: Path, scale: Scale) -> Iterator[Measures]:
    with TARGETS["streams"].running(directory) as servers:
        yield named("growing", growing.measure(servers, directory, scale.writers, scale.writing_seconds))


PARTS: dict[str, Callable[[Path, Scale], Iterator[Measures]]] = {
    "hot items": _hot,
    "single items": _single,
    "a large group": _group,
    "growing texts": _growing,
}


@contextmanager
def nats(directory: Path, *options: str) -> Iterator[Servers]:
    """A NATS server without a gateway."""
    name = "-".join(["nats", *options])
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.streams_server",
        "nats",
        str(directory / name),
        *options,
    ]
    with running(name, command, directory) as server:
        yield Servers(0, [], [server.pid], server.wait_for_ready())


def named(prefix: str, measures: Measures) -> Measures:
    return {f"{prefix}/{key}": value for key, value in measures.items()}


def table(measured: dict[str, list[float]], reasons: list[str]) -> Table:
    shown = Table(
        title="The store", caption="median \\[min–max] over the rounds; ✗: we lose", caption_justify="left"
    )
    shown.add_column("")
    for name in ("streams", "beside it", "ratio", "goal"):
        shown.add_column(name, justify="right", no_wrap=True)
    for reason in reasons:
        shown.add_row(escape(reason), end_section=True)
    for section in SECTIONS:
        shown.add_row(f"[bold]{section.title}[/bold]", "", section.beside)
        for row in section.rows:
            ours, theirs = measured.get(row.ours, []), measured.get(row.beside, [])
            ratios = [a / b for a, b in zip(ours, theirs, strict=False) if b]
            cells = (cell(ours, row.form), cell(theirs, row.form), cell(ratios, row.ratio))
            verdict = "" if row.goal is None else judged(row.goal, ratios if row.goal.is_of_ratio else ours)
            shown.add_row(f"  {row.label}", *cells, verdict, end_section=row is section.rows[-1])
    shown.add_row("[bold]what should be zero[/bold]")
    for label, name in FAULTS:
        shown.add_row(f"  {label}", f"{sum(of_fault(measured, name)):,.0f}")
    shown.add_row("  updates that gave up", f"{sum(of_fault(measured, 'failed')):,.0f}")
    return shown


def judged(goal: Goal, values: list[float]) -> str:
    if not values:
        return goal.text
    return f"{goal.text} {'✓' if goal.least <= median(values) <= goal.most else '✗'}"


def of_fault(measured: dict[str, list[float]], name: str) -> list[float]:
    return [value for key, values in measured.items() if key.rpartition("/")[2] == name for value in values]
