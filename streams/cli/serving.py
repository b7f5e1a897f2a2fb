"""What commands serve over HTTP."""

from __future__ import annotations

import socket
from collections.abc import Iterable

import uvicorn
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from streams.auth.callers import Callers
from streams.auth.configuration import TokenSettings, verifier
from streams.auth.operator import Operator
from streams.auth.origins import Origins
from streams.auth.rules import OwnRules
from streams.cli.listening import log_to_standard_error
from streams.cli.printing import counted, print_note
from streams.discovery import Application
from streams.gateway.guard import GuardedHttp
from streams.gateway.server import serving, stop_requested
from streams.jetstream.connection import Connection
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.resources.app import EXPOSED_HEADERS, resources_app

DRAIN_SECONDS = 5
"""How long requests under way may take when it ends."""


class Access:
    """Who may ask for items, and from which pages.

    Raises:
        DefinitionRefused: The operator's token is too short, an origin is none, or tokens cannot be
            checked as they are to be.
    """

    def __init__(self, operator_token: str, origins: Iterable[str], tokens: TokenSettings) -> None:
        self.operator, self.origins = Operator(operator_token), Origins(origins)
        self.verifier = verifier(tokens, is_dev=False)


async def serve_items(
    application: Application,
    connection: Connection,
    namespace: Namespace,
    sock: socket.socket,
    access: Access,
) -> None:
    """Serve until SIGINT or SIGTERM."""
    store, feed = KvStore(connection, namespace), JetStreamFeed(connection, namespace)
    log_to_standard_error()
    stopped = stop_requested()
    async with (
        access.verifier as verifier,
        OwnRules.running(application.streams, application.auth) as rules,
    ):
        items = resources_app(
            application.streams,
            store,
            feed,
            operator=access.operator,
            doorkeeper=Callers(verifier, rules, store, feed),
        )
        async with serving(_config(items, access.origins), [sock]):
            host, port = sock.getsockname()[:2]
            count = counted(len(application.streams), "stream")
            print_note(f"{count} at http://{host}:{port}/streams; Ctrl-C ends it")
            await stopped.wait()


def _config(items: ASGIApp, origins: Origins) -> uvicorn.Config:
    served = CORSMiddleware(
        items,
        allow_origin_regex=origins.pattern,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
    )
    return uvicorn.Config(
        served,
        http=GuardedHttp,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
