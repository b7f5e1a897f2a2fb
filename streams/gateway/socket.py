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
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import orjson
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from streams.access import Caller
from streams.answers import Answer, answer_to
from streams.envelope import PING
from streams.errors import NotLetIn
from streams.gateway.frames import text_frame
from streams.gateway.guest import Guest
from streams.gateway.upgrade import Upgrade, chosen_subprotocol, read_upgrade
from streams.messages import CLOSE_SERVICE_RESTART, CLOSE_TOO_SLOW, MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from websockets.http11 import Response
    from websockets.typing import Subprotocol

    from streams.auth.origins import Origins
    from streams.gateway.hub import Hub

log = logging.getLogger(__name__)
_library_log = logging.getLogger("websockets.server")
_library_log.setLevel(logging.WARNING)

MAX_WAITING_BYTES, FEW_WAITING_BYTES = 256 * 1024, 64 * 1024
"""When more waits for a client than the one, it is behind, and is written nothing of what happens until
no more waits than the other."""

MAX_REPLIES_BYTES = 64 * 1024
"""What a client that is behind may ask for by what it says, such as pongs. More closes it with 4408."""

NO_UPGRADE = b"this is no request to open a WebSocket\n"

UNSENT_BYTES = 64 * 1024
"""What the system may hold of one client that is not on its way yet. Left to itself it takes megabytes,
which would be old when they are read."""

