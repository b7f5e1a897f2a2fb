"""WebSocket frames as a server writes them.

Unmasked (RFC 6455, section 5.1), so the same bytes can go to every socket,
and frames can be joined into one write.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_TEXT = 0x81  # FIN and opcode 1

PING_FRAME = b"\x89\x00"
"""An empty ping."""

EMPTY_PONG, EMPTY_BYTES = b"\x8a\x80", 6
"""How a client answers it: this and a mask, which are so many bytes."""


def text_frame(payload: bytes) -> bytes:
    """One whole text message."""
    length = len(payload)
    if length < 126:
        return bytes((_TEXT, length)) + payload
    if length < 65536:
        return struct.pack("!BBH", _TEXT, 126, length) + payload
    return struct.pack("!BBQ", _TEXT, 127, length) + payload


def payloads(frames: bytes) -> Iterator[bytes]:
    """What whole text messages say that stand one behind the other. Other frames are left out."""
    at = 0
    while at < len(frames):
        kind, length = frames[at], frames[at + 1]
        at += 2
        if length == 126:
            (length,) = struct.unpack_from("!H", frames, at)
            at += 2
        elif length == 127:
            (length,) = struct.unpack_from("!Q", frames, at)
            at += 8
        if kind == _TEXT:
            yield frames[at : at + length]
        at += length
