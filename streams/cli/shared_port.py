"""One port on which several processes listen: the system gives every new connection to one of them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from streams.cli.listening import listening_at
from streams.cli.running import CommandRefused


@contextmanager
def shared_port(host: str, port: int) -> Iterator[int]:
    """A port that workers can share, for the length of the block; 0 is any free one. Nothing listens yet.

    Raises:
        CommandRefused: Somebody listens there already, or ports cannot be shared on this system.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise CommandRefused("this system lets no processes share a port; use --workers 1")
    if port:
        # Whoever else shares its port would get a part of our clients, and not a word would be said.
        listening_at(host, port).close()
    # Held, so that the port is ours while no worker is there.
    with sharing(host, port) as held:
        yield held.getsockname()[1]


def sharing(host: str, port: int) -> socket.socket:
    """A socket at a port that others of ours are bound to as well.

    It does not listen: whoever comes would be given to a worker that is not ready for it.

    Raises:
        CommandRefused: The address cannot be had.
    """
    sock = socket.socket()
    try:
        # The first one, so that connections that have ended a moment ago are in nobody's way.
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            sock.setsockopt(socket.SOL_SOCKET, option, 1)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise CommandRefused(
            f"{host}:{port} cannot be listened on ({error.strerror}); choose another --host or --port"
        ) from error
    return sock
