"""`streams watch`: a room's frames as lines a person reads."""

from __future__ import annotations

import sys
from contextlib import aclosing
from datetime import datetime
from typing import Any

import orjson
from rich.console import Console
from rich.text import Text

from streams.client.watching import frames
from streams.errors import StreamsError
from streams.messages import Room

_STYLES = {"create": "green", "update": "yellow", "delete": "red", "event": "cyan", "sync": "bold"}


class JoinRefused(StreamsError):
    """The gateway does not let us into the room."""


async def watch_room(
    url: str, room: Room, *, out: Console, err: Console, raw: bool, token: str | None = None
) -> None:
    """Print a room until interrupted.

    Raises:
        JoinRefused: The gateway refuses the room; the sentence is its own.
        TokenRefused: It does not let us in.
    """
    said_away = False

    def away(error: Exception) -> None:
        nonlocal said_away
        if not said_away:
            err.print(
                f"{url} cannot be reached ({error}); trying on", style="yellow", markup=False, highlight=False
            )
        said_away = True

    # Closed in order: what it waits for would otherwise end after the loop has.
    async with aclosing(frames(url, room, away=away, token=token)) as heard:
        async for frame in heard:
            message: dict[str, Any] = orjson.loads(frame)
            if message.get("type") != "stream":
                continue
            said_away = False
            event = message["event"]
            if event["type"] == "unauthorized":
                raise JoinRefused(f"{room}: {event.get('message', 'refused')}")
            if raw:
                sys.stdout.write(frame.decode() + "\n")
                sys.stdout.flush()
            elif not _is_refusal(event):
                for line in _lines(room, message, event):
                    out.print(line, soft_wrap=True)


def _is_refusal(event: dict[str, Any]) -> bool:
    # The same refusal in the form of older clients; the newer one follows and ends the watch.
    return bool(event["type"] == "event" and event["event"].get("type") == "error")


def _lines(room: Room, message: dict[str, Any], event: dict[str, Any]) -> list[Text]:
    if event["type"] == "sync":
        return _state(room, event["data"])
    when = datetime.fromtimestamp(message["time"] / 1000) if "time" in message else datetime.now()
    what = event["event"] if event["type"] == "event" else event["data"]
    where = f"{room.group}/{message['id']}" if message.get("id") else room.group
    return [
        Text.assemble(
            (f"{when:%H:%M:%S.%f}"[:-3], "dim"),
            " ",
            (f"{event['type']:6}", _STYLES.get(event["type"], "")),
            " ",
            (where, "bold"),
            " ",
            _json(what),
        )
    ]


def _state(room: Room, data: Any) -> list[Text]:
    items = data if isinstance(data, list) else [data] if data is not None else []
    count = "1 item" if len(items) == 1 else f"{len(items)} items"
    head = Text.assemble((f"{room}", "bold"), f"  {count}")
    return [head, *(Text(f"  {_json(item)}") for item in items)]


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
