"""What clients send, read by websockets' sans-I/O `ServerProtocol`.

Such a parser takes more memory than all else that a socket needs, and most
sockets say nothing most of the time. So a client has one only while it is in
the middle of something: of a frame, of a message in pieces, of closing. At
other times one is lent to it for as long as a read takes, and then to the next.
"""

from __future__ import annotations

import logging
from typing import ClassVar, TypeAlias

from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from streams.messages import MAX_MESSAGE_BYTES

_library_log = logging.getLogger("websockets.server")
_library_log.setLevel(logging.WARNING)

# Looked up once: an enumeration takes its time.
TEXT, PONG, CLOSE = Opcode.TEXT, Opcode.PONG, Opcode.CLOSE

Said: TypeAlias = tuple[Opcode, bytes]
"""A whole message (`TEXT`, whichever kind it is), or a control frame."""


def parser(state: State) -> ServerProtocol:
    """One for a socket that is about to open, or is open."""
    wire = ServerProtocol(state=state, max_size=MAX_MESSAGE_BYTES, logger=_library_log)
    # It would write every header, and so tokens, into the log.
    wire.debug = False
    return wire


class Incoming:
    """A parser, and what it is in the middle of. One client has it at a time."""

    __slots__ = ("_head", "_is_lost", "_missing", "_parts", "wire")

    _spare: ClassVar[list[Incoming]] = []
    """At most one, which is in the middle of nothing."""

    def __init__(self, wire: ServerProtocol | None = None) -> None:
        self.wire = wire or parser(State.OPEN)
        self._head, self._missing = b"", 0
        """Of a frame that has begun: its head as far as it came, or how much of the rest did not."""
        self._parts: list[bytes] = []
        self._is_lost = False

    @classmethod
    def lent(cls) -> Incoming:
        """For a client that is in the middle of nothing."""
        return cls._spare.pop() if cls._spare else cls()

    def is_given_back(self) -> bool:
        """Let others have it, unless something has begun that has not ended: then its client keeps it."""
        if self._head or self._missing or self._parts or self._is_lost or self.wire.state is not State.OPEN:
            return False
        if not self._spare:
            self._spare.append(self)
        return True

    def take(self, data: bytes) -> list[Said]:
        """What was said with this, whole messages and control frames, as far as the rules are kept."""
        wire, parts, said = self.wire, self._parts, list[Said]()
        wire.receive_data(data)
        events = wire.events_received()
        # As it should be, unless the parser has failed. Else nobody could tell where it is.
        self._is_lost |= len(events) != self._ends(data)
        for frame in events:
            assert isinstance(frame, Frame), "there was a handshake before"
            if frame.opcode >= CLOSE:
                said.append((frame.opcode, b""))
                continue
            parts.append(bytes(frame.data))
            if frame.fin:
                said.append((TEXT, parts[0] if len(parts) == 1 else b"".join(parts)))
                parts.clear()
        return said

    def _ends(self, data: bytes) -> int:
        """How many frames end with this."""
        if not (self._head or self._missing) and _frame_bytes(data, 0) == len(data):
            # Nearly always.
            return 1
        if len(data) < self._missing:
            self._missing -= len(data)
            return 0
        ended = 1 if self._missing else 0
        data, at = self._head + data, self._missing
        self._head, self._missing = b"", 0
        while at < len(data):
            size = _frame_bytes(data, at)
            if size is None:
                self._head = data[at:]
                break
            at += size
            if at > len(data):
                self._missing = at - len(data)
                break
            ended += 1
        return ended


def _frame_bytes(data: bytes, at: int) -> int | None:
    """How long a client's frame is that begins there (RFC 6455, section 5.2); None: nobody can say yet."""
    if len(data) < at + 2:
        return None
    length = data[at + 1] & 0x7F
    if length < 126:
        return 6 + length
    more = 2 if length == 126 else 8
    if len(data) < at + 2 + more:
        return None
    return 6 + more + int.from_bytes(data[at + 2 : at + 2 + more])
