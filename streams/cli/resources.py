"""`streams resources`: the items of a deployment over HTTP, for its operator and for whom its rules let."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from streams.auth.configuration import ANONYMOUS_ONLY, TokenSettings
from streams.cli.arguments import (
    NOBODY,
    NamespaceName,
    NatsUrl,
    OriginNames,
    application_in,
    with_credentials,
)
from streams.cli.listening import HostName, listening_at
from streams.cli.provisioning import FUNCTIONS, PANEL, Folder
from streams.cli.running import CommandRefused, inside
from streams.cli.tokens import with_token_options
from streams.jetstream.connection import connected_to
from streams.jetstream.credentials import Credentials
from streams.keys import Namespace
from streams.settings import NATS_URL, operator_token

app = typer.Typer()


@app.command("resources", rich_help_panel=PANEL)
@with_token_options
@with_credentials
def serve_resources(
    folder: Folder = FUNCTIONS,
    host: HostName = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 is any free one.")] = 3001,
    origin: OriginNames = None,
    nats: NatsUrl = NATS_URL,
    namespace: NamespaceName = "streams",
    credentials: Credentials = NOBODY,
    tokens: TokenSettings = ANONYMOUS_ONLY,
) -> None:
    """Serve items over HTTP: reads to whoever may see them; writes need the STREAMS_OPERATOR_TOKEN.

    Lists of streams and groups need it too. `streams dev` serves all of it without one.
    """
    # Here, and not above: the other commands need no web server, and loading one takes as long as they do.
    from streams.cli.serving_items import Admitted, serve_items

    operator = operator_token(os.environ)
    if operator is None:
        raise CommandRefused(
            "STREAMS_OPERATOR_TOKEN is not set, and without it everybody could write; "
            "set it to what `openssl rand -hex 32` prints"
        )
    admitted = Admitted(operator, origin or (), tokens)
    application = application_in(folder)
    opened = connected_to(nats, name="streams resources", credentials=credentials)
    with listening_at(host, port) as sock:
        inside(
            opened,
            lambda connection: serve_items(application, connection, Namespace(namespace), sock, admitted),
        )
