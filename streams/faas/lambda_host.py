"""Runs requests in one execution environment of AWS Lambda.

Routes, their event loop and the line to NATS live as long as the
environment, which Lambda freezes between two requests. The loop has a thread
of its own: so a handler that blocks it cannot keep us from answering before
Lambda ends the environment, and the loop hears at once what happened while
it was frozen.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import random
import threading
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from starlette.types import ASGIApp

from streams.answers import FAULT, Answer, answer_to
from streams.auth.configuration import verifier
from streams.auth.rules import OwnRules
from streams.discovery import Application
from streams.errors import ServerNotUsable, StoreUnavailable
from streams.faas.asgi import routes
from streams.faas.hosting import connected_app
from streams.faas.lambda_events import Call
from streams.faas.lambda_settings import LambdaSettings
from streams.jetstream.connection import connected_to

log = logging.getLogger(__name__)

T = TypeVar("T")

MARGIN_SECONDS = 0.5
"""So long before Lambda would end the environment, whoever waits is told that it takes too long."""

START_SECONDS = 4.0
"""How long a start waits for NATS. Lambda gives all of it ten; the next request tries again."""

_TIMEOUT = Answer(
    504, "FUNCTION_TIMEOUT", "the function's time is over; what the step wrote until then is written"
)


class Context(Protocol):
    """What we read of Lambda's own context of a call."""

    def get_remaining_time_in_millis(self) -> int: ...


class LambdaHost:
    """Lambda's handler for one application: `host(event, context)`."""

    def __init__(self, application: Application, settings: LambdaSettings) -> None:
        """Make the routes, and connect to NATS.

        Raises:
            DiscoveryFailed: Names every step that cannot become a route.
            ServerNotUsable: NATS refuses the credentials, is too old, or has no JetStream or no TLS.
            CredentialsNotUsable, DefinitionRefused: The settings cannot work.
        """
        self._application, self._settings = application, settings
        self._routes = routes(application, title=settings.title)
        self._session: _Session | None = None
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="streams", daemon=True).start()
        self.start()

    def __call__(self, event: object, context: Context) -> dict[str, Any]:
        """Answer one HTTP request, in time.

        Raises:
            EventNotTaken: The event is no HTTP request.
        """
        call = Call(event, context)
        seconds = context.get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS
        work = self._on_loop(self._answered(call, seconds))
        # Not `result(seconds)`: what is raised inside may be a TimeoutError, too.
        if not concurrent.futures.wait([work], timeout=max(0.0, seconds)).done:
            work.cancel()
            log.error("no answer after %.1f s; told the caller so", seconds)
            return call.refusal(_TIMEOUT)
        try:
            return work.result()
        except concurrent.futures.CancelledError:
            log.error("the step ended as if somebody had cancelled it")
            return call.refusal(FAULT)

    def start(self) -> None:
        """Connect to NATS. Where it is away, the next request will try again.

        Raises: as `__init__`.
        """
        # After a restore, two environments would draw the same numbers.
        random.seed()
        try:
            self._on_loop(self._app(START_SECONDS)).result(START_SECONDS + 1)
        except ServerNotUsable:
            raise
        except (StoreUnavailable, TimeoutError) as error:
            log.error("started without NATS: %s", str(error) or "it does not answer")

    def stop(self) -> None:
        """End what must not be in a snapshot: the line to NATS, and who this process is among its writers."""
        self._on_loop(self._end()).result(START_SECONDS)

    async def _answered(self, call: Call, seconds: float) -> dict[str, Any]:
        try:
            # Of a short time, some must be left to say that NATS is away.
            app = await self._app(min(START_SECONDS, seconds / 2))
        except StoreUnavailable as error:
            log.error("%s", error)
            return call.refusal(answer_to(error))
        return await call.run(app)

    async def _app(self, seconds: float) -> ASGIApp:
        if self._session is None or self._session.has_ended:
            self._session = _Session(self._routes, self._application, self._settings)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(self._session.app)
        except TimeoutError:
            raise StoreUnavailable("NATS does not answer") from None

    async def _end(self) -> None:
        if self._session is not None:
            await self._session.end()
            self._session = None

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)


class _Session:
    """What routes run on, from a start to its end."""

    def __init__(self, steps: ASGIApp, application: Application, settings: LambdaSettings) -> None:
        self.app: asyncio.Future[ASGIApp] = asyncio.get_running_loop().create_future()
        """Done when there is a line to NATS, or it is clear that there will be none."""
        # Nobody may be waiting any more when it fails.
        self.app.add_done_callback(lambda app: app.exception())
        self._end = asyncio.Event()
        # One task from beginning to end, as the blocks in it need.
        self._task = asyncio.create_task(self._live(steps, application, settings), name="lambda: session")

    @property
    def has_ended(self) -> bool:
        return self._task.done()

    async def end(self) -> None:
        self._end.set()
        await asyncio.wait([self._task])

    async def _live(self, steps: ASGIApp, application: Application, settings: LambdaSettings) -> None:
        try:
            async with (
                connected_to(
                    settings.nats_url, name="streams lambda", credentials=settings.credentials
                ) as connection,
                verifier(settings.tokens, is_dev=False) as checks,
                OwnRules.running(application.streams, application.auth) as rules,
            ):
                self.app.set_result(connected_app(steps, connection, settings.namespace, checks, rules))
                await self._end.wait()
        except Exception as error:
            if self.app.done():
                log.exception("the line to NATS ended; the next request makes a new one")
            else:
                self.app.set_exception(error)
