"""Messages as they come from NATS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nats.aio.msg import Msg

if TYPE_CHECKING:
    from nats.aio.client import Client


class Message(Msg):
    """nats-py's message, whose headers are read when somebody asks for them."""

    block: bytes
    """The headers as they came, from `NATS/1.0` to the empty line; empty: there are none."""
    _found: dict[str, str] | None = None

    def __init__(self, client: Client, subject: bytes, reply: bytes, data: bytes, block: bytes) -> None:
        # Not nats-py's own, which costs three times as much.
        self._client = client
        self.subject = subject.decode("utf-8", "replace")
        self.reply = reply.decode("utf-8", "replace")
        self.data = data
        self.block = block

    @property
    def headers(self) -> dict[str, str] | None:  # type: ignore[override]  # nobody sets them
        if self._found is None and self.block:
            self._found = headers_in(self.block)
        return self._found

    def named(self, name: str) -> str | None:
        """One header, without a look at the others."""
        # The last one of that name, as in `headers`: a server puts its own behind those of a writer.
        found = self.block.rfind(f"\r\n{name}:".encode())
        if found < 0:
            return None
        value, _, _ = self.block[found + len(name) + 3 :].partition(b"\r\n")
        return value.decode("utf-8", "replace").strip(" \t")


def headers_in(block: bytes) -> dict[str, str]:
    """By name. What the first line says is called `Status` and `Description`, as nats-py calls it."""
    first, *lines = block.decode("utf-8", "replace").split("\r\n")
    found = {}
    status, _, description = first.removeprefix("NATS/1.0").strip().partition(" ")
    if status.isdecimal():
        found["Status"] = status
    if description:
        found["Description"] = description
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            found[name] = value.strip(" \t")
    return found
