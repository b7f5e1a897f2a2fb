"""Raw WebSocket clients that cost the machine little, and what they got.

Each item carries a stamp that begins with `@@`, which nothing else in a frame
holds. Counting it in the bytes of a read takes less than the server's `send`
does, so the clients of a fan-out parse no frames.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from tests.benchmarks.targets import TARGETS, Target

STALLED_SECONDS = 3.0
"""A server that delivers nothing for so long has lost what is missing."""

TEXT = 0x81
"""First byte of a text frame that is a whole message."""

MARK = b"@@"
STAMP_BYTES = 2 + 20 + 1 + 8

TAIL_BYTES = 192 * 1024
"""What is kept of a counting socket's last reads: each item's last change is in there, also if sent twice."""

_STAMP = re.compile(rb"@@\d{20}:(\d{8})")


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
        """Sockets that the server closed."""
        self._goal = sys.maxsize
        self._reached = asyncio.Event()

    def add(self, frames: int) -> None:
        self.delivered += frames
        self.newest_ns = time.monotonic_ns()
        if self.delivered >= self._goal:
            self._reached.set()

    async def reach(self, delivered: int, patience: float = STALLED_SECONDS) -> bool:
        """Wait for so many deliveries; one caller at a time. False: nothing came for `patience` seconds."""
        while self.delivered < delivered:
            before, self._goal = self.delivered, delivered
            self._reached.clear()
            try:
                async with asyncio.timeout(patience):
                    await self._reached.wait()
            except TimeoutError:
                if self.delivered == before:
                    return False
            finally:
                self._goal = sys.maxsize
        return True

    async def until(self, is_done: Callable[[], bool]) -> bool:
        """Wait until it is so, looked at after every delivery. False: nothing came for `STALLED_SECONDS`."""
        while not is_done():
            if not await self.reach(self.delivered + 1):
                return False
        return True


# One buffer for all sockets: uvloop fills it and calls `buffer_updated` before it reads the next socket.
# Its first byte is the last one of the socket's previous read, so that a mark cut in two is found as well.
_buffer = bytearray(1 + (1 << 18))
incoming = memoryview(_buffer)[1:]


class Socket(asyncio.BufferedProtocol):
    """One client that joins its groups, one after the other, and does nothing with what it gets then."""

    transport: asyncio.Transport

    def __init__(
        self,
        group: str,
        tally: Tally,
        target: Target = TARGETS["streams"],
        *,
        further: Sequence[str] = (),
        header: str = "",
    ) -> None:
        """`further`: groups that it joins besides. `header`: a line of its upgrade request."""
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.state_items = 0
        """Items in the states that it was sent when it joined."""
        self.target, self.tally = target, tally
        self.groups = [group, *further]
        self._joins = 0
        self._header = f"{header}\r\n" if header else ""
        self._opening = b""
        self._is_upgraded = self._is_leaving = False

    def leave(self) -> None:
        """End the connection at once, as a page does that is closed."""
        self._is_leaving = True
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP
        self.transport = transport
        offered = self.target.subprotocol
        protocol = f"Sec-WebSocket-Protocol: {offered}\r\n" if offered else ""
        transport.write(
            f"GET {self.target.path(self.groups[0])} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Sec-WebSocket-Version: 13\r\n{protocol}{self._header}\r\n".encode()
        )

    def get_buffer(self, sizehint: int) -> memoryview:
        return incoming

    def buffer_updated(self, nbytes: int) -> None:
        if self.joined.done():
            self._take(nbytes)
        else:
            self._opening += incoming[:nbytes]
            self._open()

    def connection_lost(self, exc: Exception | None) -> None:
        self.tally.closed += not self._is_leaving
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
            self._ask(self.target.opening(self.groups[0]))
        while self.target.is_joined(self._opening):
            self.state_items += self._opening.count(MARK)
            self._know(self._opening)
            self._joins += 1
            if self._joins == len(self.groups):
                self._opening = b""
                self.joined.set_result(None)
                return
            self._opening = b""
            self._ask(self.target.further(self.groups[self._joins], self._joins))

    def _ask(self, payloads: list[bytes]) -> None:
        for payload in payloads:
            self.transport.write(client_frame(payload))

    def _know(self, state: bytes) -> None:
        """Look at what came until a join was answered."""

    def _take(self, nbytes: int) -> None:
        """Look at a read after that: the first bytes of `incoming`."""


class CountingSocket(Socket):
    """One client that counts the stamps it gets. It answers no pings: it does not live as long."""

    def __init__(self, group: str, tally: Tally, target: Target = TARGETS["streams"]) -> None:
        super().__init__(group, tally, target)
        self.count = self.reads = 0
        """Stamps, and the reads that they came in."""
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._last_byte = 0

    def forget(self) -> None:
        """Begin to count anew."""
        self.count = self.reads = 0

    def newest(self, items: int) -> dict[int, int]:
        """By the number of an item, its newest write at the end. Write n is of item n modulo `items`."""
        newest: dict[int, int] = {}
        for found in _STAMP.finditer(b"".join(self._tail)):
            sequence = int(found[1])
            newest[sequence % items] = max(sequence, newest.get(sequence % items, 0))
        return newest

    def _take(self, nbytes: int) -> None:
        _buffer[0] = self._last_byte
        found = _buffer.count(MARK, 0, nbytes + 1)
        self._last_byte = _buffer[nbytes]
        self._tail.append(bytes(incoming[:nbytes]))
        self._tail_bytes += nbytes
        while self._tail_bytes - len(self._tail[0]) >= TAIL_BYTES:
            self._tail_bytes -= len(self._tail.popleft())
        if found:
            self.count += found
            self.reads += 1
            self.tally.add(found)


class RecordingSocket(Socket):
    """One client of ours that keeps all it gets, to be looked at when nothing is measured any more."""

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
                if received[start] == TEXT:
                    yield read_ns, received[payload:end]
                start = end
            rest = received[start:]

    def _take(self, nbytes: int) -> None:
        self.reads.append((time.monotonic_ns(), bytes(incoming[:nbytes])))


def client_frame(message: bytes, first_byte: int = TEXT) -> bytes:
    """A masked frame, of text or another. The mask is zero: legal, and it leaves the message as it is."""
    length = len(message)
    head = bytes([first_byte, 0x80 | length]) if length < 126 else b"%c\xfe" % first_byte + length.to_bytes(2)
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
