"""`streams functions`: the service that runs steps."""

from __future__ import annotations

from typing import Annotated, TypeAlias

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
from streams.cli.provisioning import FUNCTIONS, Folder
from streams.cli.running import inside
from streams.cli.tokens import with_token_options
from streams.jetstream.connection import connected_to
from streams.jetstream.credentials import Credentials
from streams.keys import Namespace
from streams.settings import NATS_URL

app = typer.Typer()
PANEL = "Services"

TrustedProxies: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--trust-proxy",
        metavar="NETWORK",
        show_default=False,
        help="A proxy whose X-Forwarded-For and -Proto say who calls, and how: an address such as 10.0.0.7, "
        "or a network such as 10.0.0.0/8; * is whoever connects, who can then say anything. May be given "
        "several times. Without it: none.",
    ),
]


@app.command("functions", rich_help_panel=PANEL)
@with_token_options
@with_credentials
def serve_functions(
    folder: Folder = FUNCTIONS,
    host: HostName = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, envvar="PORT", help="Port to listen on; 0 is any free one.")
    ] = 8080,
    origin: ListedOrigins = None,
    trust_proxy: TrustedProxies = None,
    nats: NatsUrl = NATS_URL,
    namespace: NamespaceName = "streams",
    credentials: Credentials = NOBODY,
    tokens: TokenSettings = ANONYMOUS_ONLY,
) -> None:
    """Run steps for whoever asks over HTTP. Run as many as you need; `streams dev` has one of its own.

    /healthz says that it runs, /readyz whether NATS answers. `streams provision` comes first.
    """
    # Here, and not above: the other commands need no web server, and loading one takes as long as they do.
    from streams.auth.origins import Origins
    from streams.cli.serving import checked_proxies
    from streams.cli.serving_steps import StepsSettings, serve_steps
    from streams.faas.asgi import routes

    settings = StepsSettings(
        namespace=Namespace(namespace),
        application=application_in(folder),
        verifier=verifier(tokens, is_dev=False),
        has_keys=tokens.has_keys,
        origins=Origins(origin or (), is_local=False),
        proxies=checked_proxies(trust_proxy or ()),
    )
    steps = routes(settings.application)
    opened = connected_to(nats, name="streams functions", credentials=credentials)
    with listening_at(host, port) as sock:
        inside(opened, lambda connection: serve_steps(settings, steps, connection, sock))
