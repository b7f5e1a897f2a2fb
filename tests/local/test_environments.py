"""Execution environments: how many there are, how they rest, and how they end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from local.aws_lambda import InvokeRefused, Lambda
from tests.local.written import COUNTER, SECONDS, state_of, written

REPOSITORY = Path(__file__).parents[2]

MEETING = """
import os, time

def handler(event, context):
    # Comes back when as many as are expected are here at once.
    open(os.path.join(event["room"], str(os.getpid())), "w").close()
    while len(os.listdir(event["room"])) < event["expected"]:
        time.sleep(0.005)
    return os.getpid()
"""


async def test_calls_at_the_same_time_are_handled_by_as_many_processes(tmp_path):
    root = written(tmp_path / "task", MEETING)
    (room := tmp_path / "room").mkdir()
    event = {"room": str(room), "expected": 2}

    async with Lambda.running(root, handler="app.handler", timeout=SECONDS) as function:
        one, other = await asyncio.gather(function.invoke(event), function.invoke(event))
        third = await function.invoke(event)
        processes = {environment.pid for environment in function.environments}

    assert {one.payload, other.payload} == processes
    assert len(processes) == 2
    assert third.payload in processes


async def test_a_call_that_finds_all_environments_busy_is_refused(tmp_path):
    root = written(tmp_path / "task", MEETING)
    (room := tmp_path / "room").mkdir()
    event = {"room": str(room), "expected": 2}

    async with (
        Lambda.running(root, handler="app.handler", timeout=SECONDS, max_environments=1) as function,
        asyncio.TaskGroup() as calls,
    ):
        first = calls.create_task(function.invoke(event))
        async with asyncio.timeout(SECONDS):
            while not list(room.iterdir()):
                await asyncio.sleep(0.005)
        with pytest.raises(InvokeRefused) as refused:
            await function.invoke(event)
        (room / "guest").touch()

    assert (refused.value.status, refused.value.code) == (429, "TooManyRequestsException")
    assert first.result().error is None


async def test_a_cancelled_call_ends_its_process(tmp_path):
    root = written(tmp_path / "task", MEETING)
    (room := tmp_path / "room").mkdir()

    async with Lambda.running(root, handler="app.handler", timeout=SECONDS, max_environments=1) as function:
        call = asyncio.ensure_future(function.invoke({"room": str(room), "expected": 2}))
        async with asyncio.timeout(SECONDS):
            while not list(room.iterdir()):
                await asyncio.sleep(0.005)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        left = function.environments
        next_one = await function.invoke({"room": str(room), "expected": 1})

    assert left == []
    assert next_one.is_cold


async def test_processes_stand_still_between_calls_when_asked_to(tmp_path):
    async with Lambda.running(written(tmp_path, COUNTER), handler="app.handler", freeze=True) as function:
        first = await function.invoke({})
        rests = state_of(first.payload["pid"])
        second = await function.invoke({})

    assert rests == "T"
    assert second.payload == {"pid": first.payload["pid"], "calls": 2}


async def test_a_process_frozen_by_hand_is_thawed_by_the_next_call(tmp_path):
    async with Lambda.running(written(tmp_path, COUNTER), handler="app.handler") as function:
        pid = (await function.invoke({})).payload["pid"]
        function.freeze()
        frozen = state_of(pid)
        answer = await function.invoke({})
        function.freeze()
        function.thaw()
        thawed = state_of(pid)

    assert frozen == "T"
    assert answer.payload == {"pid": pid, "calls": 2}
    assert thawed != "T"


async def test_a_process_that_died_between_calls_is_noticed(tmp_path):
    async with Lambda.running(written(tmp_path, COUNTER), handler="app.handler") as function:
        first = await function.invoke({})
        os.kill(first.payload["pid"], signal.SIGKILL)
        async with asyncio.timeout(SECONDS):
            while function.environments:
                await asyncio.sleep(0.005)
        second = await function.invoke({})

    assert second.payload["calls"] == 1
    assert second.is_cold


async def test_all_processes_and_what_they_started_have_ended_with_the_block(tmp_path):
    root = written(
        tmp_path,
        """
        import os, subprocess

        def handler(event, context):
            return [os.getpid(), subprocess.Popen(["sleep", "600"]).pid]
        """,
    )

    async with Lambda.running(root, handler="app.handler") as function:
        answer = await function.invoke({})
        function.freeze()

    function_pid, child_pid = answer.payload
    assert state_of(function_pid) == ""
    assert await _gone(child_pid)


async def test_a_killed_emulator_leaves_nothing_behind_not_even_a_frozen_process(tmp_path):
    written(tmp_path, COUNTER)
    program = f"""
import asyncio, pathlib
from local.aws_lambda import Lambda

async def main():
    root = pathlib.Path({str(tmp_path)!r})
    async with Lambda.running(root, handler="app.handler", freeze=True) as function:
        print((await function.invoke({{}})).payload["pid"], flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
    emulator = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE
    )
    assert emulator.stdout is not None
    async with asyncio.timeout(SECONDS):
        pid = int(await emulator.stdout.readline())
    frozen, folder = state_of(pid), temporary_folder_of(pid)
    was_there = is_folder(folder)
    emulator.kill()
    await emulator.wait()

    assert frozen == "T"
    assert await _gone(pid)
    assert was_there
    async with asyncio.timeout(SECONDS):
        while is_folder(folder):
            await asyncio.sleep(0.005)


def temporary_folder_of(pid: int) -> str:
    variables = Path(f"/proc/{pid}/environ").read_text().split("\0")
    (packages,) = (v.partition("=")[2] for v in variables if v.startswith("LAMBDA_RUNTIME_DIR="))
    return str(Path(packages).parent)


def is_folder(path: str) -> bool:
    return os.path.isdir(path)


async def _gone(pid: int) -> bool:
    async with asyncio.timeout(SECONDS):
        while state_of(pid):
            await asyncio.sleep(0.005)
    return True
