"""`streams serve`: everything, for one machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from streams.auth.configuration import ANONYMOUS_ONLY, TokenSettings, verifier
from streams.cli.arguments import NamespaceName, OwnOrigins, application_in
from streams.cli.functions import PANEL, TrustedProxies
from streams.cli.listening import HostName, listening_at
from streams.cli.provisioning import FUNCTIONS, Folder
from streams.cli.running import until_done
from streams.cli.tokens import with_token_options
from streams.keys import Namespace
from streams.settings import operator_token

app = typer.Typer()


@app.command("serve", rich_help_panel=PANEL)
@with_token_options
def serve_all(
    data: Annotated[
        Path,
        typer.Option(
            file_okay=False, show_default=False, help="Where the data are kept. One process has it alone."
        ),
    ],
    folder: Folder = FUNCTIONS,
    host: HostName = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 is any free one.")] = 3000,
    origin: OwnOrigins = None,
    trust_proxy: TrustedProxies = None,
    nats_server: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            show_default=False,
            help="The program nats-server. Without it, the one beside this Python, or on the PATH.",
        ),
    ] = None,
    namespace: NamespaceName = "streams",
    tokens: TokenSettings = ANONYMOUS_ONLY,
) -> None:
    """Run everything on one machine, and keep it: nats-server, gateway, functions and pages on one port.

    A write is on the disk when it is answered. Items over HTTP are read by
    whoever may see them, and written with the STREAMS_OPERATOR_TOKEN, if it is set.
    """
    # Here, and not above: the other commands need no web server, and loading one takes as long as they do.
    from streams.auth.operator import Operator
    from streams.auth.origins import Origins
    from streams.cli.serving import checked_proxies
    from streams.cli.serving_everything import ServeSettings, own_origins, serve_everything
    from streams.faas.asgi import routes

    operator = operator_token(os.environ)
    settings = ServeSettings(
        namespace=Namespace(namespace),
        application=application_in(folder),
        data=data,
        nats_server=nats_server,
        verifier=verifier(tokens, is_dev=False),
        has_keys=tokens.has_keys,
        operator=None if operator is None else Operator(operator),
        origins=tuple(origin or ()),
        proxies=checked_proxies(trust_proxy or ()),
    )
    steps = routes(settings.application)
    with listening_at(host, port) as sock:
        origins = Origins((*own_origins(sock), *settings.origins), is_local=False)
        until_done(serve_everything(settings, steps, origins, sock))
