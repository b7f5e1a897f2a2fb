"""What commands serve over HTTP."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from typing import Any

import uvicorn
from starlette.middleware.cors import CORSMiddleware

from streams.auth.operator import Operator
from streams.auth.origins import Origins
from streams.cli.printing import counted, print_note
from streams.gateway.guard import GuardedHttp
from streams.gateway.server import serving, stop_requested
from streams.jetstream.connection import Connection
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.resources.app import EXPOSED_HEADERS, resources_app
from streams.stream import Stream

DRAIN_SECONDS = 5
"""How long requests under way may take when it ends."""


class Access:
    """Who may ask for items, and from which pages.

    Raises:
        DefinitionRefused: The token is too short, or an origin is none.
    """

    def __init__(self, operator_token: str, origins: Iterable[str]) -> None:
        self.operator, self.origins = Operator(operator_token), Origins(origins)


async def serve_items(
    streams: Sequence[Stream[Any]],
    connection: Connection,
    namespace: Namespace,
    sock: socket.socket,
    access: Access,
) -> None:
    """Serve until SIGINT or SIGTERM."""
    store, feed = KvStore(connection, namespace), JetStreamFeed(connection, namespace)
    served = CORSMiddleware(
        resources_app(streams, store, feed, operator=access.operator),
        allow_origin_regex=access.origins.pattern,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
    )
    config = uvicorn.Config(
        served,
        http=GuardedHttp,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    stopped = stop_requested()
    async with serving(config, [sock]):
        host, port = sock.getsockname()[:2]
        print_note(f"{counted(len(streams), 'stream')} at http://{host}:{port}/streams; Ctrl-C ends it")
        await stopped.wait()
