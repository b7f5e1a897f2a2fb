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

import socket
from typing import TYPE_CHECKING, Any, cast

from websockets.protocol import State

from streams.gateway.admission import Admitted, judged
from streams.gateway.client_line import HANDSHAKE_SECONDS, NO_CLOSE, ClientLine
from streams.gateway.frames import EMPTY_BYTES, EMPTY_PONG, PING_FRAME
from streams.gateway.guest import Guest
from streams.gateway.handshake import Opening
from streams.gateway.incoming import CLOSE, PONG, TEXT, Incoming, parser

if TYPE_CHECKING:
    from websockets.frames import Opcode
    from websockets.http11 import Request

UNSENT_BYTES = 64 * 1024
"""What the system may hold of one client that is not on its way yet. Left to itself it takes megabytes,
which would be old when they are read."""


class Socket(ClientLine):
    """One connection, from its upgrade request to its end."""

    __slots__ = ("_awaits_pong", "_incoming", "_is_asked")

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state)
        self._incoming: Incoming | None = None
        """Where it is in the middle of something."""
        self._is_asked = self._awaits_pong = False

    def close(self, code: int, reason: str) -> None:
        if self._is_open:
            wire = self._middle().wire
            if wire.state is State.OPEN:
                wire.send_close(code, reason)
                self._pump()
        self._stop()

    # What uvicorn asks of it.

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
        self._is_asked = True
        super().asked(opening)

    def resume_writing(self) -> None:
        # It was not asked meanwhile, or the answer was not awaited.
        self._awaits_pong = False
        super().resume_writing()

    def alarm(self) -> None:
        if self._is_open and self._awaits_pong and not self.is_behind:
            # The peer is gone without a word; a close frame would wait behind what it never read.
            self._transport.abort()
        else:
            super().alarm()

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

    def _begin(self, admitted: Admitted) -> Guest:
        self._transport.write(admitted.answer)
        upgrade = admitted.upgrade
        return Guest(self._hub, self, admitted.caller, upgrade.request, is_extended=upgrade.is_extended)

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

    def _ping(self) -> None:
        # What is told with it may close the socket, or be too much for it.
        told = b"" if self._guest is None else self._guest.alive()
        if self._is_open:
            self._awaits_pong = True
            self.write(PING_FRAME + told)
            self._ping_again()

    def _close_code(self) -> int:
        # Of whoever closed first: a client's is sent back to it. Without a word, nothing was sent.
        sent = None if self._incoming is None else self._incoming.wire.close_sent
        return NO_CLOSE if sent is None else sent.code

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


def limit_unsent(listener: socket.socket) -> None:
    """Let `UNSENT_BYTES` hold for every client of a listener. Where the system cannot, nothing is changed."""
    # Linux hands it on to the sockets that it makes, which saves a call for each.
    if (option := getattr(socket, "TCP_NOTSENT_LOWAT", None)) is not None:
        listener.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)
