"""Steps on one connection to NATS: what every host of functions runs."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from streams.auth.callers import Callers
from streams.auth.rules import Rules
from streams.faas.asgi import on
from streams.jetstream.connection import Connection
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace

if TYPE_CHECKING:
    # Only for its name: who has no tokens needs neither PyJWT nor cryptography.
    from streams.auth.tokens import Verifier

PAUSE_SECONDS = 0.25
"""When no request was under way for so long, this process may have been frozen: the next one looks whether
NATS is still there, which takes a round trip. Where requests come closer together, none of them does."""


def connected_app(
    steps: ASGIApp, connection: Connection, namespace: Namespace, verifier: Verifier, rules: Rules
) -> ASGIApp:
    """Routes (`streams.faas.asgi.routes`) on one connection to NATS.

    Whoever hosts it may stop this process between two requests, for any
    time: the first one after a pause finds out whether its line to NATS
    outlived that, and none ends before its events are out.
    """
    store, feed = KvStore(connection, namespace), JetStreamFeed(connection, namespace)
    app = on(steps, store, Callers(verifier, rules, store, feed))
    pauses, looking = _Pauses(), asyncio.Lock()

    async def hosted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        async with looking:
            # Of requests that come together, the first looks, and the others wait for what it finds.
            if pauses.is_over(PAUSE_SECONDS):
                await connection.revive()
            pauses.end()
        try:
            try:
                await app(scope, receive, send)
            finally:
                await connection.confirm()
        finally:
            # Also where that was cancelled: a request that never ends would be the end of all pauses.
            pauses.begin()

    return hosted


class _Pauses:
    """For how long no request has been under way.

    By two clocks: one that counts frozen time may be set back.
    """

    def __init__(self) -> None:
        self._under_way = 0
        self._since = time.monotonic(), time.time()

    def end(self) -> None:
        """A request begins."""
        self._under_way += 1

    def begin(self) -> None:
        """A request ends. A pause begins with the end of the last one."""
        self._under_way -= 1
        self._since = time.monotonic(), time.time()

    def is_over(self, seconds: float) -> bool:
        monotonic, wall = self._since
        lasted = max(time.monotonic() - monotonic, time.time() - wall)
        return not self._under_way and lasted > seconds
