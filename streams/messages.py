"""What clients say: their messages, read.

Two dialects. The plain one is that of Motia's clients: join, leave and ping.
The extended one, which a client asks for by the subprotocol `streams.v2`,
has more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from streams.access import Subscription
from streams.changes import json_object
from streams.errors import InvalidName, StreamsError
from streams.keys import checked_name

CLOSE_INTERNAL_ERROR = 1011
CLOSE_SERVICE_RESTART = 1012
"""Come back: this process ends, or what it sent no longer holds."""
CLOSE_UNAUTHORIZED = 4401
"""The token ended, was revoked, or is not accepted. Come back with a new one."""
CLOSE_TOO_SLOW = 4408
"""The client does not read as fast as its groups change. Come back for a fresh state."""

EXTENDED = "streams.v2"
"""The subprotocol by which a client asks for the extended dialect."""

MAX_MESSAGE_BYTES = 64 * 1024
"""Longest message taken from a client."""

MAX_REF_LENGTH = 100
"""Longest `ref`, in characters."""

MAX_LAST = 1000
"""Most items that a client may ask for by their number."""


Room: TypeAlias = Subscription
"""What one subscription of a client is about."""


@dataclass(frozen=True, slots=True)
class Join:
    subscription: str
    room: Room
    since: str | None = None
    """Up to which position (`at`) the client has the room already; None: it has nothing."""
    last: int | None = None
    """How many of the newest items it wants; None: all of them."""


@dataclass(frozen=True, slots=True)
class Leave:
    subscription: str


@dataclass(frozen=True, slots=True)
class Ids:
    """A client has not what the digest says, and asks which items there are."""

    subscription: str


@dataclass(frozen=True, slots=True)
class Page:
    """A client wants the items before one that it has."""

    subscription: str
    before: str
    last: int


@dataclass(frozen=True, slots=True)
class Ping:
    """A client that cannot send WebSocket pings asks whether the line is alive."""


@dataclass(frozen=True, slots=True)
class Pong:
    """An answer to the ping of ours that a browser can see."""


@dataclass(frozen=True, slots=True)
class Auth:
    """A token: the first one, or a fresh one of the same user."""

    token: str

    def __repr__(self) -> str:
        return "Auth(...)"


@dataclass(frozen=True, slots=True)
class Send:
    """An event to everybody who watches a room."""

    room: Room
    event: dict[str, Any]
    ref: str | int | None
    """What the answer is to carry; None: no answer is wanted."""


Plain: TypeAlias = Join | Leave | Ping
Command: TypeAlias = Plain | Ids | Page | Pong | Auth | Send


class BadMessage(StreamsError):
    """A client sent something that is not a message. The sentence goes back to it."""

    def __init__(self, sentence: str, ref: str | int | None = None) -> None:
        self.ref = ref
        super().__init__(sentence)


class BadRoom(BadMessage):
    """A join names a room that cannot exist."""

    def __init__(self, stream: str, group: str, item_id: str | None, problem: str) -> None:
        self.stream, self.group, self.id = stream, group, item_id
        super().__init__(problem)


def parse(message: str | bytes, *, is_extended: bool = False) -> Command:
    """What a client asks for. Text and binary messages are read alike.

    Raises:
        BadRoom: A join of a room with an impossible name: refused in that room.
        BadMessage: Anything else that is not a message.
    """
    # What is no Unicode stays none, and so is no JSON either.
    value = json_object(message.encode(errors="surrogatepass") if isinstance(message, str) else message)
    if value is None:
        raise BadMessage("a message is a JSON object with a `type`")
    match value.get("type"):
        case "join":
            fields = _fields(value)
            return _extended_join(fields) if is_extended else _join(fields)
        case "leave":
            return Leave(_text(_fields(value), "subscriptionId"))
        case "ping":
            return Ping()
        case "ids" if is_extended:
            return Ids(_text(_fields(value), "subscriptionId"))
        case "page" if is_extended:
            fields = _fields(value)
            return Page(_text(fields, "subscriptionId"), _text(fields, "before"), _last(fields.get("last")))
        case "pong" if is_extended:
            return Pong()
        case "auth" if is_extended:
            if not isinstance(token := value.get("token"), str):
                raise BadMessage("`token` is missing or not a string")
            return Auth(token)
        case "send" if is_extended:
            return _send(value)
        case other:
            known = (
                "join, leave, ids, page, ping, pong, auth or send" if is_extended else "join, leave or ping"
            )
            raise BadMessage(f"unknown message type {str(other)[:40]!r}; expected {known}")


def _join(fields: dict[str, Any]) -> Join:
    return Join(_text(fields, "subscriptionId"), _room(fields))


def _extended_join(fields: dict[str, Any]) -> Join:
    join = _join(fields)
    # Null means the same as nothing, so that a client may always write both.
    since, last = fields.get("since"), fields.get("last")
    if since is not None and not isinstance(since, str):
        raise BadMessage("`data.since` is no string; give the `at` of what you have, or nothing")
    if last is not None and join.room.id is not None:
        raise BadMessage("`data.last` is for groups, and `data.id` names an item")
    return replace(join, since=since, last=None if last is None else _last(last))


def _last(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_LAST:
        raise BadMessage(f"`data.last` is a whole number from 1 to {MAX_LAST}")
    return value


def _send(value: dict[str, Any]) -> Send:
    ref = value.get("ref")
    if isinstance(ref, bool) or not isinstance(ref, str | int | None) or len(str(ref)) > MAX_REF_LENGTH:
        raise BadMessage(f"`ref` is a number or at most {MAX_REF_LENGTH} characters")
    try:
        fields = _fields(value)
        event = fields.get("event")
        if not isinstance(event, dict):
            raise BadMessage('`data.event` is {"type": ..., "data": ...}')
        return Send(_room(fields), event, ref)
    except BadMessage as error:
        raise BadMessage(str(error), ref) from error


def _room(fields: dict[str, Any]) -> Room:
    stream, group = _text(fields, "streamName"), _text(fields, "groupId")
    # An empty `id` means the whole group, as it does in Motia's clients.
    item_id = _text(fields, "id") if fields.get("id") else None
    try:
        checked_name("group", group)
        if item_id is not None:
            checked_name("item id", item_id)
    except InvalidName as error:
        raise BadRoom(stream, group, item_id, str(error)) from error
    return Room(stream, group, item_id)


def _fields(value: dict[str, Any]) -> dict[str, Any]:
    fields = value.get("data")
    if not isinstance(fields, dict):
        raise BadMessage(f"a {value['type']} message has its fields in `data`, an object")
    return fields


def _text(fields: dict[str, Any], name: str) -> str:
    text = fields.get(name)
    if not isinstance(text, str):
        raise BadMessage(f"`data.{name}` is missing or not a string")
    return text
