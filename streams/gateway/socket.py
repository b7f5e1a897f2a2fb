"""One client's WebSocket, as a uvicorn protocol class.

Incoming frames, and handshakes that are not plain, go through websockets'
sans-I/O `ServerProtocol`; outgoing frames are made elsewhere, once for all
sockets, and written to the transport as they are. A socket costs no task and
no timer, and a parser only while it is in the middle of something.

The contract with uvicorn (its own three classes keep it too, but it is not
documented, see docs/private-apis.md): constructed with `config,
server_state, app_state`; `connection_made`, then `data_received` with the
replayed request, or `asked` with one that was read already, then set as the
transport's protocol; a member of `server_state.connections` while it lives;
`shutdown()` when the server ends.
"""

from __future__ import annotations

import asyncio
import random
import socket
from typing import TYPE_CHECKING, Any, cast

from websockets.protocol import State

from streams.envelope import PING
from streams.gateway.admission import Admitted, admission, judged
from streams.gateway.alarms import Alarms, Moment
from streams.gateway.begun import begun
from streams.gateway.frames import EMPTY_BYTES, EMPTY_PONG, PING_FRAME, text_frame
from streams.gateway.guest import Guest
from streams.gateway.handshake import Opening
from streams.gateway.incoming import CLOSE, PONG, TEXT, Incoming, parser
from streams.messages import CLOSE_SERVICE_RESTART, CLOSE_TOO_SLOW

if TYPE_CHECKING:
    from websockets.frames import Opcode
    from websockets.http11 import Request

    from streams.auth.origins import Origins
    from streams.gateway.hub import Hub

MAX_WAITING_BYTES, FEW_WAITING_BYTES = 256 * 1024, 64 * 1024
"""When more waits for a client than the one, it is behind, and is written nothing of what happens until
no more waits than the other."""

