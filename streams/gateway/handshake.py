"""Requests to open a WebSocket, in the form in which nearly all of them come.

Reading every form, as httptools and websockets do, takes longer than all the
rest of a join. So a request that is plainly right is taken here. Whatever else
comes, right or wrong, is theirs to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from websockets.utils import accept_key

MOST_BYTES, MOST_HEADERS = 8_000, 64
"""What is more is not plain. websockets takes lines of 8,192 bytes, and 128 of them."""

_TOKEN = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]++"
_TARGET = rb"/[-\w.~%/?&=+:@!$'()*,;]*+"
# Nothing is looked at twice. Spaces behind a value belong to it or not, so there are none.
_LINE = rb"%s:[\t -~\x80-\xff]*+(?<![\t ])\r\n" % _TOKEN
_REQUEST = re.compile(rb"GET (%s) HTTP/1\.1\r\n((?:%s)++)\r\n" % (_TARGET, _LINE), re.ASCII)
_HEADER = re.compile(r"([^:]++):[\t ]*+([^\r]*+)\r\n")
_OFFERS = re.compile(r"%s(?:[\t ]*+,[\t ]*+%s)*+" % ((_TOKEN.decode(),) * 2))
_KEY = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
"""16 bytes."""

_UPGRADES = ("upgrade", "keep-alive, upgrade")
_BODIES = frozenset({"content-length", "transfer-encoding"})


class Opening(NamedTuple):
    """A request to open a WebSocket, or an event stream, whose form is right."""

    target: str
    headers: Mapping[str, str]
    """By their names in small letters. Those of one name are joined by commas."""
    authorizations: Sequence[str]
    """Those of this name, one by one."""
    accept: str
    """What proves to the client that its request was understood. Empty: it asks for an event stream."""

    @classmethod
    def of(cls, target: str, headers: Iterable[tuple[str, str]], accept: str) -> Opening:
        """From headers as they came."""
        found, authorizations = dict[str, str](), list[str]()
        for name, value in headers:
            lower = name.lower()
            found[lower] = f"{found[lower]}, {value}" if lower in found else value
            if lower == "authorization":
                authorizations.append(value)
        return cls(target, found, authorizations, accept)

    def answer(self, subprotocol: str | None) -> bytes:
        """The answer that opens the socket."""
        chosen = "" if subprotocol is None else f"Sec-WebSocket-Protocol: {subprotocol}\r\n"
        return (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {self.accept}\r\n{chosen}\r\n"
        ).encode()


def plain_opening(read: bytes) -> Opening | None:
    """The request that this is, if it is plainly right, whole, and has nothing behind it.

    None says nothing of it.
    """
    if len(read) > MOST_BYTES or (request := _REQUEST.fullmatch(read)) is None:
        return None
    pairs = _HEADER.findall(request[2].decode("latin-1"))
    headers = {name.lower(): value for name, value in pairs}
    key, offered = headers.get("sec-websocket-key", ""), headers.get("sec-websocket-protocol")
    if (
        headers.get("upgrade", "").lower() != "websocket"
        or headers.get("connection", "").lower() not in _UPGRADES
        or headers.get("sec-websocket-version") != "13"
        or _KEY.fullmatch(key) is None
        or (offered is not None and _OFFERS.fullmatch(offered) is None)
        or not _BODIES.isdisjoint(headers)
        # Of what comes twice it matters what it is.
        or not len(headers) == len(pairs) <= MOST_HEADERS
    ):
        return None
    authorizations = [headers["authorization"]] if "authorization" in headers else []
    return Opening(request[1].decode("ascii"), headers, authorizations, accept_key(key))
