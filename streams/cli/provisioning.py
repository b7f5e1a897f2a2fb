"""`streams provision` and `streams check`: what the files of an application declare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer
from rich.text import Text

from streams.cli.arguments import (
    AsJson,
    NamespaceName,
    NatsUrl,
    application_in,
    with_credentials,
)
from streams.cli.printing import print_json, print_line, print_note
from streams.cli.running import inside
from streams.jetstream.bucket import Provisioned
from streams.jetstream.connection import Connection, connected_to
from streams.jetstream.credentials import NOBODY, Credentials
from streams.jetstream.provisioning import provision_application
from streams.keys import Namespace
from streams.memory import MemoryStore
from streams.settings import NATS_URL
from streams.stream import Stream

app = typer.Typer()
PANEL = "An application's files"

Folder: TypeAlias = Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the streams and steps are.")]
FUNCTIONS = Path("functions")

_STYLES = {"created": "green", "updated": "yellow", "unchanged": "dim"}


@app.command("provision", rich_help_panel=PANEL)
@with_credentials
def provision_streams(
    folder: Folder = FUNCTIONS,
    replicas: Annotated[
        int, typer.Option(min=1, max=5, help="Servers that keep a bucket. One that exists keeps its number.")
    ] = 1,
    new_epoch: Annotated[
        bool,
        typer.Option(
            "--new-epoch",
            help="After NATS was restored from a backup: let all clients start over, so that none keeps what "
            "is not there any more.",
        ),
    ] = False,
    nats: NatsUrl = NATS_URL,
    namespace: NamespaceName = "streams",
    credentials: Credentials = NOBODY,
    json: AsJson = False,
) -> None:
    """Make or bring up to date the bucket of every stream that a folder declares. Safe to run again.

    Besides, the bucket `revoked` is made: what `streams revoke` writes.
    """
    streams = application_in(folder).streams
    names = Namespace(namespace)

    async def each(connection: Connection) -> list[Provisioned]:
        done: list[Provisioned] = []
        buckets = provision_application(connection, names, streams, replicas=replicas, is_restored=new_epoch)
        async for bucket in buckets:
            done.append(bucket)
            if not json:
                # Said at once: when the next one fails, this one is done all the same.
                _print(bucket)
        return done

    done = inside(connected_to(nats, name="streams provision", credentials=credentials), each)
    if json:
        print_json(done)
    elif not streams:
        print_note(f"no file below {folder} ends in _stream.py, so there is no stream to provision")


@app.command("check", rich_help_panel=PANEL)
def check_application(folder: Folder = FUNCTIONS, json: AsJson = False) -> None:
    """Load streams and steps without NATS, and print them, or everything that is wrong with them."""
    from streams.faas.asgi import functions_app

    application = application_in(folder)
    # Finds the handlers that FastAPI does not take.
    functions_app(application, MemoryStore())
    streams, auth = application.streams, application.auth
    steps = [(step, str(trigger)) for step in application.steps for trigger in step.config.triggers]
    if json:
        print_json(
            {
                "auth": None if auth is None else auth.path,
                "streams": [
                    {"name": stream.name, "access": _access(stream), "send": stream.can_send is not None}
                    for stream in streams
                ],
                "steps": [
                    {"name": step.config.name, "trigger": trigger, "file": step.path}
                    for step, trigger in steps
                ],
            }
        )
        return
    if auth is not None:
        print_line(Text.assemble("auth    ", ("authenticate", "bold"), "  ", (auth.path.name, "dim")))
    for stream in streams:
        who, can_send = _WHO[_access(stream)], "" if stream.can_send is None else "  clients may send"
        print_line(Text.assemble("stream  ", (stream.name, "bold"), "  ", who, can_send))
    for step, trigger in steps:
        file = str(step.path.relative_to(application.folder))
        print_line(Text.assemble("step    ", (trigger, "bold"), f"  {step.config.name}  ", (file, "dim")))
    if not streams and not steps:
        print_note(f"no file below {folder} ends in _stream.py or _step.py")
    if everybody := [stream.name for stream in streams if _access(stream) == "everybody"]:
        # Meant or forgotten, it looks the same. `streams dev` runs on one machine, and need not ask.
        print_note(f"everybody may see: {', '.join(everybody)}; give them can_access, or say public=True")


_WHO = {
    "everybody": ("open to everybody", "yellow"),
    "public": ("public", "green"),
    "rule": ("can_access", "green"),
}


def _access(stream: Stream[Any]) -> Literal["everybody", "public", "rule"]:
    if stream.can_access is not None:
        return "rule"
    return "public" if stream.public else "everybody"


def _print(done: Provisioned) -> None:
    outcome, bucket = (done.outcome, _STYLES[done.outcome]), (f"bucket {done.bucket}", "dim")
    print_line(Text.assemble((done.stream, "bold"), "  ", outcome, "  ", bucket))
