"""A line to the server that can be made to swallow what goes one way, and cut."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Line:
    """Every connection through it."""

    def __init__(self) -> None:
        self.url = ""
        self.taken = 0
        """Connections that were made over it."""
        self.swallows_requests = self.swallows_answers = False
        self.swallowed = asyncio.Event()
        """Set when something was swallowed."""
        self._open: set[asyncio.StreamWriter] = set()
        self._forgotten: set[asyncio.StreamWriter] = set()

    def forget(self) -> None:
        """Swallow whatever the connections of now carry, both ways, and let new ones through: as a
        load balancer or NAT does that has forgotten a flow on which nothing was sent for long."""
        self._forgotten |= self._open

    def cut(self) -> None:
        """End all connections, and let everything through again."""
        self.swallows_requests = self.swallows_answers = False
        for writer in self._open:
            writer.transport.abort()

    def reset(self) -> None:
        """End all connections as a machine does that was restarted: what is sent then is an error."""
        for writer in self._open:
            at_once = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self.cut()

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, asks: bool) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                swallows = self.swallows_requests if asks else self.swallows_answers
                if swallows or target in self._forgotten:
                    self.swallowed.set()
                else:
                    target.write(data)
                    await target.drain()
        target.transport.abort()


@asynccontextmanager
async def line_to(url: str) -> AsyncIterator[Line]:
    """A line to the server at `url`, for the length of the block."""
    line, server_at = Line(), urlsplit(url)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line.taken += 1
        try:
            to_reader, to_writer = await asyncio.open_connection(server_at.hostname, server_at.port)
        except OSError:
            # Nobody is there just now, and the line says so as the server would.
            writer.transport.abort()
            return
        both = {writer, to_writer}
        line._open |= both
        try:
            await asyncio.gather(
                line._carry(reader, to_writer, asks=True), line._carry(to_reader, writer, asks=False)
            )
        finally:
            line._open -= both
            to_writer.transport.abort()
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    line.url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield line
    finally:
        server.close()
        line.cut()
