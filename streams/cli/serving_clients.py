"""What `streams gateway` serves."""

from __future__ import annotations

import socket
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from streams.access import StreamAuth
from streams.auth.origins import Origins
from streams.auth.rules import OwnRules
from streams.auth.tokens import Verifier
from streams.cli.listening import log_to_standard_error
from streams.cli.printing import counted, print_note
from streams.gateway.server import listening, stop_requested
from streams.gateway.service import gateway
from streams.jetstream.connection import Connection
from streams.keys import Namespace
from streams.stream import Stream

DRAIN_SECONDS = 10
"""How long requests and sockets may take to end."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """What a gateway is told."""

    namespace: Namespace
    streams: tuple[Stream[Any], ...]
    """Those whose rules it knows."""
    auth: StreamAuth | None
    verifier: AbstractAsyncContextManager[Verifier]
    has_keys: bool
    """Whether there is anything to check tokens with."""
    origins: Origins
    recheck_seconds: float | None


async def serve_gateway(settings: GatewaySettings, connection: Connection, sock: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM. Who was refused, and why, is in the log, which is standard error.

    Raises:
        BucketNotUsable: The namespace is not provisioned.
    """
    log_to_standard_error()
    stopped = stop_requested()
    async with (
        settings.verifier as verifier,
        OwnRules.running(settings.streams, settings.auth) as rules,
        gateway(
            connection, settings.namespace, verifier, rules, recheck_seconds=settings.recheck_seconds
        ) as hub,
        listening(hub, sock, origins=settings.origins, drain_seconds=DRAIN_SECONDS),
    ):
        host, port = sock.getsockname()[:2]
        print_note(f"gateway at ws://{host}:{port}; {_who(settings)}; Ctrl-C ends it")
        await stopped.wait()


def _who(settings: GatewaySettings) -> str:
    guarded = sum(stream.can_access is not None for stream in settings.streams)
    known = f"rules of {counted(guarded, 'stream')}"
    return known if settings.has_keys else f"{known}, and no keys: every client is anonymous"
