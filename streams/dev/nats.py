"""Which NATS `streams dev` uses: one of its own, one in a container, or any other."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from streams.dev.nats_container import contained
from streams.dev.nats_kept import kept_running
from streams.dev.nats_server import embedded
from streams.errors import DevFailed
from streams.jetstream.credentials import NOBODY, Credentials, Server, is_address, printable, server_at

log = logging.getLogger(__name__)

EMBEDDED, CONTAINER = "embedded", "container"


@dataclass(frozen=True, slots=True)
class NatsChoice:
    """What `streams dev` is told of NATS."""

    data: Path
    """The folder of the embedded server's data; which volume a container's are in follows from it."""
    at: str = EMBEDDED
    """`embedded`, `container`, or the address of a server."""
    credentials: Credentials = NOBODY
    """For the server of an address. Those of our own let in everyone on this machine."""
    image: str | None = None
    """Of the container. None: the official one."""

    def check(self) -> None:
        """Refuse what cannot be, before anything is started.

        Raises:
            DevFailed: `at` is none of the three.
        """
        if self.at in (EMBEDDED, CONTAINER):
            return
        # A word alone could be a host; more likely it is one of ours, mistyped.
        if ":" not in self.at or not is_address(server_at(self.at).url):
            raise DevFailed(
                f"--nats {printable(self.at)!r} is not one of {EMBEDDED}, {CONTAINER}, "
                "or the address of a server: nats://HOST:PORT"
            )


@dataclass(frozen=True, slots=True)
class DevNats:
    """The NATS that is used."""

    server: Server
    data: Path | None = None
    """Where it keeps its data, if it is the embedded one."""
    container: str | None = None
    """The name of its container, and of the volume with its data, if it is in one."""


@asynccontextmanager
async def chosen(choice: NatsChoice) -> AsyncIterator[DevNats]:
    """The NATS of a choice, running for the length of the block where it is ours.

    Raises:
        DevFailed: It cannot be started. The sentence says what to do.
    """
    if choice.at not in (EMBEDDED, CONTAINER):
        yield DevNats(server_at(choice.at, choice.credentials))
        return
    if choice.credentials != NOBODY:
        log.info("the credentials for NATS are not used: this one lets in everyone on this machine")
    if choice.at == CONTAINER:
        async with contained(choice.data, choice.image) as container:
            yield DevNats(server_at(container.url), container=container.name)
        return
    async with embedded(choice.data) as nats, kept_running(nats):
        yield DevNats(server_at(nats.url), data=choice.data)
