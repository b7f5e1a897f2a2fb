"""What `streams gateway --workers N` serves: clients by its workers, and whoever runs it by itself."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, TypeVar

import orjson
import typer

from streams.cli.gateway_options import GatewayOptions
from streams.cli.listening import log_to_standard_error
from streams.cli.running import CommandRefused, until_done
from streams.cli.serving_clients import say_ready
from streams.cli.shared_port import shared_port
from streams.cli.workers import Workers, WorkersEnded
from streams.gateway.metrics import CONTENT_TYPE
from streams.gateway.server import (
    DRAIN_SECONDS,
    App,
    Receive,
    Scope,
    Send,
    answer,
    http_config,
    serving,
    stop_requested,
)

T = TypeVar("T")


def serve_with_workers(
    options: GatewayOptions,
    count: int,
    internal: Callable[[], AbstractContextManager[socket.socket | None]],
) -> None:
    """Serve clients by so many processes, and whoever runs them on the `internal` socket, if there is one.

    Raises:
        CommandRefused: An address cannot be listened on, or no worker stays.
    """
    with internal() as metrics, shared_port(options.host, options.port) as port:
        try:
            until_done(_serve(replace(options, port=port), count, metrics))
        except WorkersEnded as error:
            if error.is_first and error.status > 0:
                # It has said why, once for all.
                raise typer.Exit(error.status) from None
            raise CommandRefused(str(error)) from error


async def _serve(options: GatewayOptions, count: int, metrics: socket.socket | None) -> None:
    log_to_standard_error()
    stopped = stop_requested()
    async with Workers.running(options, count) as workers:
        if await _unless(stopped, workers.until_ready(1)) is None:
            return
        # Not before one of them is: whoever asks how it is asks whether there is somebody.
        config = http_config(internal_of(workers), drain_seconds=DRAIN_SECONDS)
        async with nullcontext() if metrics is None else serving(config, [metrics]):
            known = await _unless(stopped, workers.until_ready(count))
            if known is not None:
                address = f"{options.host}:{options.port}"
                say_ready(address, metrics, f"{count} workers, each with {known}")
            await stopped.wait()
            # Inside: it tells of the end, too.
            await workers.end()


async def _unless(stopped: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What comes of the work; None: it was stopped before."""
    waits = [asyncio.ensure_future(work), asyncio.ensure_future(stopped.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        return waits[0].result() if waits[0].done() else None
    finally:
        for each in waits:
            each.cancel()


def internal_of(workers: Workers) -> App:
    """`/metrics`, `/healthz`, and `/readyz` with its reasons, of all workers together."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"]:
            case "/metrics":
                text = workers.numbers.text(await workers.count_up())
                await answer(send, 200, text, CONTENT_TYPE)
            case "/healthz":
                # A worker that hangs is found and killed by this process: nobody else needs to.
                await answer(send, 200, b"ok\n")
            case "/readyz":
                told = await _readiness(workers)
                await answer(send, 200 if told["ready"] else 503, orjson.dumps(told), "application/json")
            case _:
                await answer(send, 404, b"nothing here; there are /metrics, /healthz and /readyz\n")

    return app


async def _readiness(workers: Workers) -> dict[str, Any]:
    told = {pid: orjson.loads(each.body) for pid, each in (await workers.ask("/readyz")).items()}
    ready = sum(each["ready"] for each in told.values())
    reasons = sorted({reason for each in told.values() for reason in each["reasons"]})
    return {
        "ready": ready > 0,
        # With one that is ready, there are none why clients should not come.
        "reasons": [] if ready else reasons or ["no worker answers"],
        "workers": f"{ready} of {workers.count} are ready",
        "each": [{"pid": pid, **each} for pid, each in told.items()],
    }
