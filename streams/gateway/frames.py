"""WebSocket frames as a server writes them.

Unmasked (RFC 6455, section 5.1), so the same bytes can go to every socket,
and frames can be joined into one write.
"""

from __future__ import annotations

import struct

_TEXT = 0x81  # FIN and opcode 1


def text_frame(payload: bytes) -> bytes:
    """One whole text message."""
    length = len(payload)
    if length < 126:
        return bytes((_TEXT, length)) + payload
    if length < 65536:
        return struct.pack("!BBH", _TEXT, 126, length) + payload
    return struct.pack("!BBQ", _TEXT, 127, length) + payload
