"""`streams get`, `set`, `update`, `delete` and `send`: one function per verb of a stream."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.text import Text

from streams.cli.arguments import (
    AsJson,
    GroupName,
    ItemId,
    ModelFolder,
    NamespaceName,
    NatsUrl,
    Revision,
    StreamName,
    json_from,
    stream_named,
    with_credentials,
)
from streams.cli.printing import counted, err, print_json, print_line, print_value
from streams.cli.running import CommandRefused, inside
from streams.jetstream.binding import connected
from streams.jetstream.credentials import NOBODY, Credentials
from streams.keys import address_of
from streams.ops import kind_of
from streams.settings import NATS_URL

app = typer.Typer()
PANEL = "Streams and items"

_ITEM = '{"text": "call mum"}'
_OPS = '[{"type": "increment", "path": "likes"}]'


@app.command("get", rich_help_panel=PANEL)
@with_credentials
def get_item(
    stream: StreamName,
    group: GroupName,
    item_id: ItemId,
    folder: ModelFolder = None,
    nats: NatsUrl = NATS_URL,
    namespace: NamespaceName = "streams",
    credentials: Credentials = NOBODY,
    json: AsJson = False,
) -> None:
    """Print one item. With --json its revision and its times too."""
    target = stream_named(stream, folder)
    entry = inside(
        connected(nats, namespace=namespace, credentials=credentials), lambda _: target.entry(group, item_id)
    )
    if entry is None:
        raise CommandRefused(f"there is no item {address_of(stream, group, item_id)}")
    if json:
        print_json(entry)
    else:
        print_value(entry.value)


@app.command("set", rich_help_panel=PANEL)
@with_credentials
def set_item(
    stream: StreamName,
    group: GroupName,
    item_id: ItemId,
    item: Annotated[
        str,
        typer.Argument(metavar="JSON", show_default=False, help=f"The item, such as '{_ITEM}'; - is stdin."),
    ],
    ttl: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", show_default=False, help="It vanishes by itself after so long; inf: never."
        ),
    ] = None,
    if_absent: Annotated[bool, typer.Option("--if-absent", help="Only if there is no item.")] = False,
    if_revision: Revision = None,
    folder: ModelFolder = None,
    nats: NatsUrl = NATS_URL,
    namespace: NamespaceName = "streams",
    credentials: Credentials = NOBODY,
    json: AsJson = False,
) -> None:
    """Create or replace one item."""
    target = stream_named(stream, folder)
    value = json_from(item, "the item", _ITEM)
    if not isinstance(value, dict):
        raise CommandRefused(f"an item is a JSON object such as '{_ITEM}', not {kind_of(value)}")
    done = inside(
        connected(nats, namespace=namespace, credentials=credentials),
        lambda _: target.set(group, item_id, value, ttl=ttl, if_absent=if_absent, if_revision=if_revision),
    )
    if json:
        print_json(done)
    else:
        print_line(f"{done.address} is set, revision {done.revision}")


@app.command("update", rich_help_panel=PANEL)
@with_credentials
def update_item(
    stream: StreamName,
    group: GroupName,
    item_id: ItemId,
    ops: Annotated[
        str,
        typer.Argument(
            metavar="OPS",
            show_default=False,
            help=f"A list of set, merge, increment, decrement, append, remove, such as '{_OPS}'; - is stdin.",
        ),
    ],
    folder: ModelFolder = None,
    nats: NatsUrl = NATS_URL,
    namespace: NamespaceName = "streams",
    credentials: Credentials = NOBODY,
    json: AsJson = False,
) -> None:
    """Change one item by operations, all or none."""
    target = stream_named(stream, folder)
    change = json_from(ops, "the list of operations", _OPS)
    if not isinstance(change, list):
        raise CommandRefused(f"operations are a JSON list such as '{_OPS}', not {kind_of(change)}")
    done = inside(
        connected(nats, namespace=namespace, credentials=credentials),
        lambda _: target.update(group, item_id, change),
    )
    if json:
        print_json(done)
    elif done.changed:
        print_line(f"{done.address} is updated, revision {done.revision}")
    else:
        print_line(f"{done.address} is as it was; the operations change nothing")


@app.command("delete", rich_help_panel=PANEL)
@with_credentials
def delete_items(
    stream: StreamName,
    group: GroupName,
    item_id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID", show_default=False, help="The item. Without it: every item of the group."
        ),
    ] = None,
    if_revision: Revision = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete a whole group without asking.")] = False,
    nats: NatsUrl = NATS_URL,
    namespace: NamespaceName = "streams",
    credentials: Credentials = NOBODY,
    json: AsJson = False,
) -> None:
    """Remove one item, or a whole group."""
    target = stream_named(stream, None)
    opened = connected(nats, namespace=namespace, credentials=credentials)
    if item_id is not None:
        done = inside(opened, lambda _: target.delete(group, item_id, if_revision=if_revision))
        if json:
            print_json(done)
        else:
            print_line(f"{done.address} {'was not there' if done.old_value is None else 'is deleted'}")
        return
    if if_revision is not None:
        raise CommandRefused("--if-revision is for one item; give its id")
    if not yes:
        _confirm(stream, group)
    count = inside(opened, lambda _: target.delete_group(group))
    if json:
        print_json({"stream": stream, "group": group, "deleted": count})
    else:
        print_line(f"{counted(count, 'item')} of {stream}/{group} deleted")


@app.command("send", rich_help_panel=PANEL)
@with_credentials
def send_event(
    stream: StreamName,
    group: GroupName,
    event_type: Annotated[
        str, typer.Argument(metavar="TYPE", show_default=False, help="What happened, for example typing.")
    ],
    content: Annotated[
        str, typer.Argument(metavar="JSON", help="The event's data, any JSON value; - is stdin.")
    ] = "null",
    item_id: Annotated[
        str | None,
        typer.Option(
            "--id", metavar="ID", show_default=False, help="The item it is about. Without it: the group."
        ),
    ] = None,
    nats: NatsUrl = NATS_URL,
    namespace: NamespaceName = "streams",
    credentials: Credentials = NOBODY,
    json: AsJson = False,
) -> None:
    """Tell everyone who watches a group, or one item of it, now. Kept nowhere."""
    target = stream_named(stream, None)
    event = {"type": event_type, "data": json_from(content, "the event's data", '{"author": "ann"}')}
    place = {"stream": stream, "group": group, "id": item_id}
    inside(
        connected(nats, namespace=namespace, credentials=credentials),
        lambda _: target.send(group if item_id is None else {"groupId": group, "id": item_id}, event),
    )
    if json:
        print_json({"address": place, "event": event})
    else:
        print_line(f"{event_type} is sent to {'/'.join(filter(None, place.values()))}")


def _confirm(stream: str, group: str) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise CommandRefused(f"nobody can be asked here; add --yes to delete every item of {stream}/{group}")
    # Not `typer.confirm`: it prints a space on standard output, where only the answer belongs.
    err.print(Text(f"Delete every item of {stream}/{group}? [y/N] "), end="", soft_wrap=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandRefused("nothing was deleted")
