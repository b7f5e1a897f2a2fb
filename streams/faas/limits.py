"""How long a step may take."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams.errors import StepTimedOut
from streams.step import StepConfig

log = logging.getLogger(__name__)

CLEAN_UP_SECONDS = 0.2
"""How long a step that was cancelled may take to end."""


def limited(app: ASGIApp, config: StepConfig) -> ASGIApp:
    """The app of one route, given up when its step's time is over and no answer has begun.

    A coroutine is cancelled. A plain function goes on in its thread, where
    nothing can end it; what it answers then is dropped.

    Calling it raises `StepTimedOut`.
    """
    seconds = config.timeout_seconds
    if seconds is None:
        return app

    async def in_time(scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer(send)
        # A task of its own, and no time-out around it: one would wait for the thread of a plain function.
        work = asyncio.ensure_future(app(scope, receive, answer.send))
        try:
            await asyncio.wait({work, answer.begun}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and not answer.begun.done():
                answer.is_dropped = True
                work.cancel()
                # What it does at its end is part of the request: afterwards this process may be frozen.
                await asyncio.wait({work}, timeout=CLEAN_UP_SECONDS)
                raise StepTimedOut(config.name, seconds)
            await work
        finally:
            if not work.done():
                work.cancel()
                _left.add(work)
                work.add_done_callback(_ended)

    return in_time


class _Answer:
    """What a step answers, until nobody waits for it any more."""

    def __init__(self, send: Send) -> None:
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_dropped = False
        self._send = send

    async def send(self, message: Message) -> None:
        if self.is_dropped:
            return
        if not self.begun.done():
            self.begun.set_result(None)
        await self._send(message)


_left = set[asyncio.Future[Any]]()
"""Work that was given up, while its thread goes on. The loop alone would not keep it."""


def _ended(work: asyncio.Future[Any]) -> None:
    _left.discard(work)
    if not work.cancelled() and (error := work.exception()) is not None:
        log.warning("a step failed after it was given up: %r", error)
