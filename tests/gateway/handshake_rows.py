"""Rows of the table of handshakes: what is sent, and how it is answered.

Tokens are made when this is loaded, and good for an hour.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from tests.auth.issued import claims, token

ORIGINS = ("https://app.example.com", "https://*.example.org")
"""What the gateway of the table is started with."""

REVOKED, KEYLESS = "eve", "not-there-yet"
"""A user whose tokens were revoked, and a `kid` of keys that were never fetched."""

ANN, BOB = token(), token(claims(sub="bob"))
EVE = token(claims(sub=REVOKED))

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
_USUAL = (
    "Host: gateway.example",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    KEY,
)

TWO, NONE, PARTS = "two tokens", "announced a token, and sent none", "three parts of base64url"
ANY = ""
"""Reasons: parts of what the log says of tokens that are refused. The last one is part of anything."""


@dataclass(frozen=True)
class Handshake:
    """A request, and how it is answered."""

    name: str
    request: bytes
    status: int | None
    """None: the line is cut without an answer."""
    code: str | None = None
    """In the body of a refusal that is ours."""
    reason: str | None = None
    """A part of what the log says of it. None: the log says nothing."""
    sub: str | None = None
    """Who it is, where it is let in. None: nobody."""
    subprotocol: str | None = None
    """Which one the answer names."""

    def __str__(self) -> str:
        return self.name


def request(
    *lines: str,
    target: str = "/",
    method: str = "GET",
    version: str = "HTTP/1.1",
    without: str | None = None,
    behind: bytes = b"",
) -> bytes:
    """A request to open a socket, with these lines beside the usual ones.

    One usual line is left out where `without` names it.
    """
    usual = [line for line in _USUAL if line.partition(":")[0] != without]
    return "\r\n".join((f"{method} {target} {version}", *usual, *lines, "", "")).encode("latin-1") + behind


def secrets(asked: bytes) -> set[str]:
    """What a request holds of tokens, good or not: no answer and no log may have any of it."""
    said = asked.decode("latin-1")
    return set(re.findall(r"[\w+-]{30,}", f"{said} {unquote(said)}", re.ASCII))


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


def offers(*names: str) -> str:
    return f"Sec-WebSocket-Protocol: {', '.join(names)}"


def let_in(
    name: str, *lines: str, sub: str | None = "ann", answered: str | None = None, **how: str
) -> Handshake:
    return Handshake(name, request(*lines, **how), 101, sub=sub, subprotocol=answered)


def nobody(name: str, *lines: str, answered: str | None = None, **how: str) -> Handshake:
    return let_in(name, *lines, sub=None, answered=answered, **how)


def refused(name: str, reason: str, *lines: str, **how: str) -> Handshake:
    return Handshake(name, request(*lines, **how), 401, "TOKEN_REFUSED", reason)


def elsewhere(name: str, *lines: str, **how: str) -> Handshake:
    return Handshake(name, request(*lines, **how), 403, "ORIGIN_REFUSED", "origin '")


def malformed(name: str, status: int | None, *lines: str, **how: str) -> Handshake:
    return Handshake(name, request(*lines, **how), status)
