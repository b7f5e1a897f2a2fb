"""`streams ls`: the streams, the groups of one, the items of a group."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

import typer
from rich.text import Text

from streams.cli.arguments import (
    AsJson,
    NamespaceName,
    NatsUrl,
    stream_named,
    with_credentials,
)
from streams.cli.items import PANEL
from streams.cli.printing import counted, name, one_line, print_json, print_line, print_note
from streams.cli.running import CommandRefused, inside
from streams.jetstream.api import Existing, existing
from streams.jetstream.binding import connected
from streams.jetstream.connection import Connection, connected_to
from streams.jetstream.credentials import NOBODY, Credentials
from streams.keys import Namespace
from streams.settings import NATS_URL
from streams.store import Store

app = typer.Typer()


@app.command("ls", rich_help_panel=PANEL)
@with_credentials
def list_names(
    stream: Annotated[
        str | None,
        typer.Argument(metavar="STREAM", show_default=False, help="Its groups. Without it: the streams."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Argument(metavar="GROUP", show_default=False, help="Its items, in the order of creation."),
    ] = None,
    last: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, show_default=False, help="At most so many items, from the end."),
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(metavar="ID", show_default=False, help="Only items created before this one."),
    ] = None,
    nats: NatsUrl = NATS_URL,
    namespace: NamespaceName = "streams",
    credentials: Credentials = NOBODY,
    json: AsJson = False,
) -> None:
    """List the streams, the groups of a stream, or the items of a group.

    A stream holds at most as many items as it says: those that were deleted
    within the last hour are counted too.
    """
    if group is None and not (last is None and before is None):
        raise CommandRefused("--last and --before are for the items of a group; name a stream and a group")
    opened = connected(nats, namespace=namespace, credentials=credentials)
    if stream is None:
        _streams(connected_to(nats, name="streams ls", credentials=credentials), namespace, json)
    elif group is None:
        _groups(opened, stream, json)
    else:
        _items(opened, stream, group, last, before, json)


def _streams(opened: AbstractAsyncContextManager[Connection], namespace: str, json: bool) -> None:
    names = Namespace(namespace)

    async def found(connection: Connection) -> tuple[list[Existing], str]:
        return await existing(connection, names), connection.url

    buckets, url = inside(opened, found)
    if json:
        print_json(buckets)
        return
    for bucket in buckets:
        at_most = counted(bucket.items_at_most, "item")
        print_line(
            Text.assemble(
                (bucket.stream, "bold"), f"  at most {at_most}  ", (f"bucket {bucket.bucket}", "dim")
            )
        )
    if not buckets:
        print_note(
            f"there are no streams at {url} in namespace {namespace!r}; `streams provision` makes them"
        )


def _groups(opened: AbstractAsyncContextManager[Store], stream: str, json: bool) -> None:
    target = stream_named(stream, None)
    groups = inside(opened, lambda _: target.list_groups())
    if json:
        print_json(groups)
        return
    for group in groups:
        print_line(Text(name(group), "bold"))
    if not groups:
        print_note(f"{stream} holds no items")


def _items(
    opened: AbstractAsyncContextManager[Store],
    stream: str,
    group: str,
    last: int | None,
    before: str | None,
    json: bool,
) -> None:
    target = stream_named(stream, None)
    items: list[dict[str, Any]] = inside(opened, lambda _: target.get_group(group, last=last, before=before))
    if json:
        print_json(items)
        return
    for item in items:
        print_line(Text.assemble((name(str(item["id"])), "bold"), "  ", one_line(item)))
    if not items:
        print_note(
            f"{stream}/{group} holds no items" if before is None else f"nothing came before {name(before)}"
        )
