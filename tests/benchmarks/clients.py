"""Raw WebSocket clients that cost the machine little, and what they got.

They parse no frames while they measure. Each item carries a stamp that
begins with `@@`, which nothing else in a frame holds; counting it in the
bytes of a read takes less than the server's `send` does.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator

from tests.benchmarks.targets import join_message

STALLED_SECONDS = 3.0
"""A server that delivers nothing for so long has lost what is missing."""

_TEXT = 0x81
"""First byte of a text frame that is a whole message."""

_MARK = b"@@"
_STAMP_BYTES = 2 + 20 + 1 + 8


def stamp(sequence: int) -> str:
    """Now, in nanoseconds of CLOCK_MONOTONIC, and the number of the write."""
    return f"@@{time.monotonic_ns():020d}:{sequence:08d}"


class Tally:
    """What the sockets of a scenario got, all together."""

    def __init__(self) -> None:
        self.delivered = 0
        self.newest_ns = 0
        """When the newest delivery came, CLOCK_MONOTONIC."""
        self.closed = 0
        self._goal = sys.maxsize
        self._reached = asyncio.Event()

    def add(self, frames: int) -> None:
        self.delivered += frames
        self.newest_ns = time.monotonic_ns()
        if self.delivered >= self._goal:
            self._reached.set()

    async def reach(self, delivered: int) -> bool:
        """Wait for so many deliveries; one caller at a time. False: nothing came for `STALLED_SECONDS`."""
        while self.delivered < delivered:
            before, self._goal = self.delivered, delivered
            self._reached.clear()
            try:
                async with asyncio.timeout(STALLED_SECONDS):
                    await self._reached.wait()
            except TimeoutError:
                if self.delivered == before:
                    return False
            finally:
                self._goal = sys.maxsize
        return True


# One buffer for all sockets: uvloop fills it and calls `buffer_updated` before it reads the next socket.
# Its first byte is the last one of the socket's previous read, so that a mark cut in two is found as well.
_buffer = bytearray(1 + (1 << 18))
_incoming = memoryview(_buffer)[1:]


class Socket(asyncio.BufferedProtocol):
    """One client that counts the changes it gets."""

    transport: asyncio.WriteTransport

    def __init__(self, group: str, tally: Tally) -> None:
        self.count = 0
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._group = group
        self._tally = tally
        self._opening = b""
        self._is_upgraded = False
        self._last_byte = 0

    def connection_made(self, transport: asyncio.WriteTransport) -> None:  # type: ignore[override]  # TCP
        self.transport = transport
        transport.write(
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )

    def get_buffer(self, sizehint: int) -> memoryview:
        return _incoming

    def buffer_updated(self, nbytes: int) -> None:
        if self.joined.done():
            self._take(nbytes)
        else:
            self._opening += _incoming[:nbytes]
            self._open()

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.closed += 1
        if not self.joined.done():
            self.joined.set_exception(exc or ConnectionError("the server closed a socket that joined"))

    def _open(self) -> None:
        if not self._is_upgraded:
            head, end, rest = self._opening.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                self.joined.set_exception(ConnectionError(f"the upgrade was answered with {head[:80]!r}"))
                return
            self._is_upgraded, self._opening = True, rest
            self.transport.write(client_frame(join_message(self._group)))
        # Nobody writes before all have joined, so nothing behind the sync is a change.
        while (frame := frame_bounds(self._opening)) is not None:
            payload, next_frame = frame
            message, self._opening = self._opening[payload:next_frame], self._opening[next_frame:]
            if b'"sync"' in message:
                self.joined.set_result(None)
                return

    def _take(self, nbytes: int) -> None:
        _buffer[0] = self._last_byte
        found = _buffer.count(_MARK, 0, nbytes + 1)
        self._last_byte = _buffer[nbytes]
        if found:
            self.count += found
            self._tally.add(found)


class TimingSocket(Socket):
    """One client that also reads every stamp."""

    def __init__(self, group: str, tally: Tally) -> None:
        super().__init__(group, tally)
        self.latencies_ns: list[int] = []
        self._rest = b""

    def _take(self, nbytes: int) -> None:
        now = time.monotonic_ns()
        received = self._rest + _incoming[:nbytes]
        start, found = received.find(_MARK), 0
        while start >= 0 and start + _STAMP_BYTES <= len(received):
            self.latencies_ns.append(now - int(received[start + 2 : start + 22]))
            found += 1
            start = received.find(_MARK, start + _STAMP_BYTES)
        self._rest = received[start:] if start >= 0 else received[-1:]
        if found:
            self.count += found
            self._tally.add(found)


class RecordingSocket(Socket):
    """One client that keeps all it gets, to be looked at when nothing is measured any more."""

    def __init__(self, group: str, tally: Tally) -> None:
        super().__init__(group, tally)
        self.reads: list[tuple[int, bytes]] = []
        """When each read was made, in nanoseconds of CLOCK_MONOTONIC, and its bytes."""

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """Every text frame: when its last byte was read, and its payload."""
        rest = b""
        for read_ns, read in self.reads:
            received, start = rest + read, 0
            while (frame := frame_bounds(received, start)) is not None:
                payload, end = frame
                if received[start] == _TEXT:
                    yield read_ns, received[payload:end]
                start = end
            rest = received[start:]

    def _take(self, nbytes: int) -> None:
        self.reads.append((time.monotonic_ns(), bytes(_incoming[:nbytes])))


def client_frame(message: bytes) -> bytes:
    """A masked text frame. The mask is zero, which is legal and leaves the message as it is."""
    length = len(message)
    head = bytes([0x81, 0x80 | length]) if length < 126 else b"\x81\xfe" + length.to_bytes(2)
    return head + bytes(4) + message


def frame_bounds(received: bytes, start: int = 0) -> tuple[int, int] | None:
    """Where the payload of the server frame at `start` begins and ends; None while it is not complete."""
    if len(received) < start + 2:
        return None
    payload, length = start + 2, received[start + 1]
    if length >= 126:
        extended = 2 if length == 126 else 8
        payload, length = payload + extended, int.from_bytes(received[payload : payload + extended])
    return (payload, payload + length) if payload + length <= len(received) else None
