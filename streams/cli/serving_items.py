"""What `streams resources` serves."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from streams.auth.callers import Callers
from streams.auth.configuration import TokenSettings, verifier
from streams.auth.operator import Operator
from streams.auth.origins import Origins
from streams.auth.rules import OwnRules
from streams.cli.listening import log_to_standard_error
from streams.cli.printing import counted, print_note
from streams.discovery import Application
from streams.gateway.server import http_config, serving, stop_requested
from streams.jetstream.connection import Connection
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.resources.app import resources_app
from streams.resources.cors import across

DRAIN_SECONDS = 5
"""How long requests under way may take when it ends."""


class Admitted:
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
    admitted: Admitted,
) -> None:
    """Serve until SIGINT or SIGTERM."""
    store, feed = KvStore(connection, namespace), JetStreamFeed(connection, namespace)
    log_to_standard_error()
    stopped = stop_requested()
    async with (
        admitted.verifier as verifier,
        OwnRules.running(application.streams, application.auth) as rules,
    ):
        items = resources_app(
            application.streams,
            store,
            feed,
            operator=admitted.operator,
            doorkeeper=Callers(verifier, rules, store, feed),
        )
        served = across(items, admitted.origins)
        async with serving(http_config(served, drain_seconds=DRAIN_SECONDS), [sock]):
            host, port = sock.getsockname()[:2]
            count = counted(len(application.streams), "stream")
            print_note(f"{count} at http://{host}:{port}/streams; Ctrl-C ends it")
            await stopped.wait()
