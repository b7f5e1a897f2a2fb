"""An HTTP protocol that does not wait for ever, and does not read for ever.

uvicorn with httptools has neither a time limit for a request's headers nor a
size limit: half a request keeps its connection, 13 MB of headers were taken.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 10.0
MAX_HEADER_BYTES = 32 * 1024


class GuardedHttp(HttpToolsProtocol):
    """uvicorn's HTTP protocol; the line is cut when headers are late or too long."""

    _deadline: asyncio.TimerHandle | None = None
    _header_bytes = _read_bytes = 0
    _in_header = True

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_headers()

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
        super().on_headers_complete()

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

    def _expect_headers(self) -> None:
        self._in_header, self._header_bytes, self._read_bytes = True, 0, 0
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._cut)

    def _got_headers(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()
