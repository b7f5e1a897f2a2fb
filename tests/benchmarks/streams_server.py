"""Our servers as processes of their own: `nats STORE` and `gateway NATS_URL PORT`."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from pathlib import Path

import uvloop

from streams.dev.nats_server import embedded
from streams.gateway.hub import Hub
from streams.gateway.server import listening
from streams.jetstream.bucket import provision
from streams.jetstream.connection import connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.keys import Namespace


async def nats(store: Path) -> None:
    """The embedded NATS server. Prints `ready URL` when it can be used."""
    async with embedded(store) as server:
        print("ready", server.url, flush=True)
        await stop_requested()


async def gateway(nats_url: str, port: int) -> None:
    """Our gateway on ws://127.0.0.1:`port`/, with the stream `bench` provisioned before.

    The port opens when joins of `bench` are answered: the benchmark begins
    as soon as it accepts connections.
    """
    namespace = Namespace()
    async with (
        connected_to(nats_url, name="benchmark gateway") as connection,
        Hub.running(JetStreamFeed(connection, namespace)) as hub,
    ):
        await provision(connection, namespace, "bench")
        with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
            async with listening(hub, listener):
                await stop_requested()


async def stop_requested() -> None:
    """Until SIGTERM, so that the blocks around it close."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["nats", store]:
            uvloop.run(nats(Path(store)))
        case ["gateway", nats_url, port]:
            uvloop.run(gateway(nats_url, int(port)))
        case _:
            sys.exit("usage: python -m tests.benchmarks.streams_server nats STORE | gateway NATS_URL PORT")
