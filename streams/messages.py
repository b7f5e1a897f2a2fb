"""What goes over a socket: parsing what clients send, encoding what they get.

The wire names are those of Motia's clients, so that these work unchanged.
Fields they do not know are added beside theirs: `rev` (the item's revision),
`at` (`epoch.position`: everything at or below it is on this socket) and
`time` (when the server committed the change, in milliseconds since 1970).

Motia's clients order frames by `timestamp` alone. It is computed from
positions, never read from a clock, so every gateway gives the same one to
the same change, and it rises with every write: `base + position / 16` ms.

Events have none, since no two gateways could agree on it: what a gateway
stamps would hide what the next one sends. Motia's clients take a frame
without a timestamp as it comes, and after it whatever comes next, which is
never older: an item goes back on no socket, and no `sync` is behind what
another gateway has sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import orjson

from streams.changes import json_object
from streams.errors import InvalidName, StreamsError
from streams.keys import checked_name

CLOSE_INTERNAL_ERROR = 1011
CLOSE_SERVICE_RESTART = 1012
"""Come back: this process ends, or what it sent no longer holds."""
CLOSE_TOO_SLOW = 4408
"""The client does not read as fast as its groups change. Come back for a fresh state."""

MAX_MESSAGE_BYTES = 64 * 1024
"""Longest message taken from a client."""


@dataclass(frozen=True, slots=True)
class Room:
    """What one subscription is about: a group, or one item of it."""

    stream: str
    group: str
    id: str | None = None

    def __str__(self) -> str:
        return f"{self.stream}/{self.group}" + ("" if self.id is None else f"/{self.id}")


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


Command: TypeAlias = Join | Leave | Ping


class BadMessage(StreamsError):
    """A client sent something that is not a message. The sentence goes back to it."""


class BadRoom(BadMessage):
    """A join names a room that cannot exist."""

    def __init__(self, stream: str, group: str, item_id: str | None, problem: str) -> None:
        self.stream, self.group, self.id = stream, group, item_id
        super().__init__(problem)


def parse(message: str | bytes) -> Command:
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
        case other:
            raise BadMessage(f"unknown message type {str(other)[:40]!r}; expected join, leave or ping")


def _join(fields: dict[str, Any]) -> Join:
    subscription = _text(fields, "subscriptionId")
    stream, group = _text(fields, "streamName"), _text(fields, "groupId")
    # An empty `id` means the whole group, as it does in Motia's clients.
    item_id = _text(fields, "id") if fields.get("id") else None
    try:
        checked_name("group", group)
        if item_id is not None:
            checked_name("item id", item_id)
    except InvalidName as error:
        raise BadRoom(stream, group, item_id, str(error)) from error
    return Join(subscription, Room(stream, group, item_id))


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


def timestamp(base_ms: float, position: int) -> float:
    """The order of a frame for Motia's clients. See the top of this module.

    Exact in a double as long as `base_ms` is a whole number and positions
    stay below 7 * 10^12.
    """
    return base_ms + position / 16


class Envelope:
    """Writes the frames of one group: the parts that never change are encoded once."""

    __slots__ = ("_names",)

    def __init__(self, stream: str, group: str) -> None:
        names = b',"streamName":' + orjson.dumps(stream) + b',"groupId":' + orjson.dumps(group)
        self._names = names + b',"id":'

    def changed(
        self,
        kind: Literal["create", "update", "delete"],
        item_id: str,
        item: bytes,
        *,
        timestamp: float,
        revision: int,
        time_ms: int,
    ) -> bytes:
        """One item was created, updated or deleted; `item` is its JSON text, for a delete the old one."""
        return (
            b'{"type":"stream","timestamp":%s%s%s,"rev":%d,"time":%d,"event":{"type":"%s","data":%s}}'
            % (_number(timestamp), self._names, orjson.dumps(item_id), revision, time_ms, kind.encode(), item)
        )  # fmt: skip

    def group_sync(self, items: Iterable[bytes], *, timestamp: float, at: str) -> bytes:
        """All items of the group, in order. Always an array."""
        return (
            b'{"type":"stream","timestamp":%s%snull,"at":%s,"event":{"type":"sync","data":[%s]}}'
            % (_number(timestamp), self._names, orjson.dumps(at), b",".join(items))
        )  # fmt: skip

    def item_sync(
        self, item_id: str, item: bytes | None, *, timestamp: float, at: str, revision: int | None
    ) -> bytes:
        """One item, or null when there is none: clients wait for either."""
        rev = b"" if revision is None else b',"rev":%d' % revision
        return (
            b'{"type":"stream","timestamp":%s%s%s%s,"at":%s,"event":{"type":"sync","data":%s}}'
            % (_number(timestamp), self._names, orjson.dumps(item_id), rev, orjson.dumps(at), item or b"null")
        )  # fmt: skip

    def event(self, item_id: str | None, event: bytes) -> bytes:
        """An ephemeral event; `event` is `{"type": ..., "data": ...}` as JSON text."""
        return (
            b'{"type":"stream"%s%s,"event":{"type":"event","event":%s}}'
            % (self._names, orjson.dumps(item_id), event)
        )  # fmt: skip

    def refused(self, item_id: str | None, code: str, sentence: str) -> list[bytes]:
        """Why a join did not happen, in the two forms that clients know.

        The first can be heard by an application (`onEvent('error')`), the
        second is what the newest clients expect. Its timestamp lies before
        anything that the room could get later.
        """
        error = orjson.dumps({"type": "error", "data": {"code": code, "message": sentence}})
        unauthorized = (
            b'{"type":"stream","timestamp":1%s%s,"event":{"type":"unauthorized","code":%s,"message":%s}}'
            % (
                self._names,
                orjson.dumps(item_id),
                orjson.dumps(code),
                orjson.dumps(sentence),
            )
        )
        return [self.event(item_id, error), unauthorized]


def bad_message(sentence: str) -> bytes:
    """The answer to something that is no message. Without `id` and room, so old clients ignore it."""
    return orjson.dumps({"type": "error", "code": "BAD_MESSAGE", "message": sentence})


PONG = b'{"type":"pong"}'


def _number(value: float) -> bytes:
    # repr is the shortest text that reads back as the same double, in every language.
    return repr(value).removesuffix(".0").encode()
