"""A step that names a time-out is given up when it is over, and its caller is told so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.responses import StreamingResponse

from streams import StepConfig, http
from streams.discovery import Application
from streams.faas.asgi import functions_app
from streams.memory import MemoryStore
from streams.step import Step
from tests.browser import SECONDS


@asynccontextmanager
async def serving(handler: Callable[..., Any], seconds: float | None) -> AsyncIterator[httpx.AsyncClient]:
    config = StepConfig("Slow", [http("POST", "/slow")], timeout_seconds=seconds)
    app = functions_app(
        Application(Path(), (), (Step(config, handler, Path("slow_step.py")),)), MemoryStore()
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_a_coroutine_that_takes_too_long_is_cancelled_and_answered_with_504():
    ended = asyncio.Event()

    async def handler() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(handler, 0.05) as client:
        answer = await client.post("/slow")

        assert answer.status_code == 504
        assert answer.json() == {
            "error": "step Slow took longer than 0.05 s; what it wrote until then is written",
            "code": "STEP_TIMEOUT",
        }
        async with asyncio.timeout(SECONDS):
            await ended.wait()


async def test_what_a_cancelled_step_does_at_its_end_is_done_when_it_is_answered():
    done = []

    async def handler() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            done.append("the last write")

    async with serving(handler, 0.05) as client:
        assert (await client.post("/slow")).status_code == 504
        assert done == ["the last write"]


async def test_a_plain_function_that_takes_too_long_holds_nobody_up():
    released = threading.Event()

    def handler() -> str:
        assert released.wait(SECONDS)
        return "too late"

    async with serving(handler, 0.05) as client:
        try:
            async with asyncio.timeout(SECONDS):
                answer = await client.post("/slow")
        finally:
            released.set()

        assert answer.status_code == 504


async def test_a_step_that_is_in_time_answers_as_ever():
    async def handler() -> str:
        return "in time"

    async with serving(handler, SECONDS) as client:
        assert (await client.post("/slow")).json() == "in time"


async def test_what_a_step_raises_in_time_is_its_own():
    async def handler() -> None:
        raise TimeoutError("of somebody else")

    async with serving(handler, SECONDS) as client:
        with pytest.raises(TimeoutError, match="of somebody else"):
            await client.post("/slow")


async def test_an_answer_that_has_begun_is_not_cut_off():
    over = asyncio.Event()

    async def handler() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"begun "
            asyncio.get_running_loop().call_later(0.15, over.set)
            await over.wait()
            yield b"and ended"

        return StreamingResponse(parts())

    async with serving(handler, 0.1) as client:
        answer = await client.post("/slow")

        assert (answer.status_code, answer.text) == (200, "begun and ended")


async def test_without_a_time_out_a_step_takes_as_long_as_it_takes():
    waited = asyncio.Event()

    async def handler() -> str:
        asyncio.get_running_loop().call_later(0.1, waited.set)
        await waited.wait()
        return "done"

    async with serving(handler, None) as client:
        assert (await client.post("/slow")).json() == "done"
