"""One execution environment, in this process: what lives as long as it, and what ends with a snapshot."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from streams import StepConfig, Stream, http
from streams.auth.configuration import ANONYMOUS_ONLY
from streams.dev.nats_server import NatsServer
from streams.discovery import Application
from streams.faas.lambda_host import LambdaHost
from streams.faas.lambda_settings import LambdaSettings
from streams.jetstream.credentials import NOBODY
from streams.keys import Namespace
from streams.step import Step
from streams.store import bound_store
from tests.faas.test_lambda_events import http_api

todo = Stream("todo", dict)


class Time:
    """Lambda's word on how much is left."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends_at - time.monotonic()) * 1000)


@contextmanager
def hosting(handler: Callable[..., Any], url: str, namespace: Namespace) -> Iterator[LambdaHost]:
    config = StepConfig("Step", [http("POST", "/todo")])
    application = Application(Path(), (todo,), (Step(config, handler, Path("a_step.py")),))
    settings = LambdaSettings(url, namespace, NOBODY, ANONYMOUS_ONLY, "test")
    host = LambdaHost(application, settings)
    try:
        yield host
    finally:
        host.stop()
        loop = host._loop
        loop.call_soon_threadsafe(loop.stop)
        while loop.is_running():
            time.sleep(0.001)
        loop.close()


def called(host: LambdaHost, seconds: float = 30) -> tuple[int, Any]:
    answer = host(http_api(body="{}"), Time(seconds))
    return answer["statusCode"], json.loads(answer["body"])


async def writer() -> str:
    """Who this process is among the writers of an item."""
    await todo.set("g", "1", {"by": "me"})
    store: Any = bound_store()
    process: str = store._writing._process
    return process


async def test_what_is_restored_from_a_snapshot_is_another_writer_on_another_line(
    nats: NatsServer, provisioned: Namespace
):
    def run() -> list[tuple[int, Any]]:
        with hosting(writer, nats.url, provisioned) as host:
            before = [called(host), called(host)]
            host.stop()
            host.start()
            return [*before, called(host)]

    first, again, restored = await asyncio.to_thread(run)

    assert first == again
    assert restored[0] == 200
    assert restored != first


async def test_two_that_are_restored_draw_other_numbers(nats: NatsServer, provisioned: Namespace):
    async def handler() -> float:
        return random.random()

    def restored() -> Any:
        with hosting(handler, nats.url, provisioned) as host:
            host.stop()
            # As it was in the snapshot.
            random.seed(1)
            host.start()
            return called(host)

    assert await asyncio.to_thread(restored) != await asyncio.to_thread(restored)


@pytest.mark.parametrize("seconds", [3, 5])
async def test_without_nats_a_request_with_little_time_is_told_so_and_not_that_its_step_took_too_long(
    own_nats: NatsServer, seconds: float
):
    async def handler() -> None: ...

    await own_nats.stop()

    def run() -> tuple[int, Any]:
        with hosting(handler, own_nats.url, Namespace("n")) as host:
            return called(host, seconds)

    status, said = await asyncio.to_thread(run)

    assert (status, said["code"]) == (503, "STORE_UNAVAILABLE")


async def test_a_step_that_ends_as_if_it_were_cancelled_is_answered_with_500(
    nats: NatsServer, provisioned: Namespace
):
    async def handler() -> None:
        raise asyncio.CancelledError

    def run() -> tuple[int, Any]:
        with hosting(handler, nats.url, provisioned) as host:
            return called(host)

    assert await asyncio.to_thread(run) == (500, {"error": "Internal Server Error", "code": "INTERNAL_ERROR"})
