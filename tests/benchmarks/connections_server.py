"""A gateway that says where its memory and its time go: `NATS_URL PORT`."""

from __future__ import annotations

import asyncio
import cProfile
import gc
import io
import pstats
import socket
import sys
import tracemalloc
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop

from streams import Stream, bound_to
from streams.auth.rules import OwnRules
from streams.gateway.server import App, Receive, Scope, Send, answer, listening
from streams.gateway.service import gateway
from streams.jetstream.connection import connected_to
from streams.jetstream.kv_store import KvStore
from streams.jetstream.provisioning import provision_application
from streams.keys import Namespace
from tests.benchmarks.streams_server import stop_requested
from tests.tokens import VERIFIER

bench = Stream("bench", dict)

WARM, WARM_ITEMS = "warm", 100
COLD_GROUPS, COLD_ITEMS = 300, 10
ITEM = {"text": "x" * 80}
AT_ONCE = 64

MOST_LINES = 60


async def serve(nats_url: str, port: int) -> None:
    """Until SIGTERM. One stream without a rule; the port opens when all groups have their items."""
    namespace = Namespace()
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(connected_to(nats_url, name="benchmark gateway"))
        async for _ in provision_application(connection, namespace, [bench]):
            pass
        store = KvStore(connection, namespace)
        with bound_to(store):
            await _fill()
        rules = await stack.enter_async_context(OwnRules.running([bench], None))
        hub = await stack.enter_async_context(gateway(connection, namespace, VERIFIER, rules))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", port), backlog=4096))
        await stack.enter_async_context(listening(hub, listener, _telling()))
        print("ready", port, flush=True)
        await stop_requested()


def cold(number: int) -> str:
    """The name of a group that nobody has watched yet."""
    return f"cold-{number}"


async def _fill() -> None:
    named = {WARM: WARM_ITEMS} | {cold(number): COLD_ITEMS for number in range(COLD_GROUPS)}
    writes = ((group, f"item-{number}") for group, items in named.items() for number in range(items))

    async def lane() -> None:
        for group, item_id in writes:
            await bench.set(group, item_id, ITEM)

    async with asyncio.TaskGroup() as lanes:
        for number in range(AT_ONCE):
            lanes.create_task(lane(), name=f"lane {number}")


def _telling() -> App:
    """Answers `/trace` and then `/where`, `/profile` and then `/profiled`."""
    profile = cProfile.Profile()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        said = ""
        match scope["path"]:
            case "/trace":
                gc.collect()
                tracemalloc.start()
            case "/where":
                gc.collect()
                said = _where()
                tracemalloc.stop()
            case "/profile":
                profile.enable()
            case "/profiled":
                profile.disable()
                said = _profiled(profile)
            case "/collect":
                gc.collect()
        await answer(send, 200, said.encode())

    return app


def _where() -> str:
    """What was asked for since `/trace` and is held, by the line that asked: bytes, blocks, place."""
    root = f"{Path(__file__).parents[2]}/"
    lines = tracemalloc.take_snapshot().statistics("lineno")[:MOST_LINES]
    shown = [(each.size, each.count, str(each.traceback[0]).removeprefix(root)) for each in lines]
    return "\n".join(
        f"{size}\t{count}\t{place.rpartition('site-packages/')[2]}" for size, count, place in shown
    )


def _profiled(profile: cProfile.Profile) -> str:
    text = io.StringIO()
    pstats.Stats(profile, stream=text).sort_stats("tottime").print_stats(MOST_LINES)
    return text.getvalue()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
