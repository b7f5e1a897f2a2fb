"""What clients say: their messages, read.

Two dialects. The plain one is that of Motia's clients: join, leave and ping.
The extended one, which a client asks for by the subprotocol `streams.v2`,
has more.
"""

from __future__ import annotations

from dataclasses import dataclass
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


Room: TypeAlias = Subscription
"""What one subscription of a client is about."""


@dataclass(frozen=True, slots=True)
class Join:
    subscription: str
    room: Room


@dataclass(frozen=True, slots=True)
class Leave:
    subscription: str


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
Command: TypeAlias = Plain | Pong | Auth | Send


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
            return _join(_fields(value))
        case "leave":
            return Leave(_text(_fields(value), "subscriptionId"))
        case "ping":
            return Ping()
        case "pong" if is_extended:
            return Pong()
        case "auth" if is_extended:
            if not isinstance(token := value.get("token"), str):
                raise BadMessage("`token` is missing or not a string")
            return Auth(token)
        case "send" if is_extended:
            return _send(value)
        case other:
            known = "join, leave, ping, pong, auth or send" if is_extended else "join, leave or ping"
            raise BadMessage(f"unknown message type {str(other)[:40]!r}; expected {known}")


def _join(fields: dict[str, Any]) -> Join:
    return Join(_text(fields, "subscriptionId"), _room(fields))


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
