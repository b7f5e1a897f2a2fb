"""Several processes that count the same item: every increment counts once."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from streams import Stream, bound_to
from streams.dev.nats_server import NatsServer
from streams.keys import Namespace
from tests.conftest import Backend

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 50.0

counter = Stream("todo", dict)


async def counted(
    nats: NatsServer, namespace: Namespace, *, processes: int, callers: int, times: int
) -> list[list[int]]:
    """What the callers of each process replaced."""
    arguments = [nats.url, namespace.name, str(callers), str(times)]
    async with AsyncExitStack() as ended, asyncio.timeout(SECONDS):
        running = []
        for _ in range(processes):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.store.jetstream.counting", *arguments,
                cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            ended.callback(lambda process=process: process.returncode is None and process.kill())
            running.append(process)
        for process in running:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        outputs = await asyncio.gather(*(process.communicate(b"go\n") for process in running))
    return [json.loads(out) for out, _ in outputs]


@pytest.mark.parametrize(("processes", "callers", "times"), [(4, 8, 20), (8, 1, 20)])
async def test_increments_from_several_processes_count_once_each(
    jetstream: Backend, nats: NatsServer, namespace: Namespace, processes: int, callers: int, times: int
):
    replaced = await counted(nats, namespace, processes=processes, callers=callers, times=times)

    with bound_to(jetstream.store):
        found = await counter.get("inbox", "1")
    total = processes * callers * times
    assert found == {"id": "1", "n": total}
    assert sorted(old for of_one in replaced for old in of_one) == list(range(total))
