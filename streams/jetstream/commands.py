"""The NATS protocol, as far as we write it ourselves. Pure."""

from __future__ import annotations

from collections.abc import Mapping


def publish_command(subject: str, reply: str, data: bytes, headers: Mapping[str, str] | None) -> bytes:
    """A message as it goes to the server.

    Nothing is checked: subjects are made of encoded names, and headers are
    our own. `reply` may be empty.
    """
    if not headers:
        return b"PUB %s %s %d\r\n%s\r\n" % (subject.encode(), reply.encode(), len(data), data)
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    block = f"NATS/1.0\r\n{lines}\r\n".encode()
    lengths = b"%d %d" % (len(block), len(block) + len(data))
    return b"HPUB %s %s %s\r\n%s%s\r\n" % (subject.encode(), reply.encode(), lengths, block, data)
