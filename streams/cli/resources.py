"""`streams resources`: the items of a deployment over HTTP, for its operator."""

from __future__ import annotations

import os
import socket
from typing import Annotated

import typer

from streams.cli.arguments import (
    NOBODY,
    NamespaceName,
    NatsUrl,
    OriginNames,
    application_in,
    with_credentials,
)
from streams.cli.provisioning import FUNCTIONS, PANEL, Folder
from streams.cli.running import CommandRefused, inside
from streams.jetstream.connection import connected_to
from streams.jetstream.credentials import Credentials
from streams.keys import Namespace
from streams.settings import NATS_URL, operator_token

app = typer.Typer()


@app.command("resources", rich_help_panel=PANEL)
@with_credentials
def serve_resources(
    folder: Folder = FUNCTIONS,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 is every one of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 is any free one.")] = 3001,
    origin: OriginNames = None,
    nats: NatsUrl = NATS_URL,
    namespace: NamespaceName = "streams",
    credentials: Credentials = NOBODY,
) -> None:
    """Serve items over HTTP to whoever has the STREAMS_OPERATOR_TOKEN. `streams dev` does so without one."""
    # Here, and not above: the other commands need no web server, and loading one takes as long as they do.
    from streams.cli.serving import Access, serve_items

    token = operator_token(os.environ)
    if token is None:
        raise CommandRefused(
            "STREAMS_OPERATOR_TOKEN is not set, and without it everybody could write; "
            "set it to what `openssl rand -hex 32` prints"
        )
    access = Access(token, origin or ())
    application = application_in(folder)
    opened = connected_to(nats, name="streams resources", credentials=credentials)
    with _listening_at(host, port) as sock:
        inside(
            opened,
            lambda connection: serve_items(
                application.streams, connection, Namespace(namespace), sock, access
            ),
        )


def _listening_at(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise CommandRefused(
            f"{host}:{port} cannot be listened on ({error.strerror}); choose another --host or --port"
        ) from error
