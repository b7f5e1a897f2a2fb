"""`streams gateway`: the service that clients talk to."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from socket import socket
from typing import Annotated

import typer

from streams.auth.configuration import ANONYMOUS_ONLY, TokenSettings
from streams.cli.arguments import NOBODY, ListedOrigins, NamespaceName, NatsUrl, with_credentials
from streams.cli.gateway_options import MIB, CacheSize, GatewayOptions, Grace, MaxUnread, Stall, WorkerCount
from streams.cli.listening import HostName, listening_at
from streams.cli.tokens import with_token_options
from streams.gateway.cache import CACHE_BYTES
from streams.gateway.health import GRACE_SECONDS
from streams.gateway.laggards import STALL_SECONDS, UNREAD_BYTES
from streams.jetstream.credentials import Credentials
from streams.keys import Namespace
from streams.settings import NATS_URL

app = typer.Typer()
PANEL = "Services"
METRICS = "Metrics"

MIN_RECHECK_SECONDS = 1.0
MAX_DRAIN_DELAY_SECONDS = 300.0


@app.command("gateway", rich_help_panel=PANEL)
@with_token_options
@with_credentials
def serve_clients(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            show_default=False,
            help="Where the streams are, with their rules and stream_auth.py. Without it, streams that have "
            "rules are closed to everybody.",
        ),
    ] = None,
    host: HostName = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 is any free one.")] = 3112,
    origin: ListedOrigins = None,
    workers: WorkerCount = 1,
    recheck: Annotated[
        float | None,
        typer.Option(
            min=MIN_RECHECK_SECONDS,
            metavar="SECONDS",
            show_default=False,
            help="How often to ask again whether clients may have what they have. Without it: at fresh "
            "tokens and revocations.",
        ),
    ] = None,
    stall: Stall = STALL_SECONDS,
    max_unread: MaxUnread = UNREAD_BYTES // MIB,
    cache: CacheSize = CACHE_BYTES // MIB,
    grace: Grace = GRACE_SECONDS,
    drain_delay: Annotated[
        float,
        typer.Option(
            min=0,
            max=MAX_DRAIN_DELAY_SECONDS,
            metavar="SECONDS",
            help="How long, once it is told to end, /readyz says no before clients are sent away: the time "
            "that a load balancer needs to see it.",
        ),
    ] = 0,
    metrics_host: Annotated[
        str,
        typer.Option(
            help="Address of /metrics, /healthz, and /readyz with its reasons. Not for clients.",
            rich_help_panel=METRICS,
        ),
    ] = "127.0.0.1",
    metrics_port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Port of these; 0 is any free one.", rich_help_panel=METRICS),
    ] = 9090,
    no_metrics: Annotated[
        bool, typer.Option("--no-metrics", help="Serve none of these.", rich_help_panel=METRICS)
    ] = False,
    nats: NatsUrl = NATS_URL,
    namespace: NamespaceName = "streams",
    credentials: Credentials = NOBODY,
    tokens: TokenSettings = ANONYMOUS_ONLY,
) -> None:
    """Relay changes to clients over WebSockets. Run as many as you need; `streams dev` has one of its own."""
    options = GatewayOptions(
        folder=folder,
        host=host,
        port=port,
        origins=tuple(origin or ()),
        recheck_seconds=recheck,
        stall_seconds=stall,
        unread_bytes=max_unread * MIB,
        cache_bytes=cache * MIB,
        grace_seconds=grace,
        drain_delay_seconds=drain_delay,
        nats=nats,
        namespace=Namespace(namespace),
        credentials=credentials,
        tokens=tokens,
    )

    def internal() -> AbstractContextManager[socket | None]:
        told_by = "--metrics-host or --metrics-port, or --no-metrics"
        return nullcontext() if no_metrics else listening_at(metrics_host, metrics_port, options=told_by)

    # Here, and not above: the other commands need no web server, and loading one takes as long as they do.
    if workers == 1:
        from streams.cli.serving_clients import serve_alone

        serve_alone(options, internal)
    else:
        from streams.cli.serving_workers import serve_with_workers

        serve_with_workers(options, workers, internal)
