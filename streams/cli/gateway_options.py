"""What `streams gateway` is told: plain values, so that its workers can be told the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from streams.auth.configuration import TokenSettings
from streams.jetstream.credentials import Credentials
from streams.keys import Namespace

MIB = 1024 * 1024

MIN_STALL_SECONDS = 1.0
MAX_STALL_SECONDS = 3600.0
MAX_GRACE_SECONDS = 22.0
MAX_WORKERS = 64


def _seconds(value: float) -> float:
    # It is not below any limit, and not above any.
    if math.isnan(value):
        raise typer.BadParameter(f"{value} is no number of seconds.")
    return value


Stall: TypeAlias = Annotated[
    float,
    typer.Option(
        "--stall",
        envvar="STREAMS_GATEWAY_STALL",
        min=MIN_STALL_SECONDS,
        max=MAX_STALL_SECONDS,
        metavar="SECONDS",
        callback=_seconds,
        help="How long a client may read nothing of what waits for it, before it is sent away.",
    ),
]
MaxUnread: TypeAlias = Annotated[
    int,
    typer.Option(
        "--max-unread",
        envvar="STREAMS_GATEWAY_MAX_UNREAD",
        min=1,
        metavar="MIB",
        help="What may wait for all clients of a worker to be read. Above it, those for whom the most "
        "waits are sent away.",
    ),
]
CacheSize: TypeAlias = Annotated[
    int,
    typer.Option(
        "--cache",
        envvar="STREAMS_GATEWAY_CACHE",
        min=1,
        metavar="MIB",
        help="What a worker may keep of the items that clients watch. Above it, those of large groups are "
        "read from NATS when they are needed.",
    ),
]
Grace: TypeAlias = Annotated[
    float,
    typer.Option(
        "--grace",
        envvar="STREAMS_GATEWAY_GRACE",
        min=0,
        max=MAX_GRACE_SECONDS,
        metavar="SECONDS",
        callback=_seconds,
        help="How much longer than usual nothing may come from NATS before /readyz says no.",
    ),
]
WorkerCount: TypeAlias = Annotated[
    int,
    typer.Option(
        "--workers",
        envvar="STREAMS_GATEWAY_WORKERS",
        min=1,
        max=MAX_WORKERS,
        metavar="N",
        help="Processes that share the port, each with a line to NATS, caches and limits of its own. "
        "One uses one core.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """What one process of a gateway is told. It can be pickled."""

    folder: Path | None
    """Where the application is whose rules it knows; None: it knows nobody's."""
    host: str
    port: int
    origins: tuple[str, ...]
    recheck_seconds: float | None
    stall_seconds: float
    unread_bytes: int
    cache_bytes: int
    grace_seconds: float
    drain_delay_seconds: float
    """How long it says that it is not ready, before it ends."""
    nats: str
    namespace: Namespace
    credentials: Credentials
    tokens: TokenSettings