HANDSHAKE_SECONDS = 10.0
PING_SECONDS = 25.0
NO_CLOSE = 1006
"""What stands for a close code where a line ended without one."""
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
            max_size=MAX_MESSAGE_BYTES, logger=_library_log, select_subprotocol=_chosen
        )
        # It would write every header, and so tokens, into the log.
        self._wire.debug = False
        self._guest: Guest | None = None
        self._parts: list[bytes] = []
        self._is_open = self._awaits_pong = False
        self.is_behind = False
        """Whether the client does not read what was written."""
        self._most_bytes = 0
        """What may wait for it while it is behind."""
        self._timer: asyncio.TimerHandle | None = None

    # What the hub asks of it.

    def write(self, frames: bytes) -> None:
        if self._is_open:
            self._transport.write(frames)
            if self.is_behind:
                self._check_replies()

    @property
    def unread_bytes(self) -> int:
        return self._transport.get_write_buffer_size()

    def close(self, code: int, reason: str) -> None:
        if self._wire.state is State.OPEN:
            self._wire.send_close(code, reason)
            self._pump()
        self._stop()

    def cut(self, code: int, reason: str) -> None:
        self.close(code, reason)
        self._transport.abort()

    def hold(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def go_on(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # What uvicorn asks of it.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)
        self._transport.set_write_buffer_limits(high=MAX_WAITING_BYTES, low=FEW_WAITING_BYTES)
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
        # One that says no more and reads no more would stay for ever: the line ends when all is read.
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._stop()
        # They know each other: without this, both would wait for the garbage collector.
        self._guest = None
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        self.is_behind = True
        self._most_bytes = self.unread_bytes + MAX_REPLIES_BYTES
        if self._guest is not None:
            self._guest.fall_behind()

    def resume_writing(self) -> None:
        self.is_behind = False
        # It was not asked meanwhile, or the answer was not awaited.
        self._awaits_pong = False
        if self._guest is not None:
            self._guest.catch_up()

    def shutdown(self) -> None:
        """The server ends: tell the client to come back."""
        if self._is_open:
            self.close(CLOSE_SERVICE_RESTART, "service restart")
        else:
            self._transport.close()

    # The conversation.

    def _handshake(self, request: Request) -> None:
        response = self._wire.accept(request)
        if response.status_code != 101:
            # What the library says of a header may have its content in it, and so a token.
            log.info("no request to open a socket: status=%d address=%s", response.status_code, self._peer())
            self._wire.send_response(_saying(response, "text/plain; charset=utf-8", NO_UPGRADE))
            return
        try:
            upgrade = read_upgrade(request.path, request.headers, self._peer())
        except NotLetIn as error:
            self._turn_away(answer_to(error), error.reason)
            return
        if not self._origins.allows(upgrade.origin):
            sentence = "this page's origin may not open sockets here"
            self._turn_away(Answer(403, "ORIGIN_REFUSED", sentence), f"origin {upgrade.origin!r}"[:200])
            return
        # What is said before the answer is heard after it, if there is anybody to say it then.
        self.hold()
        self._hub.start(self._admit(upgrade, response), name="gateway: admit a client")

    async def _admit(self, upgrade: Upgrade, response: Response) -> None:
        try:
            caller = await self._hub.access.caller(upgrade.token, upgrade.request)
        except NotLetIn as error:
            self._turn_away(answer_to(error), error.reason)
        except Exception as error:
            log.exception("a client could not be admitted")
            self._turn_away(answer_to(error), type(error).__name__)
        else:
            self._open(caller, upgrade, response)
        finally:
            self._pump()
            self.go_on()

    def _open(self, caller: Caller, upgrade: Upgrade, response: Response) -> None:
        if self._transport.is_closing():
            return
        self._wire.send_response(response)
        self._pump()
        self._is_open = True
        self._guest = Guest(self._hub, self, caller, upgrade.request, is_extended=upgrade.is_extended)
        self._hub.guests.tally.opened += 1
        self._guest.welcome(PING_SECONDS)
        # Spread, so that ten thousand clients that came together do not answer together.
        self._after(PING_SECONDS * random.uniform(0.5, 1.0), self._ping)

    def _turn_away(self, answer: Answer, reason: str) -> None:
        """Refuse the upgrade. Why is for the log alone."""
        log.info("a socket was refused: %s code=%s address=%s", reason, answer.code, self._peer())
        self._hub.guests.tally.turned_away[answer.code] += 1
        response = self._wire.reject(answer.status, "")
        response = _saying(response, "application/json", orjson.dumps(answer.body))
        for name, value in answer.headers.items():
            response.headers[name] = value
        self._wire.send_response(response)

    def _peer(self) -> str | None:
        address = self._transport.get_extra_info("peername")
        return str(address[0]) if isinstance(address, tuple) else None

    def _frame(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                self._parts.append(bytes(frame.data))
                if frame.fin:
                    message, self._parts = b"".join(self._parts), []
                    if self._guest is None:
                        self._transport.abort()
                        return
                    self._guest.hear(message)
            case Opcode.PONG:
                self._awaits_pong = False
            case Opcode.CLOSE:
                self._stop()
            case _:
                pass  # pings are answered by the protocol

    def _ping(self) -> None:
        if self.is_behind:
            # It would wait behind what is not read. Who reads nothing is sent away by the hub.
            self._after(PING_SECONDS, self._ping)
            return
        if self._awaits_pong:
            # The peer is gone without a word; a close frame would wait behind what it never read.
            self._transport.abort()
            return
        self._awaits_pong = True
        self._wire.send_ping(b"")
        self._pump()
        if self._guest is not None and self._guest.is_extended:
            # Pages do not see the others.
            self.write(_PING)
        self._after(PING_SECONDS, self._ping)

    def _stop(self) -> None:
        """No frame goes out any more, and nothing is watched."""
        if not self._is_open:
            return
        self._is_open = False
        # Of whoever closed first: a client's is sent back to it. Without a word, nothing was sent.
        sent = self._wire.close_sent
        self._hub.guests.tally.closed[NO_CLOSE if sent is None else sent.code] += 1
        if self._guest is not None:
            self._guest.gone()
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
        if self.is_behind:
            self._check_replies()

    def _check_replies(self) -> None:
        if self._is_open and self.unread_bytes > self._most_bytes:
            self.close(CLOSE_TOO_SLOW, "too slow: come back for a fresh state")

    def _after(self, seconds: float, then: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, then)


def limit_unsent(listener: socket.socket) -> None:
    """Let `UNSENT_BYTES` hold for every client of a listener. Where the system cannot, nothing is changed."""
    # Linux hands it on to the sockets that it makes, which saves a call for each.
    if (option := getattr(socket, "TCP_NOTSENT_LOWAT", None)) is not None:
        listener.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)


def _saying(response: Response, content_type: str, body: bytes) -> Response:
    """A refusal with another body."""
    response.body = body
    for name, value in (("Content-Type", content_type), ("Content-Length", str(len(body)))):
        response.headers.pop(name, None)
        response.headers[name] = value
    return response


def _chosen(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return cast("Subprotocol | None", chosen_subprotocol(offered))


_PING = text_frame(PING)
