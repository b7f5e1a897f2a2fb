"""Writers that use HTTP: the same few keep-alive connections for every peer that is written to so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import orjson

from tests.benchmarks.targets_protocol import Item, Write

LANES = 8
"""Connections, and so requests that are on their way at once."""

Request: TypeAlias = Callable[[str, Item], tuple[str, bytes]]
"""By group and item: the path and the body of a POST."""


def item_request(group: str, item: Item) -> tuple[str, bytes]:
    """The item itself, to a path of its own."""
    return f"/{group}/{item['id']}", orjson.dumps(item)


@asynccontextmanager
async def posting(port: int, request: Request = item_request) -> AsyncIterator[Write]:
    """Write by HTTP POST on keep-alive connections, one request at a time on each."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(LANES)]
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for connection in connections:
        free.put_nowait(connection)

    async def write(group: str, item: Item) -> None:
        reader, writer = connection = await free.get()
        path, body = request(group, item)
        writer.write(
            b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (path.encode(), len(body), body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        answer = await reader.readexactly(_body_bytes(head))
        # Centrifugo refuses with a status of 200.
        if not head.startswith(b"HTTP/1.1 2") or b'"error"' in answer:
            raise ConnectionError(f"a write was answered with {head[:60]!r}, {answer[:200]!r}")
        free.put_nowait(connection)

    try:
        yield write
    finally:
        for _, writer in connections:
            writer.close()


def _body_bytes(head: bytes) -> int:
    """How long the body of an answer is. Most peers answer 204, which has none."""
    _, is_there, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if is_there else 0