MAX_REPLIES_BYTES = 64 * 1024
"""What a client that is behind may ask for by what it says, such as pongs. More closes it with 4408."""

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

    # There may be many thousands, so each is small.
    __slots__ = (
        "_alarms",
        "_awaits_pong",
        "_connections",
        "_guest",
        "_hub",
        "_incoming",
        "_is_asked",
        "_is_open",
        "_moment",
        "_most_bytes",
        "_origins",
        "_transport",
        "is_behind",
    )

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        self._hub: Hub = app_state["hub"]
        self._origins: Origins = app_state["origins"]
        self._alarms = Alarms.of(app_state)
        self._connections: set[Any] = server_state.connections
        self._incoming: Incoming | None = None
        """Where it is in the middle of something."""
        self._guest: Guest | None = None
        self._is_asked = self._is_open = self._awaits_pong = False
        self.is_behind = False
        """Whether the client does not read what was written."""
        self._most_bytes = 0
        """What may wait for it while it is behind."""
        self._moment: Moment | None = None
        """Of its next ping, or of its end."""

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
        if self._is_open:
            wire = self._middle().wire
            if wire.state is State.OPEN:
                wire.send_close(code, reason)
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

    def data_received(self, data: bytes) -> None:
        if self._incoming is None and len(data) == EMPTY_BYTES and data.startswith(EMPTY_PONG):
            # Nothing comes more often. Who is not open awaits none.
            self._awaits_pong = False
            return
        if not self._is_asked:
            self._read_request(data)
            return
        if self._incoming is None and not self._is_open:
            # Nobody is there to hear it: nothing is read before the answer, and nothing after a no.
            return
        incoming = self._middle()
        for opcode, message in incoming.take(data):
            self._hear(opcode, message)
        self._pump()
        if incoming.is_given_back():
            self._incoming = None

    def asked(self, opening: Opening) -> None:
        """Somebody wants to open it, and says so as one must."""
        self._is_asked = True
        admitting = self._admit(opening)
        rest = admitting if self._hub.access.needs_task else begun(admitting)
        if rest is not None:
            # What is said before the answer is heard after it, if there is anybody to say it then.
            self.hold()
            self._hub.start(rest, name="gateway: admit a client")
        if not self._is_open:
            # It is not known yet who it is; or it was refused, and may not take that.
            self._alarm_after(HANDSHAKE_SECONDS)

    def eof_received(self) -> None:
        self._stop()
        # One that says no more and reads no more would stay for ever: the line ends when all is read.
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._end()
        # They know each other: without this, both would wait for the garbage collector.
        self._guest = None
        self._no_alarm()

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

    def _read_request(self, data: bytes) -> None:
        """Take a request of any form, as it came."""
        if self._incoming is None:
            self._incoming = Incoming(parser(State.CONNECTING))
            self._alarm_after(HANDSHAKE_SECONDS)
        wire = self._incoming.wire
        wire.receive_data(data)
        requests = wire.events_received()
        if not requests:
            # Not whole, or nothing that the library takes for a request.
            self._pump()
            return
        self._is_asked, self._incoming = True, None
        opening = judged(wire, cast("Request", requests[0]), self._peer())
        if isinstance(opening, Opening):
            self.asked(opening)
        else:
            self._refuse(opening)

    async def _admit(self, opening: Opening) -> None:
        try:
            admitted = await admission(self._hub, self._origins, opening, self._peer())
            if isinstance(admitted, Admitted):
                self._open(admitted)
            else:
                self._refuse(admitted)
        finally:
            self.go_on()

    def _open(self, admitted: Admitted) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(admitted.answer)
        self._is_open = True
        upgrade = admitted.upgrade
        self._guest = Guest(
            self._hub, self, admitted.caller, upgrade.request, is_extended=upgrade.is_extended
        )
        self._hub.guests.tally.opened += 1
        self._guest.welcome(PING_SECONDS)
        # Spread, so that ten thousand clients that came together do not answer together.
        self._alarm_after(PING_SECONDS * random.uniform(0.5, 1.0))

    def _refuse(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)
            self._transport.close()

    def _peer(self) -> str | None:
        address = self._transport.get_extra_info("peername")
        return str(address[0]) if isinstance(address, tuple) else None

    def _middle(self) -> Incoming:
        """What reads what it says, where it is open."""
        if self._incoming is None:
            self._incoming = Incoming.lent()
        return self._incoming

    def _hear(self, opcode: Opcode, message: bytes) -> None:
        if opcode is TEXT:
            if self._guest is not None:
                self._guest.hear(message)
        elif opcode is PONG:
            self._awaits_pong = False
        elif opcode is CLOSE:
            self._stop()
        # Pings are answered by the protocol.

    def alarm(self) -> None:
        """Its deadline has come: for whatever it was to do, or to be done with it."""
        if not self._is_open:
            self._transport.abort()
        elif self.is_behind:
            # A ping would wait behind what is not read. Who reads nothing is sent away by the hub.
            self._alarm_after(PING_SECONDS)
        elif self._awaits_pong:
            # The peer is gone without a word; a close frame would wait behind what it never read.
            self._transport.abort()
        else:
            self._ping()

    def _ping(self) -> None:
        self._awaits_pong = True
        # Pages do not see the first one.
        is_extended = self._guest is not None and self._guest.is_extended
        self.write(PING_FRAME + _PING if is_extended else PING_FRAME)
        self._alarm_after(PING_SECONDS)

    def _stop(self) -> None:
        """End it, and do not wait for ever until the line ends too."""
        if self._is_open:
            self._end()
            self._alarm_after(CLOSE_SECONDS)

    def _end(self) -> None:
        """No frame goes out any more, and nothing is watched."""
        if not self._is_open:
            return
        self._is_open = False
        # Of whoever closed first: a client's is sent back to it. Without a word, nothing was sent.
        sent = None if self._incoming is None else self._incoming.wire.close_sent
        self._hub.guests.tally.closed[NO_CLOSE if sent is None else sent.code] += 1
        if self._guest is not None:
            self._guest.gone()

    def _pump(self) -> None:
        """Write what the protocol wants written: refusals, pongs, closes."""
        if self._incoming is None:
            return
        wire = self._incoming.wire
        if wire.state is not State.OPEN:
            self._stop()
        for data in wire.data_to_send():
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

    def _alarm_after(self, seconds: float) -> None:
        self._no_alarm()
        self._moment = self._alarms.add(self, seconds)

    def _no_alarm(self) -> None:
        if self._moment is not None:
            self._moment.pop(self, None)
            self._moment = None


def limit_unsent(listener: socket.socket) -> None:
    """Let `UNSENT_BYTES` hold for every client of a listener. Where the system cannot, nothing is changed."""
    # Linux hands it on to the sockets that it makes, which saves a call for each.
    if (option := getattr(socket, "TCP_NOTSENT_LOWAT", None)) is not None:
        listener.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)


_PING = text_frame(PING)
