"""Clients that have a token and know what their groups hold, as a page does; and who writes to the groups.

They take every frame apart, so that in the end each of them can be compared
with what was written. That costs: they are for proofs, not for throughput.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from itertools import count
from typing import Any, TypeAlias, cast

import orjson

import streams
from streams.errors import OutcomeUnknown, StoreUnavailable
from tests.benchmarks.clients import client_frame, frame_bounds
from tests.benchmarks.targets import STREAM
from tests.tokens import token

ITEMS = 4
"""Of every group."""

LANES = 16
"""Writes that may be on their way at once."""

JOIN_SECONDS = 60.0
"""How long a connection, or a join, may take."""

AGREE_SECONDS = 20.0
"""How long after the last write all clients may take to show what was written."""

Values: TypeAlias = dict[str, int]
"""The items of one group, and the number of the write that each is from."""

_PONG = b"\x8a\x80" + bytes(4)
_FILLING = "x" * 150


def group_of(number: int) -> str:
    return f"group-{number}"


@cache
def bearer(number: int) -> bytes:
    """The token of a client, made once."""
    return token(f"user-{number}", lasts=4 * 3600).encode()


class Refused(ConnectionError):
    """The gateway does not let the client in, or does not give it a group."""


class Client(asyncio.Protocol):
    """One connection of somebody. `gone` is called when it ends, unless `end` was."""

    def __init__(self, number: int, *, is_extended: bool, gone: Callable[[Client], None]) -> None:
        self.number, self.is_extended = number, is_extended
        self.shown: dict[str, Values] = {}
        """Of every group that it has joined and not left, what it holds."""
        self.wrong = 0
        """What it was told that does not fit what it was told before."""
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._is_open: asyncio.Future[None] = self._loop.create_future()
        self._joining: dict[str, asyncio.Future[None]] = {}
        self._received = b""

    async def connect(self, port: int) -> None:
        """Return when the socket is open.

        Raises:
            Refused: It is not let in.
            OSError: There is nobody, or the line was cut.
            TimeoutError: It took more than `JOIN_SECONDS`.
        """
        async with asyncio.timeout(JOIN_SECONDS):
            await self._loop.create_connection(lambda: self, "127.0.0.1", port)
            await self._is_open

    async def join(self, group: str) -> None:
        """Return when the group's state has come. Raises: As `connect`."""
        if self._transport.is_closing():
            raise ConnectionError("the server closed a socket")
        joined = self._joining[group] = self._loop.create_future()
        self._say("join", group)
        async with asyncio.timeout(JOIN_SECONDS):
            await joined

    def leave(self, group: str) -> None:
        del self.shown[group]
        self._say("leave", group)

    def end(self) -> None:
        """Close without a word, as a page does that nobody looks at any more."""
        self._gone = lambda _: None
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        dialect = b"streams.v2, " if self.is_extended else b""
        self._transport.write(
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: %sAuthorization, %s\r\n\r\n" % (dialect, bearer(self.number))
        )

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._is_open.done() and not self._upgraded():
            return
        start = 0
        while (frame := frame_bounds(self._received, start)) is not None:
            payload, end = frame
            match self._received[start] & 0x0F:
                case 0x1:
                    self._hear(orjson.loads(self._received[payload:end]))
                case 0x8:
                    self._transport.close()
                case 0x9:
                    self._transport.write(_PONG)
            start = end
        self._received = self._received[start:]

    def connection_lost(self, exc: Exception | None) -> None:
        error = exc or ConnectionError("the server closed a socket")
        for waiting in (self._is_open, *self._joining.values()):
            if not waiting.done():
                waiting.set_exception(error)
        self._gone(self)

    def _say(self, kind: str, group: str) -> None:
        fields = {"streamName": STREAM, "groupId": group, "subscriptionId": group}
        self._transport.write(client_frame(orjson.dumps({"type": kind, "data": fields})))

    def _upgraded(self) -> bool:
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 101 "):
            self._is_open.set_exception(Refused(f"the upgrade was answered with {head[:80]!r}"))
            self._transport.abort()
            return False
        self._received = rest
        self._is_open.set_result(None)
        return True

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] != "stream":
            return
        group, event = message["groupId"], message["event"]
        if event["type"] == "sync":
            if (joined := self._joining.pop(group, None)) is not None:
                self.shown[group] = {item["id"]: item["n"] for item in event["data"]}
                joined.set_result(None)
        elif event["type"] in ("event", "unauthorized"):
            if (joined := self._joining.pop(group, None)) is not None:
                joined.set_exception(Refused(f"a join was refused: {event}"))
        elif (values := self.shown.get(group)) is not None:
            self._change(values, message["id"], event)

    def _change(self, values: Values, item_id: str, event: dict[str, Any]) -> None:
        known = values.get(item_id)
        match event:
            case {"type": "create", "data": {"n": number}}:
                self.wrong += known is not None
                values[item_id] = number
            case {"type": "update", "data": {"n": number}}:
                self.wrong += known is None or number <= known
                values[item_id] = number
            case {"type": "delete"}:
                self.wrong += known is None
                values.pop(item_id, None)
            case _:
                self.wrong += 1


