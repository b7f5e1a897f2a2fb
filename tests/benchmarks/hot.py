"""One item that everybody increments, beside the loop of `get` and `update` that nats-py offers for it.

All processes start before the first turn, and do every turn, ours and naive
ones alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import nats
import orjson
from nats.js import JetStreamContext
from nats.js.kv import KeyValue

from streams.jetstream.bucket import provision
from streams.jetstream.connection import connected_to
from streams.keys import Namespace
from tests.benchmarks.counting import BUCKET, GROUP, Counted, Kind, Turn
from tests.benchmarks.load import Measures
from tests.benchmarks.processes import ServerFailed, Worker, cpu_seconds, working
from tests.benchmarks.targets import STREAM, Servers

ANSWER_SECONDS = 30.0
"""How long the processes may take to start, and a turn over its time."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Who increments at once."""

    name: str
    processes: int
    callers: int
    """Per process."""


SHAPES = [Shape("1x64", 1, 64), Shape("32x1", 32, 1), Shape("8x8", 8, 8)]


@contextmanager
def counting(servers: Servers, directory: Path) -> Iterator[Worker]:
    """Processes that are ready to count."""
    asyncio.run(_prepare(servers.nats_url))
    most = max(shape.processes for shape in SHAPES)
    with working("counting", ["counting", servers.nats_url, str(most)], directory) as worker:
        worker.answer(ANSWER_SECONDS)
        yield worker


def one_round(worker: Worker, servers: Servers, number: int, seconds: float) -> Measures:
    """Every shape once, ours and the naive loop by turns. Keys are `shape/kind/measure`."""
    measures: Measures = {}
    kinds: list[Kind] = ["streams", "naive"]
    for shape in SHAPES:
        for kind in kinds if number % 2 == 0 else reversed(kinds):
            turn = Turn(kind, f"{shape.name}-{number}", shape.processes, shape.callers, seconds)
            done = _one_turn(worker, servers, turn)
            measures |= {f"{shape.name}/{kind}/{name}": value for name, value in done.items()}
    return measures


def _one_turn(worker: Worker, servers: Servers, turn: Turn) -> Measures:
    stored = asyncio.run(_begun(servers.nats_url, turn))
    nats_cpu = cpu_seconds(servers.broker_pids)
    worker.tell(asdict(turn))
    seconds, answers = worker.answer(turn.seconds + ANSWER_SECONDS)
    counted = [Counted(**answer) for answer in answers]
    nats_cpu = cpu_seconds(servers.broker_pids) - nats_cpu
    newest, count = asyncio.run(_ended(servers.nats_url, turn))
    increments = sum(one.increments for one in counted)
    if not increments:
        raise ServerFailed(f"nobody could increment {turn.item} in {turn.seconds} s ({turn.kind})")
    return {
        "per_second": increments / seconds,
        "cpu_us": sum(one.cpu_seconds for one in counted) * 1e6 / increments,
        "nats_cpu_us": nats_cpu * 1e6 / increments,
        "stored": (newest - stored) / increments,
        "longest_ms": max(one.longest_ms for one in counted),
        "fewest": min(one.increments for one in counted) * len(counted) / increments,
        "failed": float(sum(one.failed for one in counted)),
        "wrong": float(abs(count - increments)),
    }


async def _prepare(url: str) -> None:
    async with connected_to(url) as connection:
        await provision(connection, Namespace(), STREAM)
    async with await nats.connect(url) as client:
        await plain_bucket(client.jetstream())


async def plain_bucket(jetstream: JetStreamContext) -> KeyValue:
    # Direct reads are not the default, and the fastest that nats-py can do.
    return await jetstream.create_key_value(bucket=BUCKET, history=1, direct=True)


async def _begun(url: str, turn: Turn) -> int:
    """How many writes the bucket has seen. What the naive loop counts is put there first."""
    async with await nats.connect(url) as client:
        jetstream = client.jetstream()
        if turn.kind == "naive":
            kv = await jetstream.key_value(BUCKET)
            return await kv.create(f"{GROUP}.{turn.item}", orjson.dumps({"n": 0}))
        return (await jetstream.stream_info(f"KV_{_bucket(turn)}")).state.last_seq


async def _ended(url: str, turn: Turn) -> tuple[int, int]:
    """How many writes the bucket has seen by now, and what the item says."""
    async with await nats.connect(url) as client:
        jetstream = client.jetstream()
        entry = await (await jetstream.key_value(_bucket(turn))).get(f"{GROUP}.{turn.item}")
        info = await jetstream.stream_info(f"KV_{_bucket(turn)}")
        return info.state.last_seq, orjson.loads(entry.value or b"")["n"]


def _bucket(turn: Turn) -> str:
    return BUCKET if turn.kind == "naive" else Namespace().bucket(STREAM)
