"""What several commands are told, and how it is read."""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeAlias

import typer

from streams.cli.options import Option, together
from streams.cli.running import CommandRefused
from streams.discovery import Application, discover
from streams.errors import UnknownStream
from streams.jetstream.credentials import NOBODY as NOBODY
from streams.jetstream.credentials import Credentials, is_address, printable, server_at
from streams.settings import nats_credentials
from streams.stream import Stream

PANEL = "NATS"


def checked_url(url: str) -> str:
    """The address of a server, as it was given.

    Raises:
        CommandRefused: It can be none.
    """
    if not is_address(server_at(url).url):
        raise CommandRefused(
            f"--nats {printable(url)!r} is not the address of a server; expected nats://HOST:PORT"
        )
    return url


def _origin(help: str) -> Any:
    return typer.Option(
        "--origin",
        envvar="STREAMS_ORIGINS",
        metavar="ORIGIN",
        show_default=False,
        help=f"{help} Such as https://app.example.com or https://*.example.com; may be given several times.",
    )


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
        callback=checked_url,
        help="The NATS server: nats:// or, with TLS, tls://. `streams dev` says where its own one is.",
        rich_help_panel=PANEL,
    ),
]
NamespaceName: TypeAlias = Annotated[
    str,
    typer.Option(envvar="STREAMS_NAMESPACE", help="Deployment stage: the beginning of every bucket's name."),
]
OriginNames: TypeAlias = Annotated[
    list[str] | None, _origin("Pages that may talk to it besides those of this machine.")
]
ListedOrigins: TypeAlias = Annotated[
    list[str] | None,
    _origin("Pages that may talk to it. Without it, no page may; programs that are no browsers may."),
]
OwnOrigins: TypeAlias = Annotated[
    list[str] | None, _origin("Pages that may talk to it besides its own at the address that it listens on.")
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


def _file(help: str) -> Option:
    return Option(
        Annotated[
            str | None, typer.Option(metavar="FILE", show_default=False, help=help, rich_help_panel=PANEL)
        ]
    )


# A user with a password, and a token, are for the environment only: what was typed is in the
# list of processes, for everyone on the machine to see.
_CREDENTIALS = {
    "creds": _file(
        "The .creds file to log in with. Or STREAMS_NATS_CREDS, or STREAMS_NATS_TOKEN, or STREAMS_NATS_USER "
        "and STREAMS_NATS_PASSWORD."
    ),
    "nkey": _file("File with the seed of an nkey to log in with. Or STREAMS_NATS_NKEY."),
    "tls_ca": _file("The authority that the server's certificate is of. Or STREAMS_NATS_TLS_CA."),
    "tls_cert": _file("Our own certificate, where the server wants one. Or STREAMS_NATS_TLS_CERT."),
    "tls_key": _file("The key of --tls-cert, where it is a file of its own. Or STREAMS_NATS_TLS_KEY."),
}


def _credentials(**given: str | None) -> Credentials:
    return nats_credentials(os.environ, **given)


with_credentials = together("credentials", _CREDENTIALS, _credentials)
"""Gives a command the options for logging in to NATS. It is called with the `credentials` made of them."""


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
