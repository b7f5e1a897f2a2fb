"""Our servers as processes of their own: `nats STORE [always]` and `gateway NATS_URL PORT [CACHE_MIB]`."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import orjson
import uvloop

from streams.dev.nats_server import embedded
from streams.gateway.cache import CACHE_BYTES
from streams.gateway.hub import Hub
from streams.gateway.server import App, Receive, Scope, Send, answer, listening
from streams.gateway.service import collect_seldom
from streams.jetstream.bucket import provision
from streams.jetstream.connection import connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.keys import Namespace
from tests.everybody import open_hub

STALL_SECONDS = 120.0
"""Longer than in service, where half a minute ends it: what a slow reader gets at last is to be seen."""

COUNTED = ("changes", "frames", "bytes", "writes", "conflated", "dropped", "stalled")
"""Of `streams.gateway.measures`, those that are numbers."""


async def nats(store: Path, *, is_always_synced: bool = False) -> None:
    """The embedded NATS server. Prints `ready URL` when it can be used.

    Synced always, an acknowledged write is on the disk; else within two minutes.
    """
    # A second `jetstream` block takes the place of the first one, so it says again where the store is.
    always = f"jetstream {{ store_dir: {json.dumps(str(store))}, sync_interval: always }}"
    async with embedded(store, settings=always if is_always_synced else "") as server:
        # Never over the environment's proxy.
        with build_opener(ProxyHandler({})).open(f"{server.monitoring_url}/jsz", timeout=5) as answer:
            found = json.load(answer)["config"].get("sync_always", False)
        assert found == is_always_synced, f"the server says sync_always={found}"
        print("ready", server.url, flush=True)
        await stop_requested()


async def gateway(nats_url: str, port: int, cache_bytes: int = CACHE_BYTES) -> None:
    """Our gateway on ws://127.0.0.1:`port`/, with the stream `bench` provisioned before.

    The port opens when joins of `bench` are answered: the benchmark begins
    as soon as it accepts connections.
    """
    namespace = Namespace()
    async with (
        connected_to(nats_url, name="benchmark gateway") as connection,
        open_hub(
            JetStreamFeed(connection, namespace), stall_seconds=STALL_SECONDS, cache_bytes=cache_bytes
        ) as hub,
    ):
        await provision(connection, namespace, "bench")
        with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
            async with listening(hub, listener, counts(hub)):
                collect_seldom()
                await stop_requested()


def counts(hub: Hub) -> App:
    """What the hub has counted, as JSON, to whoever asks for anything on its port by plain HTTP."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        measures = hub.measures
        told = {name: getattr(measures, name) for name in COUNTED}
        await answer(send, 200, orjson.dumps(told), "application/json")

    return app


async def stop_requested() -> None:
    """Until SIGTERM, so that the blocks around it close."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["nats", store]:
            uvloop.run(nats(Path(store)))
        case ["nats", store, "always"]:
            uvloop.run(nats(Path(store), is_always_synced=True))
        case ["gateway", nats_url, port]:
            uvloop.run(gateway(nats_url, int(port)))
        case ["gateway", nats_url, port, cache_mib]:
            uvloop.run(gateway(nats_url, int(port), int(cache_mib) * 2**20))
        case _:
            sys.exit(
                "usage: python -m tests.benchmarks.streams_server"
                " nats STORE [always] | gateway NATS_URL PORT [CACHE_MIB]"
            )
