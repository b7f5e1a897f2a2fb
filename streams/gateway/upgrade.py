"""What an upgrade request asks for: a dialect, and to be somebody. Pure.

A token comes in one of three ways:

- `Sec-WebSocket-Protocol: Authorization, <token>`, what a browser can send:
  `new WebSocket(url, ["Authorization", token])`. The answer names
  `Authorization`, never the token;
- `Authorization: Bearer <token>`, from programs;
- `?authToken=<token>`, because Motia's frontends do so. Addresses end up in
  the logs of proxies, so this is for those alone.

One that is announced and not there, or two that differ, are refused: who
meant to be somebody is never taken for nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from urllib.parse import parse_qsl, unquote

from streams.access import AuthRequest
from streams.auth.requests import bearer_tokens, told_request
from streams.errors import NotLetIn
from streams.gateway.handshake import Opening
from streams.messages import EXTENDED

AUTHORIZATION = "authorization"
_MAX_PARAMETERS = 100


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A request to open a socket."""

    request: AuthRequest
    token: str | None = field(repr=False)
    origin: str | None
    """Of the page that asks; None: it is no browser."""
    subprotocol: str | None
    """What is answered to those that it offers."""

    @property
    def is_extended(self) -> bool:
        return self.subprotocol == EXTENDED


def read_upgrade(opening: Opening, address: str | None) -> Upgrade:
    """Read a request whose form was checked already: of a WebSocket, or of an event stream.

    Raises:
        NotLetIn: It brings a token in a way that leaves open which one it is.
    """
    path, _, asked = opening.target.partition("?")
    try:
        query = parse_qsl(asked, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS) if asked else []
    except ValueError:
        raise NotLetIn("TOKEN_REFUSED", f"the query has more than {_MAX_PARAMETERS} parameters") from None
    headers, protocols = opening.headers, opening.headers.get("sec-websocket-protocol")
    offered = [] if protocols is None else offered_subprotocols([protocols])
    untold = [(name, value) for name, value in query if name != "authToken"]
    return Upgrade(
        told_request(
            "websocket" if opening.accept else "http", unquote(path), untold, headers.items(), address
        ),
        _token(query, offered, opening.authorizations),
        headers.get("origin"),
        chosen_subprotocol(offered),
    )


def _token(
    query: Sequence[tuple[str, str]], offered: Sequence[str], authorizations: Sequence[str]
) -> str | None:
    if not (query or offered or authorizations):
        return None
    tokens = {
        *_beside_authorization(offered),
        *bearer_tokens(authorizations),
        *(value for name, value in query if name == "authToken"),
    }
    if len(tokens) > 1:
        raise NotLetIn("TOKEN_REFUSED", "it came with two tokens")
    token = next(iter(tokens), None)
    if token == "":
        raise NotLetIn("TOKEN_REFUSED", "it announced a token, and sent none")
    return token


def offered_subprotocols(values: Iterable[str]) -> list[str]:
    """What a client offers, in order. A name between commas may be empty."""
    return [name.strip() for value in values for name in value.split(",")]


def chosen_subprotocol(offered: Sequence[str]) -> str | None:
    """What it is answered, as it spelled it: a browser that offers some ends where none is chosen."""
    if EXTENDED in offered:
        return EXTENDED
    return next((name for name in offered if name.lower() == AUTHORIZATION), None)


def _beside_authorization(offered: Sequence[str]) -> Iterable[str]:
    names = [name for name in offered if name != EXTENDED]
    for name, behind in zip_longest(names, names[1:], fillvalue=""):
        if name.lower() == AUTHORIZATION:
            yield behind
