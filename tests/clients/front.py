"""What stands before gateways: it hands out connections and can cut them, as networks do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from tests.gateway.waiting import until


class Front:
    """One address for several gateways. Each new connection goes to one of `targets`, by chance."""

    def __init__(self, targets: tuple[str, ...], chance: random.Random) -> None:
        self.targets = list(targets)
        """Addresses of gateways. While there are none, who comes is turned away."""
        self.url = ""
        self._chance = chance
        self._lines: list[asyncio.StreamWriter] = []

    @property
    def open_lines(self) -> int:
        return len(self._lines)

    def cut_one(self) -> None:
        """End one connection, if there is any."""
        if self._lines:
            self._chance.choice(self._lines).transport.abort()

    async def cut(self) -> None:
        """End all connections; returns when none is left."""
        lines = list(self._lines)
        for line in lines:
            line.transport.abort()
        await until(lambda: not set(lines) & set(self._lines))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            at = urlsplit(self._chance.choice(self.targets))
            to_reader, to_writer = await asyncio.open_connection(at.hostname, at.port)
        except (IndexError, OSError):
            writer.transport.abort()
            return
        self._lines.append(writer)
        try:
            await asyncio.gather(_pour(reader, to_writer), _pour(to_reader, writer))
        finally:
            self._lines.remove(writer)
            to_writer.transport.abort()
            writer.transport.abort()


async def _pour(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.transport.abort()


@asynccontextmanager
async def front_of(*targets: str, chance: random.Random | None = None) -> AsyncIterator[Front]:
    """A front for the length of the block."""
    front = Front(targets, chance or random.Random(0))
    server = await asyncio.start_server(front._carry, "127.0.0.1", 0)
    front.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    try:
        yield front
    finally:
        server.close()
        await front.cut()
