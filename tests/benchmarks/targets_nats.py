"""nats-server's own WebSocket: browsers that speak the NATS protocol, with nothing of ours between."""

from __future__ import annotations

import asyncio
import json
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import ClassVar

import nats
import orjson
from nats.js.api import KeyValueConfig

from streams.dev.nats_server import find_binary
from streams.errors import DevFailed
from tests.benchmarks.processes import free_port, running
from tests.benchmarks.targets_protocol import STREAM, Item, Servers, Skipped, Write, payloads

CONFIGURATION = """
listen: "127.0.0.1:{port}"
jetstream {{ store_dir: {store} }}
websocket {{ listen: "127.0.0.1:{websocket_port}", no_tls: true }}
"""

HELLO = {
    "verbose": False,
    "pedantic": False,
    "headers": True,
    "no_responders": True,
    "lang": "python",
    "version": "1",
    "protocol": 1,
}


class Nats:
    """nats-server, which browsers reach without a gateway: its key-value bucket has the items.

    Everyone who may connect may do everything there: it asks no application
    who may read what. A join is a subscription of the group's keys, and then
    one request for the newest message of each.
    """

    name: ClassVar[str] = "nats"
    subprotocol: ClassVar[str | None] = None
    copies: ClassVar[int] = 1
    is_pinging: ClassVar[bool] = True

    def prepare(self) -> None:
        try:
            find_binary()
        except DevFailed as missing:
            raise Skipped(str(missing)) from missing

    def version(self) -> str:
        done = subprocess.run([find_binary(), "--version"], capture_output=True, text=True, timeout=10)
        return f"nats-server {done.stdout.split()[-1].lstrip('v')}"

    @contextmanager
    def running(self, directory: Path) -> Iterator[Servers]:
        port, websocket_port = free_port(), free_port()
        settings, store = directory / "nats.conf", json.dumps(str(directory / "store"))
        settings.write_text(CONFIGURATION.format(port=port, websocket_port=websocket_port, store=store))
        with running(self.name, [str(find_binary()), "-c", str(settings)], directory) as server:
            server.wait_for_port(port)
            server.wait_for_port(websocket_port)
            url = f"nats://127.0.0.1:{port}"
            asyncio.run(_provision(url))
            yield Servers(websocket_port, [server.pid], [], url)

    @asynccontextmanager
    async def writing(self, servers: Servers) -> AsyncIterator[Write]:
        connection = await nats.connect(servers.nats_url)
        try:
            jetstream = connection.jetstream()

            async def write(group: str, item: Item) -> None:
                await jetstream.publish(f"$KV.{STREAM}.{group}.{item['id']}", orjson.dumps(item))

            yield write
        finally:
            await connection.close()

    def path(self, group: str) -> str:
        return "/"

    def opening(self, group: str) -> list[bytes]:
        return [b"CONNECT %s\r\n" % orjson.dumps(HELLO), *self.further(group, 0)]

    def further(self, group: str, number: int) -> list[bytes]:
        keys, inbox = f"$KV.{STREAM}.{group}.*", f"_INBOX.{uuid.uuid4().hex}"
        read = json.dumps({"multi_last": [keys]})
        changes, state = 2 * number + 1, 2 * number + 2
        return [
            f"SUB {keys} {changes}\r\nSUB {inbox} {state}\r\n"
            f"PUB $JS.API.DIRECT.GET.KV_{STREAM} {inbox} {len(read)}\r\n{read}\r\n".encode()
        ]

    def is_joined(self, received: bytes) -> bool:
        # The state ends with a message of this status, or there is none.
        found = payloads(received)
        return b"NATS/1.0 204" in found or b"NATS/1.0 404" in found

    def answer(self, received: bytes) -> bytes | None:
        return b"PONG\r\n" if b"PING\r\n" in received else None


async def _provision(url: str) -> None:
    connection = await nats.connect(url)
    try:
        await connection.jetstream().create_key_value(KeyValueConfig(bucket=STREAM, direct=True))
    finally:
        await connection.close()
