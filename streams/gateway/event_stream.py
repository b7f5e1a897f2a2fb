"""The same frames as server-sent events, for those who cannot open a WebSocket, and for `curl`.

`GET /streams?join=todo/inbox&join=todo/inbox/42`, or `GET /streams/todo/inbox`
for one room, with `Accept: text/event-stream`. It is a client of the extended
dialect that says nothing: it joins what its address names, by the same rules.
The `id` of an event is what it takes to come back: the position of each room,
in the order of the address. A browser sends it as `Last-Event-ID` by itself.

See https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

import orjson

from streams.auth.origins import is_loopback_host
from streams.gateway.admission import Admitted
from streams.gateway.client_line import NO_CLOSE, ClientLine
from streams.gateway.frames import payloads
from streams.gateway.guest import Guest
from streams.gateway.handshake import Opening
from streams.messages import MAX_LAST, Room

PATH = "/streams"
MOST_JOINS = 64
"""Rooms that one address may name. With all else that may be in it, that is less than 100 parameters."""

RETRY_MS = 2000
"""How long a browser waits before it comes back."""


class BadAddress(Exception):
    """It names no rooms. The sentence goes to the client."""


class Wanted(NamedTuple):
    """What an address asks for."""

    rooms: list[Room]
    last: int | None
    """How many of the newest items of each group; None: all."""
    since: list[str | None]
    """The position of each room that the client has."""


def is_event_stream(method: bytes, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether somebody asks for one. Others may have the same address."""
    path = target.partition(b"?")[0]
    accepts = (value for name, value in headers if name == b"accept")
    return (
        method == b"GET"
        and (path == b"/streams" or path.startswith(b"/streams/"))
        and any(b"text/event-stream" in value.lower() for value in accepts)
    )


def read_address(target: str, headers: Mapping[str, str]) -> Wanted:
    """What is asked for.

    Raises:
        BadAddress: It cannot be had.
    """
    path, _, asked = target.partition("?")
    query = parse_qsl(asked, keep_blank_values=True, max_num_fields=2 * MOST_JOINS)
    names = [value for name, value in query if name == "join"]
    if path.removeprefix(PATH).strip("/"):
        # Still encoded: what was decoded could not be taken apart any more.
        names.insert(0, path.removeprefix(PATH + "/"))
    if not names:
        raise BadAddress("name what to watch: /streams/todo/inbox, or /streams?join=todo/inbox&join=...")
    if len(names) > MOST_JOINS:
        raise BadAddress(f"{len(names)} rooms are more than {MOST_JOINS}")
    rooms, last = [_room(name) for name in names], dict(query).get("last")
    if last is not None and not (last.isascii() and last.isdecimal() and 1 <= int(last[:9]) <= MAX_LAST):
        raise BadAddress(f"`last` is a whole number from 1 to {MAX_LAST}")
    # A page that begins anew can say it, too: browsers send the header only when they come back.
    known = headers.get("last-event-id") or dict(query).get("lastEventId", "")
    since: list[str | None] = [at or None for at in known.split(",")]
    if len(since) != len(rooms):
        since = [None for _ in rooms]
    return Wanted(rooms, None if last is None else int(last), since)


def _room(name: str) -> Room:
    parts = [unquote(part) for part in name.split("/")]
    if len(parts) not in (2, 3) or not all(parts):
        raise BadAddress(
            f"{name[:80]!r} is no room; it is stream/group, or stream/group/id, each percent-encoded"
        )
    return Room(parts[0], parts[1], parts[2] if len(parts) == 3 else None)


class EventStream(ClientLine):
    """One connection, from its request to its end."""

    __slots__ = ("_closed_with", "_positions", "_wanted")

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state)
        self._closed_with = NO_CLOSE
        self._wanted = Wanted([], None, [])
        self._positions: dict[Room, str] = {}

    def requested(self, target: str, headers: Iterable[tuple[str, str]]) -> None:
        """Somebody asks for it."""
        opening = Opening.of(target, headers, "")
        try:
            # A page may ask without saying that it is one, where its own name points to us.
            if self._origins.is_local and not is_loopback_host(opening.headers.get("host")):
                raise BadAddress("the development server answers to localhost and 127.0.0.1 only")
            self._wanted = read_address(target, opening.headers)
        except (BadAddress, ValueError) as error:
            self._refuse(_refusal("INVALID_PARAMETER", str(error)))
            return
        self.asked(opening)

    # What the hub asks of it.

    def write(self, frames: bytes) -> None:
        if self._is_open:
            super().write(b"".join(self._events(frames)))

    def close(self, code: int, reason: str) -> None:
        if self._is_open:
            self._closed_with = code
            told = orjson.dumps({"type": "close", "code": code, "reason": reason})
            self._transport.write(b"data: " + told + b"\n\n")
        self._stop()
        self._transport.close()

    # What uvicorn asks of it.

    def data_received(self, data: bytes) -> None:
        """Nothing more is heard of a client that has asked."""

    # The conversation, which is ours alone.

    def _begin(self, admitted: Admitted) -> Guest:
        origin = admitted.upgrade.origin
        across = "" if origin is None else f"Access-Control-Allow-Origin: {origin}\r\nVary: Origin\r\n"
        self._transport.write(
            (
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
                # For nginx, which would keep events until they are many.
                f"X-Accel-Buffering: no\r\nConnection: close\r\n{across}\r\nretry: {RETRY_MS}\n\n"
            ).encode("latin-1")
        )
        return Guest(self._hub, self, admitted.caller, admitted.upgrade.request, is_extended=True)

    def _open(self, admitted: Admitted) -> None:
        super()._open(admitted)
        for number, (room, since) in enumerate(zip(self._wanted.rooms, self._wanted.since, strict=True)):
            if self._guest is None:
                return
            data = {
                "streamName": room.stream,
                "groupId": room.group,
                "id": room.id,
                "subscriptionId": str(number),
                "since": since,
                "last": self._wanted.last if room.id is None else None,
            }
            self._guest.hear(orjson.dumps({"type": "join", "data": data}))

    def _ping(self) -> None:
        # Whether the client is there is for TCP to say.
        self.write(b"" if self._guest is None else self._guest.alive())
        self._ping_again()

    def _close_code(self) -> int:
        return self._closed_with

    def _events(self, frames: bytes) -> Iterator[bytes]:
        for payload in payloads(frames):
            if (positioned := _positioned(payload)) is not None:
                self._positions[positioned[0]] = positioned[1]
                known = ",".join(self._positions.get(each, "") for each in self._wanted.rooms)
                yield b"id: " + known.encode() + b"\n"
            # An item is told as it was stored, and may have line ends in it.
            for line in payload.splitlines():
                yield b"data: " + line + b"\n"
            yield b"\n"


def _positioned(payload: bytes) -> tuple[Room, str] | None:
    """The room of a frame, and its position, where it has one."""
    head, event, _ = payload.partition(b',"event":{')
    if not event or b',"at":"' not in head:
        return None
    told = orjson.loads(head + b"}")
    return Room(told["streamName"], told["groupId"], told["id"]), told["at"]


def _refusal(code: str, sentence: str) -> bytes:
    body = orjson.dumps({"error": sentence, "code": code})
    head = f"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body
