"""One function per command; the work is done elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.logging import RichHandler
from rich.text import Text

from streams.cli.watch import watch_room
from streams.errors import StreamsError
from streams.messages import Room

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Real-time streams for Python on NATS JetStream.",
)
_out = Console()
_err = Console(stderr=True)


@app.command()
def dev(
    folder: Annotated[Path, typer.Argument(help="Where the streams and steps are.")] = Path("functions"),
    port: Annotated[
        int | None, typer.Option(help="Port to listen on. Without it: 3000, or the next free one.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Where the embedded nats-server keeps its data.")] = Path(
        ".streams/nats"
    ),
    namespace: Annotated[
        str,
        typer.Option(
            envvar="STREAMS_NAMESPACE", help="Deployment stage: the beginning of every bucket's name."
        ),
    ] = "streams",
) -> None:
    """Run everything on this machine: nats-server, gateway, functions and page. Functions restart on save."""
    from streams.dev.run import DevSettings, run
    from streams.dev.screen import Screen

    _log_to(_err)
    screen = Screen(_err)
    _until_done(run(DevSettings(folder, data, namespace, port), screen.ready, screen.loaded))


@app.command()
def watch(
    stream: Annotated[str, typer.Argument(help="The stream, for example todo.")],
    group: Annotated[str, typer.Argument(help="The group, for example inbox.")],
    item: Annotated[
        str | None, typer.Argument(help="One item of the group. Without it: all of them.")
    ] = None,
    url: Annotated[str, typer.Option(envvar="STREAMS_URL", help="The gateway.")] = "ws://127.0.0.1:3000/",
    json: Annotated[bool, typer.Option("--json", help="Print every frame as it comes, one a line.")] = False,
) -> None:
    """Print what a group holds, and every change of it from now on."""
    _until_done(watch_room(url, Room(stream, group, item), out=_out, err=_err, raw=json))


@app.command(name="version")
def show_version() -> None:
    """Print the version."""
    _out.print(version("realtime-streams"), highlight=False)


def _until_done(work: Coroutine[Any, Any, None]) -> None:
    try:
        uvloop.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except StreamsError as error:
        _err.print(Text(str(error), "red"), soft_wrap=True)
        raise typer.Exit(1) from None


def _log_to(console: Console) -> None:
    handler = RichHandler(console=console, show_path=False, log_time_format="%H:%M:%S")
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])
    for noisy in ("httpx", "uvicorn", "watchfiles", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
