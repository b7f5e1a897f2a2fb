"""What `streams functions` serves."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from starlette.types import ASGIApp

from streams.auth.origins import Origins
from streams.auth.rules import OwnRules
from streams.auth.tokens import Verifier
from streams.cli.listening import log_to_standard_error
from streams.cli.printing import counted, print_note
from streams.cli.serving import behind, healthy
from streams.discovery import Application
from streams.errors import BucketNotUsable, StoreUnavailable, UnknownStream
from streams.faas.hosting import connected_app
from streams.gateway.server import http_config, serving, stop_requested
from streams.jetstream.connection import Connection
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.liveness import is_answering
from streams.keys import REVOKED_STREAM, Namespace
from streams.resources.cors import across

log = logging.getLogger(__name__)

DRAIN_SECONDS = 10
"""How long requests under way may take when it ends."""


@dataclass(frozen=True, slots=True)
class StepsSettings:
    """What a process that serves steps is told."""

    namespace: Namespace
    application: Application
    verifier: AbstractAsyncContextManager[Verifier]
    has_keys: bool
    """Whether there is anything to check tokens with."""
    origins: Origins
    proxies: tuple[str, ...]
    """Whose word on who calls counts."""


async def serve_steps(
    settings: StepsSettings, steps: ASGIApp, connection: Connection, sock: socket.socket
) -> None:
    """Serve until SIGINT or SIGTERM. Who was refused, and why, is in the log, which is standard error."""
    log_to_standard_error()
    stopped = stop_requested()
    application = settings.application

    async def not_ready() -> list[str]:
        return [] if await is_answering(connection) else ["NATS is away"]

    async with (
        settings.verifier as verifier,
        OwnRules.running(application.streams, application.auth) as rules,
    ):
        app = connected_app(steps, connection, settings.namespace, verifier, rules)
        served = behind(healthy(across(app, settings.origins), not_ready), settings.proxies)
        async with serving(http_config(served, drain_seconds=DRAIN_SECONDS), [sock]):
            host, port = sock.getsockname()[:2]
            print_note(f"{_what(settings)} at http://{host}:{port}; Ctrl-C ends it")
            await _say_what_is_not_provisioned(settings, connection)
            await stopped.wait()


def _what(settings: StepsSettings) -> str:
    count = counted(len(settings.application.steps), "step")
    return count if settings.has_keys else f"{count}, and no keys: every caller is anonymous,"


async def _say_what_is_not_provisioned(settings: StepsSettings, connection: Connection) -> None:
    # Steps that use none of these streams are served all the same, and provisioning may come yet.
    feed = JetStreamFeed(connection, settings.namespace)

    async def look(stream: str) -> None:
        try:
            await feed.is_guarded(stream)
        except UnknownStream:
            log.warning(
                "stream has no bucket; run `streams provision` with the admin's credentials stream=%s", stream
            )
        except (BucketNotUsable, StoreUnavailable) as error:
            log.warning("%s stream=%s", error, stream)

    names = [REVOKED_STREAM, *(stream.name for stream in settings.application.streams)]
    await asyncio.gather(*map(look, names))
