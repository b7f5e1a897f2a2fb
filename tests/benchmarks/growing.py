"""Answers that grow while they are watched, as those of a language model do: many `stream.writer`s at once.

`python -m tests.benchmarks.growing TASK` is the process of the writers.
`growing_watch` is the one that watches; a gateway and NATS have their own.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import nats
import orjson
import uvloop

import streams
from streams.keys import Namespace
from tests.benchmarks.load import Measures, quantile
from tests.benchmarks.processes import ServerFailed, cpu_seconds, working
from tests.benchmarks.targets import STREAM, Servers

GROUPS = 10
APPENDS_PER_SECOND = 50
"""Of every writer."""

OVERTIME_SECONDS = 30.0
"""So much longer than planned may the writers, and the watcher, take."""

FRAGMENT_LENGTH = 10
TICK_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Task:
    """What the writers do. The watcher is told the same."""

    nats_url: str
    port: int
    """Of the gateway."""
    writers: int
    seconds: float
    zero_ns: int
    """What the fragments count from, by CLOCK_MONOTONIC."""


def group_of(number: int) -> str:
    return f"answers-{number % GROUPS}"


def fragment(zero_ns: int) -> str:
    """Ten characters that say when they were made: microseconds since `zero_ns`."""
    return f"{(time.monotonic_ns() - zero_ns) // 1000:09d} "


def measure(servers: Servers, directory: Path, writers: int, seconds: float) -> Measures:
    """Watch, write, and compare what was written, stored and seen."""
    task = Task(servers.nats_url, servers.port, writers, seconds, time.monotonic_ns())
    order = orjson.dumps(asdict(task)).decode()
    with working("watch", ["growing_watch", order], directory) as watch:
        watch.answer(OVERTIME_SECONDS)
        with working("write", ["growing", order], directory) as write:
            write.answer(OVERTIME_SECONDS)
            stored = asyncio.run(_stored(task))
            gateway_cpu, nats_cpu = cpu_seconds(servers.pids), cpu_seconds(servers.broker_pids)
            write.tell("go")
            written: dict[str, Any] = write.answer(seconds + OVERTIME_SECONDS)
            gateway_cpu = cpu_seconds(servers.pids) - gateway_cpu
            nats_cpu = cpu_seconds(servers.broker_pids) - nats_cpu
            stored = asyncio.run(_stored(task)) - stored
        watch.tell("stop")
        seen: dict[str, Any] = watch.answer(OVERTIME_SECONDS)
    appended = written["appended"]
    if not seen["drafts"]:
        raise ServerFailed(f"none of {appended} fragments was delivered")
    wrong = [id for id, text in written["appended_texts"].items() if written["stored_texts"].get(id) != text]
    unlike = [id for id, text in written["appended_texts"].items() if seen["texts"].get(id) != text]
    return {
        "writers": float(writers),
        "answer_kb": appended * FRAGMENT_LENGTH / writers / 1e3,
        "per_second": appended / written["seconds"],
        **{name: written[name] for name in ("late_p99_ms", "stopped_ms")},
        **{name: seen[name] for name in ("p50_ms", "p99_ms", "longest_ms", "unusable")},
        "lost": float(appended - seen["drafts"]),
        "stored": stored / writers,
        "unseen": float(stored - seen["writes"]),
        "stored_kb": seen["stored_bytes"] / writers / 1e3,
        "wire_kb": seen["wire_bytes"] / writers / 1e3,
        "cpu_us": written["cpu_seconds"] * 1e6 / appended,
        "gateway_cpu_us": gateway_cpu * 1e6 / appended,
        "nats_cpu_us": nats_cpu * 1e6 / appended,
        "wrong": float(len(wrong) + len(unlike)),
    }


async def _stored(task: Task) -> int:
    """How many writes the bucket has seen."""
    async with await nats.connect(task.nats_url) as client:
        info = await client.jetstream().stream_info(Namespace().bucket_stream(STREAM))
        return int(info.state.last_seq)


async def write(task: Task) -> dict[str, Any]:
    """Write all answers at once; then read them with a store of its own."""
    bench = streams.Stream(STREAM, dict)
    texts, late, stops = dict[str, list[str]](), list[float](), [0.0]

    async def answer(number: int, start: float) -> None:
        item_id = f"answer-{number}"
        parts = texts[item_id] = []
        async with bench.writer(group_of(number), item_id, {"id": item_id, "text": ""}) as writer:
            for turn in range(round(task.seconds * APPENDS_PER_SECOND)):
                due = start + (turn + number / task.writers) / APPENDS_PER_SECOND
                await asyncio.sleep(due - time.monotonic())
                late.append(time.monotonic() - due)
                parts.append(fragment(task.zero_ns))
                await writer.append("text", parts[-1])

    async def tick() -> None:
        # Tells a process that gets no time, or is busy, from appends that wait for NATS.
        while True:
            before = time.monotonic()
            await asyncio.sleep(TICK_SECONDS)
            stops.append(time.monotonic() - before - TICK_SECONDS)

    async with streams.connected(task.nats_url):
        ticking = asyncio.create_task(tick(), name="tick")
        print('"ready"', flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        cpu, began = time.process_time(), time.monotonic()
        async with asyncio.TaskGroup() as answers:
            for number in range(task.writers):
                answers.create_task(answer(number, began), name=f"answer {number}")
        cpu, seconds = time.process_time() - cpu, time.monotonic() - began
        ticking.cancel()
    async with streams.connected(task.nats_url):
        stored = {}
        for number in range(task.writers):
            item = await bench.get(group_of(number), f"answer-{number}")
            stored[f"answer-{number}"] = digest("" if item is None else item["text"])
    return {
        "appended": sum(map(len, texts.values())),
        "appended_texts": {item_id: digest("".join(parts)) for item_id, parts in texts.items()},
        "stored_texts": stored,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "late_p99_ms": quantile(sorted(late), 0.99) * 1e3,
        "stopped_ms": max(stops) * 1e3,
    }


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    print(orjson.dumps(uvloop.run(write(Task(**orjson.loads(sys.argv[1]))))).decode())
