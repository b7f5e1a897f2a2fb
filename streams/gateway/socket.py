"""One client's WebSocket, as a uvicorn protocol class.

Handshake and incoming frames go through websockets' sans-I/O
`ServerProtocol`; outgoing frames are made elsewhere, once for all sockets,
and written to the transport as they are. A socket costs no task.

The contract with uvicorn (its own three classes keep it too, but it is not
documented, see docs/private-apis.md): constructed with `config,
server_state, app_state`; `connection_made`, then `data_received` with the
replayed request, then set as the transport's protocol; a member of
`server_state.connections` while it lives; `shutdown()` when the server ends.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from streams.gateway.audience import refusal
from streams.gateway.frames import text_frame
from streams.gateway.session import MAX_SUBSCRIPTIONS, Session, TooManySubscriptions
from streams.messages import (
    CLOSE_SERVICE_RESTART,
    CLOSE_TOO_SLOW,
    MAX_MESSAGE_BYTES,
    PONG,
    BadMessage,
    BadRoom,
    Join,
    Leave,
    Ping,
    Room,
    bad_message,
    parse,
)

if TYPE_CHECKING:
    from websockets.typing import Subprotocol

    from streams.auth.origins import Origins
    from streams.gateway.hub import Hub

log = logging.getLogger(__name__)
_library_log = logging.getLogger("websockets.server")
_library_log.setLevel(logging.WARNING)

MAX_UNREAD_BYTES = 16 * 1024 * 1024
"""Frames that may wait for a client that does not read. The next write closes it with 4408."""

HANDSHAKE_SECONDS = 10.0
PING_SECONDS = 25.0
CLOSE_SECONDS = 5.0
"""How long a peer may take to answer a close before the line is cut."""


class Socket(asyncio.Protocol):
    """One connection, from its upgrade request to its end."""

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        self._hub: Hub = app_state["hub"]
        self._origins: Origins = app_state["origins"]
        self._connections: set[Any] = server_state.connections
        self._loop = asyncio.get_running_loop()
        self._wire = ServerProtocol(
            max_size=MAX_MESSAGE_BYTES, logger=_library_log, select_subprotocol=_authorization_only
        )
        self._session = Session()
        self._parts: list[bytes] = []
        self._is_open = self._is_unread = self._awaits_pong = False
        self._timer: asyncio.TimerHandle | None = None

    # What the hub asks of it.

    def write(self, frames: bytes) -> None:
        if not self._is_open:
            return
        if self._is_unread:
            self.close(CLOSE_TOO_SLOW, "too slow: come back for a fresh state")
            return
        self._transport.write(frames)

    def close(self, code: int, reason: str) -> None:
        if self._wire.state is State.OPEN:
            self._wire.send_close(code, reason)
            self._pump()
        self._stop()

    def watches(self, room: Room) -> bool:
        return self._is_open and self._session.watches(room)

    # What uvicorn asks of it.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)
        self._transport.set_write_buffer_limits(high=MAX_UNREAD_BYTES)
        self._after(HANDSHAKE_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        self._wire.receive_data(data)
        for event in self._wire.events_received():
            if isinstance(event, Request):
                self._handshake(event)
            elif isinstance(event, Frame):
                self._frame(event)
        self._pump()

    def eof_received(self) -> None:
        self._wire.receive_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._stop()
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        self._is_unread = True

    def resume_writing(self) -> None:
        self._is_unread = False

    def shutdown(self) -> None:
        """The server ends: tell the client to come back."""
        if self._is_open:
            self.close(CLOSE_SERVICE_RESTART, "service restart")
        else:
            self._transport.close()

    # The conversation.

    def _handshake(self, request: Request) -> None:
        response = self._wire.accept(request)
        if response.status_code == 101 and not self._origins.allows(request.headers.get("Origin")):
            response = self._wire.reject(403, "this page's origin may not open sockets here\n")
        self._wire.send_response(response)
        if response.status_code == 101:
            self._is_open = True
            # Spread, so that ten thousand clients that came together do not answer together.
            self._after(PING_SECONDS * random.uniform(0.5, 1.0), self._ping)

    def _frame(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                self._parts.append(bytes(frame.data))
                if frame.fin:
                    message, self._parts = b"".join(self._parts), []
                    self._message(message)
            case Opcode.PONG:
                self._awaits_pong = False
            case Opcode.CLOSE:
                self._stop()
            case _:
                pass  # pings are answered by the protocol

    def _message(self, message: bytes) -> None:
        try:
            command = parse(message)
        except BadRoom as error:
            self.write(refusal(Room(error.stream, error.group, error.id), "INVALID_NAME", str(error)))
            return
        except BadMessage as error:
            self.write(text_frame(bad_message(str(error))))
            return
        match command:
            case Join():
                self._join(command)
            case Leave():
                left = self._session.leave(command)
                if left is not None:
                    self._hub.leave(self, left)
            case Ping():
                self.write(text_frame(PONG))

    def _join(self, join: Join) -> None:
        try:
            left = self._session.join(join)
        except TooManySubscriptions:
            sentence = f"this connection holds {MAX_SUBSCRIPTIONS} subscriptions, which is the limit"
            self.write(refusal(join.room, "TOO_MANY_SUBSCRIPTIONS", sentence))
            return
        if left is not None:
            self._hub.leave(self, left)
        self._hub.join(self, join.room)

    def _ping(self) -> None:
        if self._awaits_pong:
            # The peer is gone without a word; a close frame would wait behind what it never read.
            self._transport.abort()
            return
        self._awaits_pong = True
        self._wire.send_ping(b"")
        self._pump()
        self._after(PING_SECONDS, self._ping)

    def _stop(self) -> None:
        """No frame goes out any more, and nothing is watched."""
        if not self._is_open:
            return
        self._is_open = False
        for room in self._session.rooms():
            self._hub.leave(self, room)
        self._after(CLOSE_SECONDS, self._transport.abort)

    def _pump(self) -> None:
        """Write what the protocol wants written: handshake, pongs, closes."""
        if self._wire.state is not State.OPEN:
            self._stop()
        for data in self._wire.data_to_send():
            if self._transport.is_closing():
                return
            if data:
                self._transport.write(data)
            else:  # the protocol's sign that nothing follows
                self._transport.close()

    def _after(self, seconds: float, then: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, then)


def _authorization_only(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    # Browsers that offer subprotocols end the connection when none is
    # chosen. Motia's clients offer `Authorization` and a token beside it,
    # which must never be sent back.
    return cast("Subprotocol", "Authorization") if "Authorization" in offered else None