class Writer:
    """Writes to all groups, and knows what they hold."""

    def __init__(self, groups: int) -> None:
        self.written: dict[str, Values] = {group_of(number): {} for number in range(groups)}
        """What was acknowledged."""
        self.writes = 0
        self._bench = streams.Stream(STREAM, dict)
        self._numbers = count(1)

    async def fill(self) -> None:
        """Write every item once."""
        waiting = iter(self.written)

        async def lane() -> None:
            for group in waiting:
                for number in range(ITEMS):
                    await self._set(group, f"item-{number}")

        async with asyncio.TaskGroup() as lanes:
            for number in range(LANES):
                lanes.create_task(lane(), name=f"fill {number}")

    async def write(self, per_second: float, deleted: float, stop: asyncio.Event) -> None:
        """Write at this rate until `stop` is set. `deleted` is the share of writes that delete an item."""
        began, turns, groups = time.monotonic(), count(), list(self.written)

        async def lane(own: list[str]) -> None:
            # No two lanes write the same item, so what was acknowledged last is what there is.
            while not stop.is_set():
                await asyncio.sleep(began + next(turns) / per_second - time.monotonic())
                group, item_id = random.choice(own), f"item-{random.randrange(ITEMS)}"
                if item_id in self.written[group] and random.random() < deleted:
                    await self._delete(group, item_id)
                else:
                    await self._set(group, item_id)

        async with asyncio.TaskGroup() as lanes:
            for number in range(LANES):
                lanes.create_task(lane(groups[number::LANES]), name=f"write {number}")

    async def _set(self, group: str, item_id: str) -> None:
        is_done = False
        while not is_done:
            number = next(self._numbers)
            with suppress(StoreUnavailable, OutcomeUnknown):
                await self._bench.set(group, item_id, {"id": item_id, "n": number, "text": _FILLING})
                is_done = True
        self.written[group][item_id] = number
        self.writes += 1

    async def _delete(self, group: str, item_id: str) -> None:
        try:
            await self._bench.delete(group, item_id)
        except (StoreUnavailable, OutcomeUnknown):
            # Whatever became of it, the item is there then.
            await self._set(group, item_id)
        else:
            del self.written[group][item_id]
            self.writes += 1


async def unlike(clients: Iterable[Client], writer: Writer) -> int:
    """How many clients show something else than what was written, when they had time to hear of it."""
    until, waiting = time.monotonic() + AGREE_SECONDS, list(clients)
    while waiting and time.monotonic() < until:
        waiting = [client for client in waiting if not _is_right(client, writer)]
        await asyncio.sleep(0.05)
    return len(waiting)


def _is_right(client: Client, writer: Writer) -> bool:
    return all(values == writer.written[group] for group, values in client.shown.items())
