"""Everything in one place: what `streams dev` runs.

nats-server, gateway and page in this process and below it, the functions in
one of their own. Saving a file starts the functions anew; sockets stay open,
because the gateway does not depend on any application code: it asks the
functions for their rules, and asks again when they were started anew.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from watchfiles import PythonFilter, awatch
from watchfiles.main import FileChange

from streams.auth.configuration import ANONYMOUS_ONLY, TokenSettings, verifier
from streams.auth.development import SECRET_FILE, development_secret
from streams.auth.origins import Origins
from streams.auth.tokens import Verifier
from streams.dev.app import dev_app
from streams.dev.functions import Found, Functions, FunctionsBroken
from streams.dev.handover import Handover
from streams.dev.nats import DevNats, NatsChoice, chosen
from streams.dev.rules import AskedRules
from streams.dev.stopping import Stop
from streams.errors import DevFailed
from streams.gateway.hub import Hub
from streams.gateway.server import listening
from streams.gateway.service import gateway
from streams.jetstream.bucket import provision
from streams.jetstream.connection import Connection, connected_to
from streams.keys import REVOKED_STREAM, Namespace
from streams.tasks import background_tasks

log = logging.getLogger(__name__)

DEFAULT_PORT = 3000
PORTS_TRIED = 20
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class DevSettings:
    """What `streams dev` is told."""

    folder: Path
    """Where the streams and steps are."""
    nats: NatsChoice
    namespace: str = "streams"
    port: int | None = None
    """None: 3000, or the next one that is free."""
    origins: tuple[str, ...] = ()
    """Origins of pages on other machines that may talk to it, such as https://app.example.com."""
    tokens: TokenSettings = ANONYMOUS_ONLY
    """Without keys: those that `streams token` makes are accepted."""


@dataclass(frozen=True, slots=True)
class Running:
    """What runs where."""

    url: str
    nats: DevNats
    nats_version: str
    folder: Path
    takes_own_tokens: bool
    """Whether it takes what `streams token` makes; else whoever started it has keys of their own."""


async def run(
    settings: DevSettings, ready: Callable[[Running], None], loaded: Callable[[Found | FunctionsBroken], None]
) -> None:
    """Run until SIGINT or SIGTERM. Calls `ready` once, and `loaded` whenever the functions were started anew.

    Raises:
        DevFailed: It cannot start. The sentence says what to do.
        DefinitionRefused: An origin is none, or tokens cannot be checked as the settings say.
    """
    if not settings.folder.is_dir():
        raise DevFailed(
            f"there is no folder {str(settings.folder)!r}; name the one with your steps, "
            "or begin a project with `streams new hello`"
        )
    origins = Origins(settings.origins)
    settings.nats.check()
    _ignored_by_git(settings.nats.data.parent)
    tokens = _tokens(settings)
    checking, stop = verifier(tokens, is_dev=True), Stop()
    with stop.requested(), _bound(settings.port) as sock:
        url = f"http://{HOST}:{sock.getsockname()[1]}"
        async with (
            chosen(settings.nats) as nats,
            connected_to(
                nats.server.url, name="streams dev gateway", credentials=nats.server.credentials
            ) as connection,
            checking as checks,
            Functions.running(
                settings.folder, Handover(nats.server, tokens), settings.namespace
            ) as functions,
            _gateway(connection, Namespace(settings.namespace), checks, functions) as hub,
        ):
            stop.in_order = True
            ready(
                Running(url, nats, connection.server_version, settings.folder, tokens is not settings.tokens)
            )
            # Nobody is served before the first load: a tab that was open all
            # the time would join streams that are only now being provisioned.
            async with (
                _reloading(functions, hub, settings.folder, loaded),
                listening(
                    hub, sock, dev_app(functions, settings.folder, origins), origins=origins, drain_seconds=1
                ),
            ):
                await stop.wait()


def _tokens(settings: DevSettings) -> TokenSettings:
    """How tokens are checked: with the keys that were given, or else as `streams token` makes them."""
    if settings.tokens.has_keys:
        return settings.tokens
    # Not beside NATS's data, which may be anywhere: this must be where no one commits it.
    _ignored_by_git(SECRET_FILE.parent)
    return replace(settings.tokens, secret=development_secret())


@asynccontextmanager
async def _gateway(
    connection: Connection, namespace: Namespace, checks: Verifier, functions: Functions
) -> AsyncIterator[Hub]:
    # The functions provision this too, but not while they are broken, and there is no gateway without it.
    await provision(connection, namespace, REVOKED_STREAM, guarded=True)
    async with gateway(connection, namespace, checks, AskedRules(functions)) as hub:
        yield hub


@asynccontextmanager
async def _reloading(
    functions: Functions, hub: Hub, folder: Path, loaded: Callable[[Found | FunctionsBroken], None]
) -> AsyncIterator[None]:
    """Start the functions now, and anew whenever a Python file of the folder is saved.

    Entered when they were started once. Whenever they were, everybody is
    asked about again: the rules may be others.
    """
    saves = awatch(folder, watch_filter=PythonFilter(), debounce=200, step=20)
    async with background_tasks() as tasks:

        async def load() -> None:
            try:
                loaded(await functions.reload())
            except FunctionsBroken as error:
                loaded(error)
                return
            # Beside the next save: without NATS it takes until that is back.
            tasks.start(hub.guests.recheck_everybody(), name="dev: ask the rules again")

        first_save = tasks.start(_first(saves), name="dev: wait for a save")
        # The watcher stands as soon as that task has begun: what is saved
        # while the functions start is not overlooked.
        await asyncio.sleep(0)
        await load()

        async def reload_on_save() -> None:
            _say_saved(await first_save)
            await load()
            async for changes in saves:
                _say_saved(changes)
                await load()

        tasks.start(reload_on_save(), name="dev: reload on save")
        yield


async def _first(saves: AsyncIterator[set[FileChange]]) -> set[FileChange]:
    return await anext(saves)


def _say_saved(changes: set[FileChange]) -> None:
    log.info("saved: %s", ", ".join(sorted({Path(path).name for _, path in changes})))


def _bound(port: int | None) -> socket.socket:
    """A listening socket on the port that was asked for, or on the first free one from 3000."""
    if port is not None:
        try:
            return _listening_on(port)
        except OSError as error:
            raise DevFailed(
                f"port {port} cannot be used ({error.strerror}); "
                f"end what uses it, or choose another: --port {port + 1}"
            ) from error
    for candidate in range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED):
        try:
            return _listening_on(candidate)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
    raise DevFailed(
        f"ports {DEFAULT_PORT} to {DEFAULT_PORT + PORTS_TRIED - 1} are all in use; choose one: --port 8000"
    )


def _listening_on(port: int) -> socket.socket:
    return socket.create_server((HOST, port), backlog=1024)


def _ignored_by_git(folder: Path) -> None:
    """Make the folder for what is kept between runs, which is nobody's source."""
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
