"""Many clients in one gateway, which come and go while everything is written to: does anything stay behind?

Every client has a token, and half of them speak the extended dialect. What
the gateway holds is counted before, during and after, by itself and by NATS.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Any

import orjson
from rich.markup import escape
from rich.table import Table

from tests.benchmarks.churn_load import Task
from tests.benchmarks.churn_server import (
    Gateway,
    Nats,
    allow_sockets,
    gateway_running,
    nats_running,
    read,
)
from tests.benchmarks.churn_table import Found, Sample, Scale, faults_of, fill
from tests.benchmarks.processes import ServerFailed, Worker, cpu_seconds, working
from tests.benchmarks.tables import print_logs

QUICK = Scale(clients=1_000, groups=100, seconds=20.0, window_seconds=4.0, idle_seconds=5.0)

SAMPLE_SECONDS = 2.0
SETTLE_SECONDS = 2.0
ORDER_SECONDS = 180.0
"""How long an order may take, beside the time that it asks for."""

LINGER_SECONDS = 40.0
"""How long groups may stay when everybody is gone. They linger for ten."""

SCRAPE_SECONDS = 15.0
"""How often Prometheus asks."""


def run(rounds: int, *, is_quick: bool) -> tuple[Table, bool]:
    """The table, and whether what must be flat was, and every client right. It is done once."""
    scale = QUICK if is_quick else Scale()
    shown = Table(
        title=f"{scale.clients:,} clients that come and go, {scale.groups} groups", caption_justify="left"
    )
    with tempfile.TemporaryDirectory(prefix="streams-benchmark-") as folder:
        directory = Path(folder)
        try:
            allow_sockets(scale.clients + 500)
            found = _measured(scale, directory)
        except ServerFailed as failure:
            print_logs(directory)
            shown.add_row(escape(f"failed: {failure}"))
            return shown, False
    faults = list(faults_of(found, scale))
    fill(shown, found, scale, faults)
    return shown, not faults


def _measured(scale: Scale, directory: Path) -> Found:
    with (
        nats_running(directory) as nats,
        gateway_running("gateway", nats, directory) as gateway,
        working("load", _load(nats, gateway, scale), directory) as load,
    ):
        stages: dict[str, Sample] = {}

        def order(what: str, **details: Any) -> dict[str, float]:
            print(f"churn: {what}", file=sys.stderr, flush=True)
            load.tell({"do": what, **details})
            done: dict[str, float] = load.answer(ORDER_SECONDS)
            return done

        def stage(name: str) -> None:
            time.sleep(SETTLE_SECONDS)
            stages[name] = _sample(gateway, nats, are_objects_counted=True)

        load.answer(ORDER_SECONDS)
        order("fill")
        stage("empty")
        order("warm")
        stage("warm")
        half = scale.clients // 2
        cpu = cpu_seconds([gateway.pid])
        order("open", first=0, count=half, is_extended=False)
        open_cpu = (cpu_seconds([gateway.pid]) - cpu) / half
        stage("plain")
        order("open", first=half, count=scale.clients - half, is_extended=True)
        stage("extended")
        order("leave", numbers=[-1])
        order("spread")
        stage("before")
        idle_cpu = cpu_seconds([gateway.pid])
        time.sleep(scale.idle_seconds)
        idle_cpu = cpu_seconds([gateway.pid]) - idle_cpu
        cpu, nats_cpu = cpu_seconds([gateway.pid]), cpu_seconds([nats.pid])
        during, done = _churned(scale, gateway, nats, load)
        cpu, nats_cpu = cpu_seconds([gateway.pid]) - cpu, cpu_seconds([nats.pid]) - nats_cpu
        compared = order("compare")
        stage("after")
        order("leave")
        _wait_until_left(gateway)
        stage("gone")
    return Found(
        stages,
        during,
        open_cpu * 1e3,
        idle_cpu * 1e6 / scale.idle_seconds / scale.clients,
        cpu / scale.seconds,
        nats_cpu / scale.seconds,
        done,
        compared,
    )


def _load(nats: Nats, gateway: Gateway, scale: Scale) -> list[str]:
    return ["churn_load", nats.url, orjson.dumps(asdict(Task(scale.groups, gateway.port))).decode()]


def _churned(
    scale: Scale, gateway: Gateway, nats: Nats, load: Worker
) -> tuple[list[Sample], dict[str, float]]:
    print(f"churn: {scale.seconds:.0f} s of it", file=sys.stderr, flush=True)
    asked = {name: getattr(scale, name) for name in ("seconds", "per_second", "writes_per_second")}
    load.tell({"do": "churn", **asked})
    during, began, scraped = list[Sample](), time.monotonic(), -inf
    while (at := time.monotonic() - began) < scale.seconds:
        during.append(_sample(gateway, nats, at))
        if at - scraped >= SCRAPE_SECONDS:
            scraped = at
            read(f"http://127.0.0.1:{gateway.metrics_port}/metrics")
        time.sleep(SAMPLE_SECONDS)
    return during, load.answer(ORDER_SECONDS)


def _sample(gateway: Gateway, nats: Nats, at: float = 0.0, *, are_objects_counted: bool = False) -> Sample:
    counts = gateway.counts() | {"subscriptions": nats.subscriptions(gateway.name)}
    return Sample(at, gateway.memory_mb(), counts, gateway.objects() if are_objects_counted else {})


def _wait_until_left(gateway: Gateway) -> None:
    """Until no group is followed any more, or it is too late for that."""
    until = time.monotonic() + LINGER_SECONDS
    while gateway.counts()["groups"] and time.monotonic() < until:
        time.sleep(0.5)
