"""What `streams gateway` serves."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

from streams.auth.origins import Origins
from streams.auth.rules import OwnRules
from streams.auth.tokens import Verifier
from streams.cli.listening import log_to_standard_error
from streams.cli.printing import counted, print_note
from streams.discovery import Application
from streams.gateway.metrics import telling
from streams.gateway.server import listening, stop_requested
from streams.gateway.service import gateway
from streams.jetstream.connection import Connection
from streams.keys import Namespace

DRAIN_SECONDS = 10
"""How long requests and sockets may take to end."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """What a gateway is told."""

    namespace: Namespace
    application: Application | None
    """Whose rules it knows; None: nobody's."""
    verifier: AbstractAsyncContextManager[Verifier]
    has_keys: bool
    """Whether there is anything to check tokens with."""
    origins: Origins
    recheck_seconds: float | None
    drain_delay_seconds: float
    """How long it says that it is not ready, before it ends."""


async def serve_gateway(
    settings: GatewaySettings,
    connection: Connection,
    sock: socket.socket,
    metrics: socket.socket | None,
) -> None:
    """Serve clients on `sock`, and whoever runs it on `metrics`, until SIGINT or SIGTERM.

    Who was refused, and why, is in the log, which is standard error.

    Raises:
        BucketNotUsable: The namespace is not provisioned.
    """
    log_to_standard_error()
    stopped = stop_requested()
    application = settings.application
    streams, auth = ((), None) if application is None else (application.streams, application.auth)
    async with (
        settings.verifier as verifier,
        OwnRules.running(streams, auth) as rules,
        gateway(
            connection, settings.namespace, verifier, rules, recheck_seconds=settings.recheck_seconds
        ) as hub,
        # Around the other: it tells of the end, too.
        nullcontext() if metrics is None else telling(hub, metrics),
        listening(hub, sock, origins=settings.origins, drain_seconds=DRAIN_SECONDS),
    ):
        told = "" if metrics is None else f"metrics at http://{_address(metrics)}/metrics; "
        print_note(f"gateway at ws://{_address(sock)}; {told}{_who(settings)}; Ctrl-C ends it")
        await stopped.wait()
        hub.is_leaving = True
        await asyncio.sleep(settings.drain_delay_seconds)


def _address(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"{host}:{port}"


def _who(settings: GatewaySettings) -> str:
    streams = () if settings.application is None else settings.application.streams
    guarded = sum(stream.can_access is not None for stream in streams)
    known = f"rules of {counted(guarded, 'stream')}"
    return known if settings.has_keys else f"{known}, and no keys: every client is anonymous"
