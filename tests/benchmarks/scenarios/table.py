"""The gateway's results as tables: every target beside the others, and our goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from rich.table import Table

from tests.benchmarks.goals import GATEWAY, OURS
from tests.benchmarks.load import Measures
from tests.benchmarks.scenarios.joins import COLD_ITEMS, WARM_ITEMS
from tests.benchmarks.tables import tall_cell


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    measure: str
    form: str = ",.0f"
    """How its number is printed. `yes`: it is 1 for yes, 0 for no."""


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    scenario: str
    rows: list[Row]


CLIENT = Row("load client, cores busy", "client_cores", ".2f")
CPU = [
    Row("server CPU µs per delivered", "cpu_us", ".1f"),
    Row("  of it broker", "broker_cpu_us", ".1f"),
]
LATENCY = [Row("p50 ms", "p50_ms", ".2f"), Row("p99 ms", "p99_ms", ".2f")]
FAN_OUT = [
    Row("updates per second, reached", "writes_per_second"),
    Row("delivered per second", "delivered_per_second"),
    *CPU,
    Row("delivered per read of a client", "delivered_per_read", ".1f"),
    Row("frames per write to a socket, its own count", "frames_per_write", ".1f"),
    CLIENT,
]
JOINS = [
    Row("joins per second", "per_second"),
    Row("joins per server-CPU-second", "per_cpu_second"),
    Row("a join took ms, p50", "took_p50_ms", ".1f"),
    Row("items in its state", "items"),
    CLIENT,
]
SECTIONS = [
    Section("write → client, 1 socket", "latency-1", LATENCY),
    Section("write → client, 100 sockets", "latency-100", LATENCY),
    *(Section(f"fan-out, {rate:,} updates/s", f"paced-{rate}", FAN_OUT) for rate in (10, 100, 1000)),
    Section(
        "fan-out, as fast as it goes",
        "fan-out",
        [
            *FAN_OUT[:-1],
            Row("delivered per server-CPU-second", "delivered_per_cpu_second"),
            Row("server memory MB (PSS)", "memory_mb"),
            CLIENT,
        ],
    ),
    Section(f"warm joins, {WARM_ITEMS} items", "joins-warm", JOINS),
    Section(f"warm joins, {WARM_ITEMS} items, HS256 token", "joins-token", JOINS),
    Section(f"cold joins, {COLD_ITEMS} items per group", "joins-cold", JOINS),
    Section(
        "mixed load, 2 groups per client",
        "mixed",
        [
            Row("clients", "clients"),
            Row("sockets", "sockets"),
            Row("delivered per second", "delivered_per_second"),
            Row("reconnects per second", "reconnects_per_second", ".1f"),
            Row("  back with its state after ms, p50", "back_ms", ".1f"),
            *CPU,
            *LATENCY,
            Row("wrong: lost, twice, out of order, cut off", "wrong"),
            Row("skipped for a newer value", "skipped"),
            CLIENT,
        ],
    ),
    Section(
        "idle sockets, one join each",
        "idle",
        [
            Row("sockets", "sockets"),
            Row("server memory KB of each (PSS)", "memory_kb", ".1f"),
            Row("server CPU µs per second of each", "cpu_us", ".1f"),
            Row("  seconds between pings", "ping_seconds", ".0f"),
            Row("server CPU ms per second, nobody there", "nobody_ms", ".1f"),
        ],
    ),
    Section(
        "slow reader, items of 2 KB",
        "slow-reader",
        [
            Row("writes", "writes"),
            Row("writes per second", "writes_per_second"),
            Row("  until the server was stuck", "stuck", "yes"),
            Row("server memory MB before", "before_mb"),
            Row("  more, at its peak", "peak_mb"),
            Row("  more, after all was read", "after_mb"),
            Row("the one that reads got", "healthy_share", ".1%"),
            Row("  and has every newest value", "healthy_exact", "yes"),
            Row("changes conflated, its own count", "conflated"),
            Row("the one that stopped was cut off", "stalled_closed", "yes"),
            Row("  read again: MB", "stalled_mb", ",.1f"),
            Row("  read again: changes", "stalled_frames"),
            Row("  and has every newest value", "stalled_exact", "yes"),
        ],
    ),
]

FAULTS = [
    ("changes to deliver", "frames"),
    ("lost: the newest value never came", "lost"),
    ("skipped: only a newer one came", "skipped"),
    ("twice or out of order", "extra"),
]


def measured_table(targets: Sequence[str], measured: Mapping[str, list[Measures]]) -> Table:
    """`measured`: per target, what came of each run of its servers."""
    shown = Table(caption="median, and \\[min–max] where rounds differ", caption_justify="left")
    shown.add_column("", no_wrap=True)
    for name in targets:
        shown.add_column(name, justify="right")
    for section in SECTIONS:
        lines = [_line(row, section, targets, measured) for row in section.rows]
        lines = [line for line in lines if any(line[1:])]
        if lines:
            shown.add_row(f"[bold]{section.title}[/bold], {_rounds(section, measured)}")
        for line in lines:
            shown.add_row(*line, end_section=line is lines[-1])
    shown.add_row("[bold]all scenarios and rounds[/bold]")
    for label, measure in FAULTS:
        sums = (total(measured.get(name, []), measure) for name in targets)
        shown.add_row(f"  {label}", *(f"{count:,.0f}" for count in sums))
    return shown


def goals_table(measured: Mapping[str, list[Measures]]) -> list[Table]:
    """Each goal that something was measured for. No table where there is none."""
    shown = Table(title="Goals of the gateway", title_justify="left")
    for column in ("", "goal", "measured", ""):
        shown.add_column(column, justify="right" if column else "left", no_wrap=True)
    for goal in GATEWAY:
        if values := of(measured.get(OURS, []), goal.measure):
            cell = tall_cell(values, goal.form).replace("\n", " ")
            shown.add_row(
                goal.label, goal.text, cell, "met" if goal.is_met(values) else "[bold]missed[/bold]"
            )
    return [shown] if shown.row_count else []


def goals_met(measured: Mapping[str, list[Measures]]) -> list[dict[str, object]]:
    """The same, for other programs."""
    return [
        {"goal": goal.label, "is": goal.text, "measured": median(values), "met": goal.is_met(values)}
        for goal in GATEWAY
        if (values := of(measured.get(OURS, []), goal.measure))
    ]


def of(runs: Sequence[Measures], measure: str) -> list[float]:
    """Its values, round by round."""
    return [run[measure] for run in runs if measure in run]


def total(runs: Sequence[Measures], measure: str) -> float:
    return sum(value for run in runs for key, value in run.items() if key.endswith(f"/{measure}"))


def _rounds(section: Section, measured: Mapping[str, list[Measures]]) -> str:
    """In how many it was measured."""
    most = max(
        len(of(runs, f"{section.scenario}/{row.measure}"))
        for runs in measured.values()
        for row in section.rows
    )
    return "1 round" if most == 1 else f"{most} rounds"


def _line(
    row: Row, section: Section, targets: Sequence[str], measured: Mapping[str, list[Measures]]
) -> list[str]:
    found = (of(measured.get(name, []), f"{section.scenario}/{row.measure}") for name in targets)
    return [f"  {row.label}", *(tall_cell(values, row.form) if values else "" for values in found)]
