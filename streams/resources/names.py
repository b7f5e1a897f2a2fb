"""Names in a URL: any name as one path segment, percent-encoded.

Segments are taken from the path as it was sent. A framework decodes first
and splits then, so that `a%2Fb` becomes two segments, and `%0A` ends one.

Two names cannot stand in a path: browsers and most libraries take `.` and
`..`, encoded or not, for steps between folders, and leave them out before
they send anything. Every name can stand in the query instead:
`/streams/todo?group=..&id=.` means what the path means.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from fastapi import Depends, Path
from starlette.types import Scope

from streams.access import Subscription
from streams.errors import InvalidName
from streams.keys import checked_name

PREFIX = "/streams"
EVENTS = "events"


def is_resource(path: str) -> bool:
    """Whether a path, encoded or decoded, belongs to this API."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def with_encoded_path(scope: Scope) -> Scope:
    """The scope with a path in which every segment is still encoded, so that `/` only separates."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    path = raw.partition(b"?")[0].decode("latin-1")
    asked = parse_qsl(scope["query_string"].decode("latin-1"), errors="surrogateescape")
    named = {name: value for name, value in asked if name in ("group", "id") and value}
    if named:
        path = _with_names(path, named, is_event=scope["method"] == "POST")
    return {**scope, "path": path, "raw_path": path.encode("latin-1")}


def subscription_in(path: str) -> Subscription | None:
    """The group or the item that an encoded path is of; None: it is of neither.

    The name of the stream is as it stands there, known or not.

    Raises:
        InvalidName: Nothing can have such a name.
    """
    prefix, *names = path.removeprefix("/").split("/")
    if f"/{prefix}" != PREFIX or not all(names):
        return None
    match names:
        case [stream, group]:
            return Subscription(stream, _decoded("group", group))
        case [stream, group, item_id]:
            return Subscription(stream, _decoded("group", group), _decoded("item id", item_id))
        case _:
            return None


def _with_names(path: str, named: dict[str, str], *, is_event: bool) -> str:
    """Names of the query, put where the path has none."""
    segments = path.removeprefix(PREFIX).strip("/").split("/")
    tail = [segments.pop()] if is_event and segments[-1] == EVENTS and "group" in named else []
    for place, name in enumerate(("group", "id"), start=1):
        if name in named and len(segments) == place:
            segments.append(quote(named[name], safe="", errors="surrogateescape"))
    return "/".join([PREFIX, *segments, *tail])


def _decoded(kind: str, segment: str) -> str:
    try:
        name = unquote_to_bytes(segment.encode("latin-1")).decode()
    except UnicodeError:
        raise InvalidName(kind, segment, "is not percent-encoded UTF-8") from None
    return checked_name(kind, name)


def _group(group: Annotated[str, Path(description="Percent-encoded. Or `?group=`.")]) -> str:
    return _decoded("group", group)


def _item_id(id: Annotated[str, Path(description="Percent-encoded. Or `?id=`.")]) -> str:
    return _decoded("item id", id)


GroupName: TypeAlias = Annotated[str, Depends(_group)]
ItemId: TypeAlias = Annotated[str, Depends(_item_id)]
