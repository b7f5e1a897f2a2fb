"""What the churn has found, as a table, and what of it is not as it must be."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.markup import escape
from rich.table import Table

from tests.benchmarks.churn_clients import ITEMS
from tests.benchmarks.tables import cell

COUNTED = ["connections", "rooms", "groups", "tasks", "subscriptions"]

STEADY = 0.03
"""By how much of itself the memory of the last minute may be above that of the first."""

CURVE = 60
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Scale:
    clients: int = 5_000
    groups: int = 500
    seconds: float = 600.0
    """How long they come and go."""
    per_second: float = 20.0
    """Clients that are replaced, and clients that change a group."""
    writes_per_second: float = 200.0
    window_seconds: float = 60.0
    """What "the first minute" and "the last minute" are. Before the first one, as long again goes by."""
    idle_seconds: float = 25.0
    """How long nothing happens but a ping of every client."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the gateway held at one moment."""

    at: float
    """Seconds since the churn began; 0 before."""
    memory_mb: float
    counts: dict[str, int]
    """By the names of `COUNTED`."""
    objects: dict[str, int] = field(default_factory=dict)
    """By type; only where there was time to look for them."""


@dataclass(slots=True)
class Found:
    """What was measured."""

    stages: dict[str, Sample]
    """`empty`; `warm`: one client in all groups; `plain` and `extended`: half of the clients, and all;
    `before`: each in a second group; `after` the churn; `gone`: all of them."""
    during: list[Sample]
    open_cpu_ms: float
    """Of one handshake and join."""
    idle_cpu_us: float
    """Of one connection and second."""
    cpu_share: float
    """Of one core, as is that of NATS."""
    nats_cpu_share: float
    done: dict[str, float]
    compared: dict[str, float]


def faults_of(found: Found, scale: Scale) -> Iterator[str]:
    """What is not as it must be, in words."""
    stages, compared = found.stages, found.compared
    for name in COUNTED:
        for one, other in (("before", "after"), ("empty", "gone")):
            if (before := stages[one].counts[name]) != (after := stages[other].counts[name]):
                yield f"{name}: {before} when {one}, {after} when {other}"
    if (there := stages["after"].counts["connections"]) != scale.clients:
        yield f"{there} connections of {scale.clients}"
    for name, meaning in (
        ("unlike", "clients that show something else than what was written"),
        ("wrong", "changes that do not fit what the client knew"),
        ("lost", "connections that the server ended"),
        ("refused", "joins that were refused, and may not be"),
    ):
        if compared[name]:
            yield f"{compared[name]:.0f} {meaning}"
    first, last = (statistics.median(each.memory_mb for each in part) for part in _windows(found, scale))
    if last > first * (1 + STEADY):
        yield f"memory grew from {first:.1f} MB to {last:.1f} MB"


def _windows(found: Found, scale: Scale) -> tuple[list[Sample], list[Sample]]:
    """The first minute after the warm-up, and the last one."""
    window = scale.window_seconds
    first = [sample for sample in found.during if window <= sample.at < 2 * window]
    return first, [sample for sample in found.during if sample.at >= scale.seconds - window]


def fill(shown: Table, found: Found, scale: Scale, faults: list[str]) -> None:
    stages, (first, last) = found.stages, _windows(found, scale)
    for name in ("", "empty", "before", "first minute", "last minute", "after", "all gone"):
        shown.add_column(name, justify="right" if name else "left", no_wrap=True)
    for name in COUNTED:
        empty, before, after, gone = (
            f"{stages[stage].counts[name]:,}" for stage in ("empty", "before", "after", "gone")
        )
        shown.add_row(name, empty, before, *(_range(part, name) for part in (first, last)), after, gone)
    for label, kind in (("timers", "TimerHandle"), ("Python objects", None)):
        numbers = (_objects(stages[stage], kind) for stage in ("empty", "before", "after", "gone"))
        empty, before, after, gone = (f"{number:,}" for number in numbers)
        shown.add_row(label, empty, before, "", "", after, gone)
    memory = [cell([each.memory_mb for each in part], ".1f") for part in (first, last)]
    empty, before, after, gone = (
        f"{stages[stage].memory_mb:.1f}" for stage in ("empty", "before", "after", "gone")
    )
    shown.add_row("memory MB (PSS)", empty, before, *memory, after, gone)
    verdict = [f"✗ {fault}" for fault in faults] or ["✓ nothing stayed behind, and every client was right"]
    shown.caption = escape("\n".join([*_figures(found, scale), *verdict]))


def _figures(found: Found, scale: Scale) -> Iterator[str]:
    stages, done = found.stages, found.done
    half = scale.clients / 2

    def kb(one: str, other: str, count: float) -> str:
        return f"{(stages[other].memory_mb - stages[one].memory_mb) * 1024 / count:.1f} KB"

    yield (
        f"memory of a connection with its token and one join: {kb('warm', 'plain', half)} plain, "
        f"{kb('plain', 'extended', half)} extended; of a second join: "
        f"{kb('extended', 'before', scale.clients)}; "
        f"of a group with {ITEMS} items: {kb('empty', 'warm', scale.groups)}"
    )
    yield (
        f"CPU of a handshake with one join: {found.open_cpu_ms:.2f} ms; of an idle connection with two "
        f"joins: {found.idle_cpu_us:.1f} µs/s"
    )
    yield (
        f"in {scale.seconds:,.0f} s: {done['came']:,.0f} clients replaced, {done['moved']:,.0f} moved to "
        f"another group, {done['writes']:,.0f} writes; gateway {found.cpu_share:.0%} of a core, NATS "
        f"{found.nats_cpu_share:.0%}"
    )
    grown = Counter(stages["after"].objects)
    grown.subtract(stages["before"].objects)
    most = ", ".join(f"{kind} {number:+,}" for kind, number in grown.most_common(4))
    yield f"objects, after the churn against before: {most}"
    yield (
        f"{found.compared['clients']:,.0f} clients compared in {found.compared['rooms']:,.0f} rooms: "
        f"{found.compared['unlike']:,.0f} unlike what was written"
    )
    curve, lowest, highest = _curve([sample.memory_mb for sample in found.during])
    yield f"memory over the time, from {lowest:.1f} to {highest:.1f} MB: {curve}"


def _objects(sample: Sample, kind: str | None) -> int:
    return sum(sample.objects.values()) if kind is None else sample.objects.get(kind, 0)


def _range(part: list[Sample], name: str) -> str:
    values = [sample.counts[name] for sample in part]
    lowest, highest = min(values), max(values)
    return f"{lowest:,}" if lowest == highest else f"{lowest:,}–{highest:,}"


def _curve(values: list[float]) -> tuple[str, float, float]:
    """A picture of at most `CURVE` characters, with the lowest and the highest of what it shows."""
    size = max(1, len(values) // CURVE)
    means = [statistics.fmean(values[start : start + size]) for start in range(0, len(values), size)]
    lowest, highest = min(means), max(means)
    scale = (len(BARS) - 1) / (highest - lowest or 1.0)
    return "".join(BARS[round((mean - lowest) * scale)] for mean in means), lowest, highest
