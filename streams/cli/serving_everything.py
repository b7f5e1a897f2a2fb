"""What `streams serve` serves: everything on one port, beside a nats-server of its own.

nats-server is started again when it ends by itself: its data are its own,
and nothing else depends on this process. When that does not help, or
anything else fails, this process ends, and whoever started it (a container
engine, systemd) starts all of it anew: every write that was answered is on
the disk.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from streams.auth.callers import Callers
from streams.auth.operator import Operator
from streams.auth.origins import Origins
from streams.auth.rules import OwnRules, Rules
from streams.auth.tokens import Verifier
from streams.cli.listening import log_to_standard_error
from streams.cli.printing import counted, print_note
from streams.cli.serving import behind, healthy
from streams.dev.nats_kept import kept_running
from streams.dev.nats_server import USER, Limits, embedded
from streams.dev.pages import Pages
from streams.dev.stopping import Stop
from streams.discovery import Application
from streams.faas.hosting import connected_app
from streams.gateway.server import listening
from streams.gateway.service import gateway
from streams.jetstream.connection import Connection, connected_to
from streams.jetstream.credentials import Credentials
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.jetstream.liveness import is_answering
from streams.jetstream.provisioning import provision_application
from streams.keys import Namespace
from streams.resources.app import beside, resources_app
from streams.resources.cors import across

log = logging.getLogger(__name__)

DRAIN_SECONDS = 5
"""How long requests and sockets may take when it ends. nats-server ends after them, and a container engine
waits for ten seconds in all."""

NATS_READY_SECONDS = 120.0
SHARE_OF_DISK = 0.9
"""What nats-server may fill of the disk that its data are on. It then refuses writes, and goes on."""


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What a process that serves everything is told."""

    namespace: Namespace
    application: Application
    data: Path
    """The folder of nats-server's data."""
    nats_server: Path | None
    """The program; None: the one that is installed."""
    verifier: AbstractAsyncContextManager[Verifier]
    has_keys: bool
    """Whether there is anything to check tokens with."""
    operator: Operator | None
    """Who may write items and list streams over HTTP; None: nobody."""
    origins: tuple[str, ...]
    """Of pages besides its own."""
    proxies: tuple[str, ...]
    """Whose word on who calls counts."""


def own_origins(sock: socket.socket) -> tuple[str, ...]:
    """The origins of pages that are served on this socket, as far as it can be known.

    Not whatever a request says in `Host`: a page of another site can have its
    own name point here (DNS rebinding).
    """
    host, port = sock.getsockname()[:2]
    names = ("127.0.0.1", "localhost") if host in ("0.0.0.0", "127.0.0.1") else (host,)
    return tuple(f"http://{name}:{port}" for name in names)


async def serve_everything(
    settings: ServeSettings, steps: ASGIApp, origins: Origins, sock: socket.socket
) -> None:
    """Serve until SIGINT or SIGTERM. Who was refused, and why, is in the log, which is standard error.

    Raises:
        DevFailed: nats-server does not start, or does not stay; or its data are in use.
    """
    log_to_standard_error()
    stop, application = Stop(), settings.application
    password = secrets.token_hex(32)
    credentials = Credentials(user=USER, password=password)
    limits = Limits(_share_of_disk(settings.data), is_synced=True, ready_seconds=NATS_READY_SECONDS)
    with stop.requested():
        async with (
            embedded(settings.data, limits=limits, password=password, binary=settings.nats_server) as nats,
            kept_running(nats),
            # Two: what clients are told waits for nothing that steps read or write, and the other way round.
            connected_to(nats.url, name="streams serve gateway", credentials=credentials) as telling,
            connected_to(nats.url, name="streams serve functions", credentials=credentials) as running,
            settings.verifier as verifier,
            OwnRules.running(application.streams, application.auth) as rules,
        ):
            await _provision(settings, running)
            app = _app(settings, steps, running, verifier, rules)
            async with gateway(telling, settings.namespace, verifier, rules) as hub:

                async def not_ready() -> list[str]:
                    return hub.not_ready() or ([] if await is_answering(running) else ["NATS is away"])

                served = behind(healthy(across(app, origins), not_ready), settings.proxies)
                async with listening(hub, sock, served, origins=origins, drain_seconds=DRAIN_SECONDS):
                    stop.in_order = True
                    with _told(settings.data / "nats.url", nats.url, password):
                        _say(settings, sock)
                        await stop.wait()


def _app(
    settings: ServeSettings, steps: ASGIApp, connection: Connection, verifier: Verifier, rules: Rules
) -> ASGIApp:
    namespace, application = settings.namespace, settings.application
    store, feed = KvStore(connection, namespace), JetStreamFeed(connection, namespace)
    items = resources_app(
        application.streams,
        store,
        feed,
        # With nobody in its place, everybody could write.
        operator=settings.operator or Operator(secrets.token_hex(32)),
        doorkeeper=Callers(verifier, rules, store, feed),
    )
    hosted = connected_app(steps, connection, namespace, verifier, rules)
    return _with_pages(Pages.of(application.folder), beside(items, hosted))


def _with_pages(pages: Pages, app: ASGIApp) -> ASGIApp:
    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        page = pages.answer(scope) if scope["type"] == "http" else None
        await (page or app)(scope, receive, send)

    return served


async def _provision(settings: ServeSettings, connection: Connection) -> None:
    async for done in provision_application(connection, settings.namespace, settings.application.streams):
        if done.outcome != "unchanged":
            log.info("bucket %s stream=%s bucket=%s", done.outcome, done.stream, done.bucket)


def _share_of_disk(data: Path) -> int:
    # Of all of it, not of what is free now: that gets less with the data themselves.
    there = next(folder for folder in (data, *data.absolute().parents) if folder.exists())
    return int(shutil.disk_usage(there).total * SHARE_OF_DISK)


@contextmanager
def _told(file: Path, url: str, password: str) -> Iterator[None]:
    """The address of NATS with its password, for whoever may read the file: `streams revoke` needs it."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as told:
        told.write(url.replace("//", f"//{USER}:{password}@") + "\n")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _say(settings: ServeSettings, sock: socket.socket) -> None:
    application = settings.application
    host, port = sock.getsockname()[:2]
    streams, steps = counted(len(application.streams), "stream"), counted(len(application.steps), "step")
    who = "" if settings.has_keys else ", and no keys: every client is anonymous,"
    print_note(f"{streams} and {steps}{who} at http://{host}:{port}; Ctrl-C ends it")
    pages = " and ".join((*own_origins(sock), *settings.origins))
    print_note(f"pages may talk to it from {pages}; any other address of theirs is named with --origin")
    print_note(
        f"data in {settings.data}; its nats-server is at STREAMS_NATS_URL=$(cat {settings.data / 'nats.url'})"
    )
