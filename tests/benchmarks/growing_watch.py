"""The process that watches answers grow: one socket per group. Told to stop, it says what they got.

While it is measured it only keeps what it reads. Then it plays the frames to
a client that does what `streams.writer` says a client does with a draft.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
import uvloop

from tests.benchmarks.clients import RecordingSocket, Tally
from tests.benchmarks.growing import FRAGMENT_LENGTH, GROUPS, Task, digest, group_of
from tests.benchmarks.load import quantile

QUIET_SECONDS = 0.3
"""When nothing has come for so long, all has."""


@dataclass(slots=True)
class Answer:
    """One item as a client shows it."""

    text: str = ""
    revision: int = 0
    drafts: set[int] = field(default_factory=set)
    """Where those fragments begin that came as drafts."""
    unusable: int = 0
    """Drafts that were older than the item, or behind a gap; checkpoints that took back what was shown."""

    def checkpoint(self, revision: int, text: str) -> None:
        self.unusable += not text.startswith(self.text)
        self.revision, self.text = revision, text

    def draft(self, revision: int, at: int, text: str) -> None:
        self.drafts.add(at)
        # The texts are ASCII, so that what JavaScript counts is what Python counts.
        if revision < self.revision or at > len(self.text):
            self.unusable += 1
        elif at == len(self.text):
            self.text += text


async def watch(task: Task) -> dict[str, Any]:
    loop, sockets = asyncio.get_running_loop(), list[RecordingSocket]()
    for number in range(GROUPS):
        made = partial(RecordingSocket, group_of(number), Tally())
        _, socket = await loop.create_connection(made, "127.0.0.1", task.port)
        await socket.joined
        sockets.append(socket)
    print('"ready"', flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    before = -1
    while before != (before := sum(len(socket.reads) for socket in sockets)):
        await asyncio.sleep(QUIET_SECONDS)
    for socket in sockets:
        socket.transport.abort()
    return _seen(sockets, task.zero_ns)


def _seen(sockets: list[RecordingSocket], zero_ns: int) -> dict[str, Any]:
    answers: dict[str, Answer] = {}
    latencies: list[float] = []
    writes = stored_bytes = 0
    for socket in sockets:
        for read_ns, frame in socket.frames():
            message = orjson.loads(frame)
            answer = answers.setdefault(message["id"], Answer())
            event = message["event"]
            match event["type"]:
                case "create" | "update":
                    writes += 1
                    stored_bytes += len(orjson.dumps(event["data"]))
                    answer.checkpoint(message["rev"], event["data"]["text"])
                case "event":
                    draft = event["event"]["data"]
                    text = draft["text"]
                    for start in range(0, len(text), FRAGMENT_LENGTH):
                        made_us = int(text[start : start + FRAGMENT_LENGTH])
                        latencies.append((read_ns - zero_ns) / 1e6 - made_us / 1e3)
                    answer.draft(draft["rev"], draft["at"], text)
    latencies.sort()
    return {
        "drafts": sum(len(answer.drafts) for answer in answers.values()),
        "p50_ms": quantile(latencies, 0.5) if latencies else 0.0,
        "p99_ms": quantile(latencies, 0.99) if latencies else 0.0,
        "longest_ms": latencies[-1] if latencies else 0.0,
        "unusable": float(sum(answer.unusable for answer in answers.values())),
        "writes": writes,
        "stored_bytes": stored_bytes,
        "wire_bytes": sum(len(read) for socket in sockets for _, read in socket.reads),
        "texts": {item_id: digest(answer.text) for item_id, answer in answers.items()},
    }


if __name__ == "__main__":
    print(orjson.dumps(uvloop.run(watch(Task(**orjson.loads(sys.argv[1]))))).decode())
