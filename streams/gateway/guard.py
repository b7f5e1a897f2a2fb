"""An HTTP protocol that does not wait for ever, and does not read for ever.

uvicorn with httptools has neither a time limit for a request's headers nor a
size limit: half a request keeps its connection, 13 MB of headers were taken.

Most connections bring one request, which is to open a WebSocket and comes in
one piece. It never gets as far as uvicorn's protocol.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from streams.gateway.alarms import Alarms, Moment
from streams.gateway.event_stream import EventStream, is_event_stream
from streams.gateway.handshake import plain_opening

HEADER_SECONDS = 10.0
MAX_HEADER_BYTES = 32 * 1024


class GuardedHttp(asyncio.Protocol):
    """A connection until something comes: then it is a socket's, or one for uvicorn.

    The line is cut when that is late.
    """

    __slots__ = ("_deadline", "_for_uvicorn", "_transport")

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        self._for_uvicorn = (config, server_state, app_state)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        _, server_state, app_state = self._for_uvicorn
        server_state.connections.add(self)
        self._deadline = Alarms.of(app_state).add(self, HEADER_SECONDS)

    def data_received(self, data: bytes) -> None:
        config, server_state, _ = self._for_uvicorn
        opening = None if config.ws_protocol_class is None else plain_opening(data)
        server_state.connections.discard(self)
        if opening is not None:
            self._deadline.pop(self, None)
            socket = config.ws_protocol_class(*self._for_uvicorn)
            socket.connection_made(self._transport)
            self._transport.set_protocol(socket)
            socket.asked(opening)
        else:
            http = _Http(*self._for_uvicorn)
            http.take_over(self._transport, self._deadline, self)
            self._transport.set_protocol(http)
            http.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._for_uvicorn[1].connections.discard(self)
        self._deadline.pop(self, None)

    def shutdown(self) -> None:
        self._transport.close()

    def alarm(self) -> None:
        self._transport.abort()


class _Http(HttpToolsProtocol):
    """uvicorn's HTTP protocol; the line is cut when headers are late or too long."""

    _deadline: Moment | None = None
    _header_bytes = _read_bytes = 0
    _in_header = True
    _is_left = False
    """Whether the connection is somebody else's."""

    def take_over(self, transport: asyncio.Transport, deadline: Moment, before: GuardedHttp) -> None:
        """Go on where nothing was read yet, with the same deadline."""
        self.connection_made(transport)
        deadline.pop(before, None)
        deadline[self] = None
        self._deadline = deadline

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # The second and later requests of a kept connection.
        if self._deadline is None:
            self._expect_headers()

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        # All of them may be in one read, with a body behind: so they are counted themselves.
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEADER_BYTES:
            self._cut()
            raise ValueError("the headers are too long")

    def on_headers_complete(self) -> None:
        self._in_header = False
        self._got_headers()
        is_idle = self.cycle is None or self.cycle.response_complete
        if (
            is_idle
            and self.ws_protocol_class is not None
            and not self.parser.should_upgrade()
            and is_event_stream(self.parser.get_method(), self.url, self.headers)
        ):
            self._begin_event_stream()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._is_left:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_left:
            super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_header:
            # One that does not end is not told of as long as it goes on: so reads are counted too.
            self._read_bytes += len(data)
            if self._read_bytes > MAX_HEADER_BYTES:
                self._cut()

    def connection_lost(self, exc: Exception | None) -> None:
        self._got_headers()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self._got_headers()
        super().handle_websocket_upgrade()

    def alarm(self) -> None:
        self._deadline = None
        self._cut()

    def _begin_event_stream(self) -> None:
        self._is_left = True
        self.connections.discard(self)
        self._unset_keepalive_if_required()
        stream = EventStream(self.config, self.server_state, self.app_state)
        stream.connection_made(self.transport)
        self.transport.set_protocol(stream)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers]
        stream.requested(self.url.decode("latin-1"), headers)

    def _expect_headers(self) -> None:
        self._in_header, self._header_bytes, self._read_bytes = True, 0, 0
        self._deadline = Alarms.of(self.app_state).add(self, HEADER_SECONDS)

    def _got_headers(self) -> None:
        if self._deadline is not None:
            self._deadline.pop(self, None)
            self._deadline = None

    def _cut(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()
