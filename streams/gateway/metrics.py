"""What whoever runs a gateway asks it: numbers for Prometheus, and why it is not ready. For inside only.

Everything is read when it is asked for; serving clients costs nothing more
for it. Each gateway has a registry of its own, so two in one process are two.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import orjson
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streams.gateway.hub import Hub
from streams.gateway.server import DRAIN_SECONDS, App, Receive, Scope, Send, answer, http_config, serving
from streams.gateway.socket import NO_CLOSE
from streams.messages import (
    CLOSE_INTERNAL_ERROR,
    CLOSE_SERVICE_RESTART,
    CLOSE_TOO_SLOW,
    CLOSE_UNAUTHORIZED,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Told from the start, as zero: of what begins with its first number, no rate can be had.
_TURNED_AWAY = ("AUTH_UNAVAILABLE", "ORIGIN_REFUSED", "TOKEN_REFUSED", "TOKEN_REVOKED")
_REFUSED = (
    "INVALID_NAME",
    "STREAM_ACCESS_DENIED",
    "STREAM_NOT_FOUND",
    "STREAM_NOT_USABLE",
    "TOKEN_REVOKED",
    "TOO_MANY_SUBSCRIPTIONS",
)
_CLOSED = (
    1000,
    1001,
    1002,
    1005,
    NO_CLOSE,
    1007,
    1009,
    CLOSE_INTERNAL_ERROR,
    CLOSE_SERVICE_RESTART,
    CLOSE_UNAUTHORIZED,
    CLOSE_TOO_SLOW,
)


@asynccontextmanager
async def telling(hub: Hub, sock: socket.socket) -> AsyncIterator[None]:
    """Serve what `internal` does on `sock`, for the length of the block."""
    async with serving(http_config(internal(hub), drain_seconds=DRAIN_SECONDS), [sock]):
        yield


def internal(hub: Hub) -> App:
    """`/metrics`, `/healthz`, and `/readyz` with its reasons. It tells what is nobody's business outside."""
    registry = CollectorRegistry()
    registry.register(_GatewayCollector(hub))
    ProcessCollector(registry=registry)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"]:
            case "/metrics":
                await answer(send, 200, generate_latest(registry), CONTENT_TYPE)
            case "/healthz":
                await answer(send, 200, b"ok\n")
            case "/readyz":
                reasons = hub.not_ready()
                said = orjson.dumps({"ready": not reasons, "reasons": reasons})
                await answer(send, 503 if reasons else 200, said, "application/json")
            case _:
                await answer(send, 404, b"nothing here; there are /metrics, /healthz and /readyz\n")

    return app


class _GatewayCollector(Collector):
    """A hub in Prometheus' words."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterable[Metric]:
        hub, tally = self._hub, self._hub.guests.tally
        yield _gauge("connections", "Client sockets that are open", len(hub.guests))
        yield _gauge(
            "joined_rooms",
            "Groups and single items that clients watch, each once for every client",
            hub.watched_rooms,
        )
        yield _gauge(
            "groups",
            "Groups that are followed in NATS, with those that the last client left a moment ago",
            hub.watched_groups,
        )
        yield _gauge(
            "ready", "1 where new clients are let in, 0 where /readyz says why not", not hub.not_ready()
        )
        opened = CounterMetricFamily(
            "streams_gateway_connections_opened", "Client sockets that were opened, since the start"
        )
        opened.add_metric([], tally.opened)
        yield opened
        yield _counter(
            "connections_refused",
            "Client sockets that were not opened, by the code of the answer, since the start",
            _with_zeros(tally.turned_away, _TURNED_AWAY),
        )
        yield _counter(
            "connections_closed",
            "Client sockets that have ended, by WebSocket close code, since the start",
            _closed(tally.closed),
        )
        yield _counter(
            "rooms_refused",
            "Groups and single items that a client was refused, or lost, by code, since the start",
            _with_zeros(tally.refused, _REFUSED),
        )


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"streams_gateway_{name}", meaning, value=value)


def _counter(name: str, meaning: str, by_code: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"streams_gateway_{name}", meaning, labels=["code"])
    for code, number in by_code.items():
        family.add_metric([code], number)
    return family


def _with_zeros(counted: Mapping[str, int], codes: Iterable[str]) -> Mapping[str, int]:
    return {**dict.fromkeys(codes, 0), **counted}


def _closed(counted: Mapping[int, int]) -> Mapping[str, int]:
    """A client may close with any of thousands of codes: those that are not ours are one."""
    told = Counter({str(code): 0 for code in (*_CLOSED, "other")})
    for code, number in counted.items():
        told[str(code) if code in _CLOSED else "other"] += number
    return told
