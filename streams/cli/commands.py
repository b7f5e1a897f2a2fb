"""One function per command; the work is done elsewhere."""

from __future__ import annotations

import logging
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from streams.auth.configuration import ANONYMOUS_ONLY, TokenSettings
from streams.cli import (
    building,
    functions,
    gateway,
    items,
    listing,
    new,
    provisioning,
    resources,
    revoking,
    serve,
    syncing,
    tokens,
    types,
)
from streams.cli.arguments import PANEL, NamespaceName, OriginNames, with_credentials
from streams.cli.printing import err, out
from streams.cli.running import Commands, until_done
from streams.cli.tokens import with_token_options
from streams.cli.watch import watch_room
from streams.jetstream.credentials import NOBODY, Credentials
from streams.messages import Room

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Real-time streams for Python on NATS JetStream.",
)


@app.command()
@with_credentials
@with_token_options
def dev(
    folder: Annotated[Path, typer.Argument(help="Where the streams and steps are.")] = Path("functions"),
    port: Annotated[
        int | None, typer.Option(help="Port to listen on. Without it: 3000, or the next free one.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Where the embedded nats-server keeps its data.")] = Path(
        ".streams/nats"
    ),
    nats: Annotated[
        str,
        typer.Option(
            metavar="embedded|container|URL",
            help="The NATS to use: nats-server on this machine, the same in a container, or any other one.",
            rich_help_panel=PANEL,
        ),
    ] = "embedded",
    nats_image: Annotated[
        str | None,
        typer.Option(
            envvar="STREAMS_NATS_IMAGE",
            metavar="IMAGE",
            show_default=False,
            help="Image of the container. Without it: the official one.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    namespace: NamespaceName = "streams",
    credentials: Credentials = NOBODY,
    origin: OriginNames = None,
    tokens: TokenSettings = ANONYMOUS_ONLY,
) -> None:
    """Run everything on this machine: nats-server, gateway, functions and page. Functions restart on save."""
    from streams.dev.nats import NatsChoice
    from streams.dev.run import DevSettings, run
    from streams.dev.screen import Screen

    _log_to(err)
    screen = Screen(err)
    choice = NatsChoice(data, nats, credentials, nats_image)
    settings = DevSettings(folder, choice, namespace, port, tuple(origin or ()), tokens)
    until_done(run(settings, screen.ready, screen.loaded))


@app.command()
def watch(
    stream: Annotated[str, typer.Argument(help="The stream, for example todo.")],
    group: Annotated[str, typer.Argument(help="The group, for example inbox.")],
    item: Annotated[
        str | None, typer.Argument(help="One item of the group. Without it: all of them.")
    ] = None,
    url: Annotated[str, typer.Option(envvar="STREAMS_URL", help="The gateway.")] = "ws://127.0.0.1:3000/",
    token: Annotated[
        str | None,
        typer.Option(
            envvar="STREAMS_TOKEN",
            metavar="TOKEN",
            show_default=False,
            help="Who we are to the gateway: what `streams token` prints.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print every frame as it comes, one a line.")] = False,
) -> None:
    """Print what a group holds, and every change of it from now on."""
    until_done(watch_room(url, Room(stream, group, item), out=out, err=err, raw=json, token=token))


@app.command(name="version")
def show_version() -> None:
    """Print the version."""
    out.print(version("realtime-streams"), highlight=False)


for verbs in (
    new.app,
    items.app,
    listing.app,
    provisioning.app,
    building.app,
    gateway.app,
    functions.app,
    serve.app,
    resources.app,
    tokens.app,
    revoking.app,
    syncing.app,
    types.app,
):
    app.add_typer(verbs)


def _log_to(console: Console) -> None:
    handler = RichHandler(console=console, show_path=False, log_time_format="%H:%M:%S")
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])
    for noisy in ("httpx", "uvicorn", "watchfiles", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
