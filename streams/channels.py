"""Ephemeral events: whom one is for, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import orjson

from streams.errors import EventRefused
from streams.keys import checked_name

DRAFT = "$draft"
"""Type of the events that `Stream.writer` sends. Types that begin with `$` are the library's own."""


class Channel(TypedDict, total=False):
    """The seed's way to say whom an event is for: a group, or one item of it."""

    groupId: str
    id: str


def addressed(channel: str | Channel) -> tuple[str, str | None]:
    """Group and item id (None: the group itself).

    Raises:
        EventRefused, InvalidName: It is no channel.
    """
    if isinstance(channel, str):
        return checked_name("group", channel), None
    if not isinstance(channel, Mapping) or "groupId" not in channel:
        raise EventRefused('a channel is a group, or {"groupId": ..., "id": ...}')
    item_id = channel.get("id")
    return checked_name("group", channel["groupId"]), None if item_id is None else checked_name(
        "item id", item_id
    )


def event_text(event: Mapping[str, Any]) -> bytes:
    """An event as JSON text.

    Raises:
        EventRefused: It has no type, or one of the library's own, or cannot become JSON.
    """
    if not isinstance(event, Mapping) or not isinstance(event.get("type"), str):
        raise EventRefused('an event is {"type": <string>, "data": ...}')
    if event["type"].startswith("$"):
        raise EventRefused(f"event types that begin with '$' are reserved; {event['type']!r} is one")
    try:
        return orjson.dumps({"type": event["type"], "data": event.get("data")})
    except TypeError as error:
        raise EventRefused(f"event {event['type']!r} cannot become JSON: {error}") from error


def text_units(text: str) -> int:
    """How long a text is in UTF-16 code units, as JavaScript counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
