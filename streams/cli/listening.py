"""Where a service listens, and what it says of whom it refused."""

from __future__ import annotations

import logging
import socket
from typing import Annotated, TypeAlias

import typer

from streams.cli.running import CommandRefused

HostName: TypeAlias = Annotated[
    str, typer.Option(help="Address to listen on; 0.0.0.0 is every one of this machine.")
]


def listening_at(host: str, port: int, *, options: str = "--host or --port") -> socket.socket:
    """A socket that listens. `options` are what it is told by.

    Raises:
        CommandRefused: The address cannot be listened on.
    """
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise CommandRefused(
            f"{host}:{port} cannot be listened on ({error.strerror}); choose another {options}"
        ) from error


def log_to_standard_error() -> None:
    """One line for everything that an operator may want to know, and no address that may hold a token."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("httpx", "uvicorn", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
