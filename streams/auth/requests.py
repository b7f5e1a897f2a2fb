"""A request as an application is told of it, and the tokens that it brings beside. Pure.

The same for a socket's upgrade and for any other request: a rule on headers
must mean the same ones, and who is refused here is not somebody there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from streams.access import AuthRequest

_UNTOLD = frozenset({"authorization", "proxy-authorization", "sec-websocket-protocol", "sec-websocket-key"})
"""Headers that no rule is told of: tokens, and what belongs to the handshake."""
_BEARER = re.compile(r"bearer(?![a-z0-9])(.*)", re.IGNORECASE | re.ASCII)


def told_request(
    kind: Literal["websocket", "http"],
    path: str,
    query: Iterable[tuple[str, str]],
    headers: Iterable[tuple[str, str]],
    address: str | None,
) -> AuthRequest:
    """What an application may see of a request. Headers of one name are joined by commas."""
    told: dict[str, list[str]] = {}
    for name, value in headers:
        if (lower := name.lower()) not in _UNTOLD:
            told.setdefault(lower, []).append(value)
    return AuthRequest(
        kind, path, dict(query), {name: ", ".join(values) for name, values in told.items()}, address
    )


def bearer_tokens(authorizations: Iterable[str]) -> list[str]:
    """What `Authorization` headers announce as tokens, in order; empty where nothing follows.

    Another scheme is not for us: it may be that of a proxy in between. Ours,
    misspelled, counts with what stands behind it, which is no good token: who
    meant to be somebody is never taken for nobody.
    """
    found = (_BEARER.fullmatch(value.strip(" \t")) for value in authorizations)
    return [each[1].strip(" ") for each in found if each]
