"""What `streams gateway` serves, in one process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from streams.auth.configuration import verifier
from streams.auth.origins import Origins
from streams.auth.rules import OwnRules
from streams.auth.tokens import Verifier
from streams.cli.arguments import application_in
from streams.cli.gateway_options import GatewayOptions
from streams.cli.listening import listening_at, log_to_standard_error
from streams.cli.printing import counted, print_note
from streams.cli.running import inside
from streams.discovery import Application
from streams.gateway.hub import Hub
from streams.gateway.measures import Measures
from streams.gateway.metrics import telling
from streams.gateway.server import listening, stop_requested
from streams.gateway.service import collect_seldom, gateway
from streams.jetstream.connection import Connection, connected_to

DRAIN_SECONDS = 10
"""How long requests and sockets may take to end."""


class Runner(Protocol):
    """Whoever runs a gateway, and is told of it."""

    def told(self, hub: Hub) -> AbstractAsyncContextManager[None]:
        """Tells how it is, for the length of the block."""

    def ready(self, sock: socket.socket, known: str) -> None:
        """It takes clients on `sock`. `known` is what it knows of them, in words."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """What a gateway is told, with all that is made of it before NATS is asked."""

    options: GatewayOptions
    application: Application | None
    """Whose rules it knows; None: nobody's."""
    verifier: AbstractAsyncContextManager[Verifier]
    origins: Origins

    @classmethod
    def of(cls, options: GatewayOptions) -> GatewaySettings:
        """Loads the application.

        Raises:
            StreamsError: Something of it cannot be. The sentence says what.
        """
        return cls(
            options,
            None if options.folder is None else application_in(options.folder),
            verifier(options.tokens, is_dev=False),
            Origins(options.origins, is_local=False),
        )

    @property
    def known(self) -> str:
        """What a gateway with these knows of its clients, in words."""
        streams = () if self.application is None else self.application.streams
        guarded = sum(stream.can_access is not None for stream in streams)
        rules = f"rules of {counted(guarded, 'stream')}"
        return rules if self.options.tokens.has_keys else f"{rules}, and no keys: every client is anonymous"

    def connected(self) -> AbstractAsyncContextManager[Connection]:
        """A line to NATS, for the length of the block."""
        return connected_to(self.options.nats, name="streams gateway", credentials=self.options.credentials)


def serve_alone(
    options: GatewayOptions, internal: Callable[[], AbstractContextManager[socket.socket | None]]
) -> None:
    """Serve clients in this process, and whoever runs it on the `internal` socket, if there is one.

    Raises:
        StreamsError: It cannot begin. The sentence says why.
    """
    settings = GatewaySettings.of(options)
    with internal() as metrics, listening_at(options.host, options.port) as sock:
        inside(
            settings.connected(),
            lambda connection: serve_gateway(settings, connection, sock, _Person(metrics)),
        )


async def serve_gateway(
    settings: GatewaySettings, connection: Connection, sock: socket.socket, runner: Runner
) -> None:
    """Serve clients on `sock` until SIGINT or SIGTERM.

    Who was refused, and why, is in the log, which is standard error.

    Raises:
        BucketNotUsable: The namespace is not provisioned.
    """
    log_to_standard_error()
    stopped = stop_requested()
    options, application, measures = settings.options, settings.application, Measures()
    streams, auth = ((), None) if application is None else (application.streams, application.auth)
    async with (
        settings.verifier as verifier,
        OwnRules.running(streams, auth, took=measures.hook.observe) as rules,
        gateway(
            connection,
            options.namespace,
            verifier,
            rules,
            recheck_seconds=options.recheck_seconds,
            stall_seconds=options.stall_seconds,
            unread_bytes=options.unread_bytes,
            cache_bytes=options.cache_bytes,
            grace_seconds=options.grace_seconds,
            measures=measures,
        ) as hub,
        # Around the other: it tells of the end, too.
        runner.told(hub),
        listening(hub, sock, origins=settings.origins, drain_seconds=DRAIN_SECONDS),
    ):
        collect_seldom()
        runner.ready(sock, settings.known)
        await stopped.wait()
        hub.is_leaving = True
        await asyncio.sleep(options.drain_delay_seconds)


@dataclass(frozen=True, slots=True)
class _Person:
    """Who typed the command, and asks on a socket, if there is one."""

    metrics: socket.socket | None

    def told(self, hub: Hub) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self.metrics is None else telling(hub, self.metrics)

    def ready(self, sock: socket.socket, known: str) -> None:
        say_ready(address_of(sock), self.metrics, known)


def say_ready(address: str, metrics: socket.socket | None, known: str) -> None:
    """Say where a gateway is, to who typed the command."""
    told = "" if metrics is None else f"metrics at http://{address_of(metrics)}/metrics; "
    print_note(f"gateway at ws://{address}; {told}{known}; Ctrl-C ends it")


def address_of(sock: socket.socket) -> str:
    """Where it is bound, as `HOST:PORT`."""
    host, port = sock.getsockname()[:2]
    return f"{host}:{port}"
