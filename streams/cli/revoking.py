"""`streams revoke`: tokens that do not count any more."""

from __future__ import annotations

import time
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from streams.auth.revocations import Revocation, revocations, revoke, unrevoke
from streams.cli.arguments import AsJson, NamespaceName, NatsUrl, with_credentials
from streams.cli.printing import name, print_json, print_line, print_note
from streams.cli.running import CommandRefused, inside
from streams.cli.tokens import PANEL
from streams.errors import UnknownStream
from streams.jetstream.binding import connected
from streams.jetstream.credentials import NOBODY, Credentials
from streams.settings import NATS_URL
from streams.store import Store

app = typer.Typer()


@app.command("revoke", rich_help_panel=PANEL)
@with_credentials
def revoke_tokens(
    sub: Annotated[
        str | None,
        typer.Option(
            metavar="USER", show_default=False, help="Only tokens of this user, as their `sub` says."
        ),
    ] = None,
    stream: Annotated[
        str | None, typer.Option(metavar="STREAM", show_default=False, help="Only in this stream.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(metavar="GROUP", show_default=False, help="Only in this group of the stream."),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take it back: the tokens count again.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Print what is revoked.")] = False,
    nats: NatsUrl = NATS_URL,
    namespace: NamespaceName = "streams",
    credentials: Credentials = NOBODY,
    json: AsJson = False,
) -> None:
    """Let no token count that was made before now: of a user, in a stream, in a group, or of a user there.

    Whoever is connected with one is sent away within moments. A new token
    counts, once the leeway of the gateways' clocks has passed.
    """
    opened = connected(nats, namespace=namespace, credentials=credentials)
    if listed:
        if undo or (sub, stream, group) != (None, None, None):
            raise CommandRefused("--list prints everything that is revoked; give it alone")
        _list(opened, namespace, json)
        return
    if sub is None and stream is None:
        raise CommandRefused(
            "name whose tokens are meant: --sub USER, --stream STREAM, or --stream STREAM --group GROUP; "
            "--list prints what is revoked"
        )
    revocation = Revocation(sub, stream, group, time.time())
    if undo:
        _undo(opened, namespace, revocation, json)
    else:
        _revoke(opened, namespace, revocation, json)


def _revoke(
    opened: AbstractAsyncContextManager[Store], namespace: str, revocation: Revocation, json: bool
) -> None:
    try:
        holds = inside(opened, lambda store: revoke(store, revocation))
    except UnknownStream as error:
        raise _not_provisioned(namespace) from error
    if json:
        print_json(holds)
        return
    said = f"{_tokens(holds)} made before {_moment(holds)} do not count any more{_place(holds)}"
    print_line(said if holds.sub is not None else f"{said}; without one, nobody gets in there")


def _undo(
    opened: AbstractAsyncContextManager[Store], namespace: str, revocation: Revocation, json: bool
) -> None:
    sub, stream, group = revocation.target
    try:
        was_there = inside(opened, lambda store: unrevoke(store, sub=sub, stream=stream, group=group))
    except UnknownStream as error:
        raise _not_provisioned(namespace) from error
    if json:
        print_json({"sub": sub, "stream": stream, "group": group, "was_revoked": was_there})
    elif was_there:
        print_line(
            f"{_tokens(revocation)} count again{_place(revocation)}, as far as nothing else is revoked"
        )
    else:
        print_line(f"{_tokens(revocation)} were not revoked{_place(revocation)}")


def _list(opened: AbstractAsyncContextManager[Store], namespace: str, json: bool) -> None:
    try:
        found = inside(opened, revocations)
    except UnknownStream as error:
        raise _not_provisioned(namespace) from error
    if json:
        print_json(found)
        return
    for revocation in found:
        who = "everybody" if revocation.sub is None else name(revocation.sub)
        before = f"  tokens made before {_moment(revocation)}"
        print_line(Text.assemble((who, "bold"), _place(revocation), (before, "dim")))
    if not found:
        print_note("nothing is revoked")


def _tokens(revocation: Revocation) -> str:
    return "tokens" if revocation.sub is None else f"tokens of {name(revocation.sub)}"


def _place(revocation: Revocation) -> str:
    if revocation.stream is None:
        return ""
    where = revocation.stream if revocation.group is None else f"{revocation.stream}/{name(revocation.group)}"
    return f" in {where}"


def _moment(revocation: Revocation) -> str:
    try:
        return f"{datetime.fromtimestamp(revocation.not_before, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        # Another program wrote it, in milliseconds perhaps.
        return f"second {revocation.not_before:g} since 1970"


def _not_provisioned(namespace: str) -> CommandRefused:
    return CommandRefused(
        f"namespace {namespace!r} has no bucket for what is revoked; run `streams provision` first"
    )
