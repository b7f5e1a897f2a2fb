"""What whoever runs a gateway asks it: numbers for Prometheus, and why it is not ready. For inside only.

Everything is read when it is asked for; serving clients costs nothing more
for it. Each gateway has a registry of its own, so two in one process are two.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from streams.gateway.collector import GatewayCollector
from streams.gateway.hub import Hub
from streams.gateway.measures import Histogram
from streams.gateway.server import DRAIN_SECONDS, App, Receive, Scope, Send, answer, http_config, serving
from streams.tasks import background_tasks

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

LOOK_SECONDS = 0.25
"""How often it is looked how late the event loop is."""


@asynccontextmanager
async def telling(hub: Hub, sock: socket.socket) -> AsyncIterator[None]:
    """Serve what `internal` does on `sock` for the length of the block, and note how late the loop is."""
    async with (
        background_tasks() as tasks,
        serving(http_config(internal(hub), drain_seconds=DRAIN_SECONDS), [sock]),
    ):
        tasks.start(measure_lag(hub.measures.loop_lag), name="gateway: how late the event loop is")
        yield


async def measure_lag(lag: Histogram, every_seconds: float = LOOK_SECONDS) -> None:
    """Note again and again by how much the event loop was late, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every_seconds
        await asyncio.sleep(every_seconds)
        lag.observe(max(0.0, loop.time() - due))


def internal(hub: Hub) -> App:
    """`/metrics`, `/healthz`, and `/readyz` with its reasons. It tells what is nobody's business outside."""
    registry = CollectorRegistry()
    registry.register(GatewayCollector(hub))
    ProcessCollector(registry=registry)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"]:
            case "/metrics":
                await answer(send, 200, generate_latest(registry), CONTENT_TYPE)
            case "/healthz":
                await answer(send, 200, b"ok\n")
            case "/readyz":
                told = _readiness(hub)
                await answer(send, 200 if told["ready"] else 503, orjson.dumps(told), "application/json")
            case _:
                await answer(send, 404, b"nothing here; there are /metrics, /healthz and /readyz\n")

    return app


def _readiness(hub: Hub) -> dict[str, Any]:
    signs, reasons = hub.signs, hub.not_ready()
    return {
        "ready": not reasons,
        "reasons": reasons,
        "nats_connected": signs.is_connected,
        "revocations_age_seconds": round(signs.revocations_seconds, 3),
        "comparison_age_seconds": round(hub.oldest_check_seconds, 3),
        "grace_seconds": hub.health.grace_seconds,
    }
