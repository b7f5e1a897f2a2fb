"""What several commands are told, and how it is read."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeAlias
from urllib.parse import urlsplit

import typer

from streams.cli.running import CommandRefused
from streams.discovery import Application, discover
from streams.errors import UnknownStream
from streams.stream import Stream

NATS_URL = "nats://127.0.0.1:4222"


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url if "://" in url else f"nats://{url}")
        is_one = parts.scheme in ("nats", "tls") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise CommandRefused(f"--nats {url!r} is not the address of a server; expected nats://HOST:PORT")
    return url


StreamName: TypeAlias = Annotated[
    str, typer.Argument(metavar="STREAM", show_default=False, help="The stream, for example todo.")
]
GroupName: TypeAlias = Annotated[
    str, typer.Argument(metavar="GROUP", show_default=False, help="The group, for example inbox.")
]
ItemId: TypeAlias = Annotated[str, typer.Argument(metavar="ID", show_default=False, help="The item's id.")]
NatsUrl: TypeAlias = Annotated[
    str,
    typer.Option(
        envvar="STREAMS_NATS_URL",
        metavar="URL",
        callback=_checked_url,
        help="The NATS server. `streams dev` says where its own one is.",
    ),
]
NamespaceName: TypeAlias = Annotated[
    str,
    typer.Option(envvar="STREAMS_NAMESPACE", help="Deployment stage: the beginning of every bucket's name."),
]
ModelFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        show_default=False,
        help="Where the stream is declared: its model and its time to live count then. "
        "Without it, an item is any JSON object.",
    ),
]
Revision: TypeAlias = Annotated[
    int | None,
    typer.Option(metavar="N", show_default=False, help="Only if that is the item's revision now."),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document, on one line.")]


def stream_named(name: str, folder: Path | None) -> Stream[Any]:
    """The stream as it is declared in `folder`; without one, a stream of any JSON objects.

    Raises:
        InvalidName: No stream can have that name.
        UnknownStream: The folder does not declare it.
        DiscoveryFailed: The folder cannot be loaded.
    """
    if folder is None:
        return Stream(name, dict)
    declared = {stream.name: stream for stream in application_in(folder).streams}
    if name not in declared:
        raise UnknownStream(name, declared)
    return declared[name]


def application_in(folder: Path) -> Application:
    """The streams and steps of a folder. What its files print goes where it is not taken for our answer.

    Raises:
        DiscoveryFailed: Names every file that cannot be used.
    """
    with redirect_stdout(sys.stderr):
        return discover(folder)


def json_from(text: str, what: str, example: str) -> Any:
    """The value of an argument in JSON; `-` stands for standard input.

    Raises:
        CommandRefused: It is not JSON. The sentence says where.
    """
    given: str | bytes = text
    if text == "-":
        given = b"" if sys.stdin is None else sys.stdin.buffer.read()
    try:
        return json.loads(given, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        problem = f"{error.msg} at line {error.lineno}, column {error.colno}"
    except UnicodeDecodeError as error:
        problem = f"byte {error.start} is no {error.encoding} text"
    except RecursionError:
        problem = "it is nested too deeply"
    except ValueError as error:
        problem = str(error)
    raise CommandRefused(f"{what} is not JSON: {problem}; expected something like '{example}'")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number there")
