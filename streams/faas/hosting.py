"""The steps of an application on one connection to NATS: what every host of functions runs."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from streams.auth.callers import Callers
from streams.auth.rules import Rules
from streams.discovery import Application
from streams.faas.asgi import on, routes
from streams.jetstream.connection import Connection
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace

if TYPE_CHECKING:
    # Only for its name: who has no tokens needs neither PyJWT nor cryptography.
    from streams.auth.tokens import Verifier

PAUSE_SECONDS = 0.25
"""After so long without a request, a process may have been frozen: the next one looks whether NATS is
still there, which takes a round trip. While requests come closer together, none of them does."""


def hosted_app(
    application: Application,
    connection: Connection,
    namespace: Namespace,
    verifier: Verifier,
    rules: Rules,
    *,
    title: str = "Streams",
) -> ASGIApp:
    """The steps of an application as one ASGI app.

    Raises:
        DiscoveryFailed: Names every step that cannot become a route.
    """
    return connected_app(routes(application, title=title), connection, namespace, verifier, rules)


def connected_app(
    steps: ASGIApp, connection: Connection, namespace: Namespace, verifier: Verifier, rules: Rules
) -> ASGIApp:
    """The same of routes that are made already (`streams.faas.asgi.routes`).

    Whoever hosts it may stop this process between two requests, for any
    time: the first one after a pause finds out whether its line to NATS
    outlived that, and none ends before its events are out.
    """
    store, feed = KvStore(connection, namespace), JetStreamFeed(connection, namespace)
    app = on(steps, store, Callers(verifier, rules, store, feed))
    pauses = _Pauses()
    looking = asyncio.Lock()

    async def hosted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        async with looking:
            # Of requests that come together, the first looks, and the others wait for what it finds.
            if pauses.is_over(PAUSE_SECONDS):
                await connection.revive()
                pauses.begin()
        try:
            await app(scope, receive, send)
        finally:
            await connection.confirm()
            pauses.begin()

    return hosted


class _Pauses:
    """How long nothing has been done. By two clocks: one that counts frozen time may be set back."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self._monotonic, self._wall = time.monotonic(), time.time()

    def is_over(self, seconds: float) -> bool:
        return max(time.monotonic() - self._monotonic, time.time() - self._wall) > seconds
