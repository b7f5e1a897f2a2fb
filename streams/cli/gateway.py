"""`streams gateway`: the service that clients talk to."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from streams.auth.configuration import ANONYMOUS_ONLY, TokenSettings, verifier
from streams.cli.arguments import (
    NOBODY,
    ListedOrigins,
    NamespaceName,
    NatsUrl,
    application_in,
    with_credentials,
)
from streams.cli.listening import HostName, listening_at
from streams.cli.running import inside
from streams.cli.tokens import with_token_options
from streams.jetstream.connection import connected_to
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
    # Here, and not above: the other commands need no web server, and loading one takes as long as they do.
    from streams.auth.origins import Origins
    from streams.cli.serving_clients import GatewaySettings, serve_gateway

    application = None if folder is None else application_in(folder)
    settings = GatewaySettings(
        namespace=Namespace(namespace),
        application=application,
        verifier=verifier(tokens, is_dev=False),
        has_keys=tokens.has_keys,
        origins=Origins(origin or (), is_local=False),
        recheck_seconds=recheck,
        drain_delay_seconds=drain_delay,
    )
    opened = connected_to(nats, name="streams gateway", credentials=credentials)
    internal = (
        nullcontext()
        if no_metrics
        else listening_at(
            metrics_host, metrics_port, options="--metrics-host or --metrics-port, or --no-metrics"
        )
    )
    with internal as metrics, listening_at(host, port) as sock:
        inside(opened, lambda connection: serve_gateway(settings, connection, sock, metrics))
