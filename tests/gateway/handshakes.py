"""Handshakes as they come, and as nobody should send them, each with its documented answer.

`HANDSHAKES` is the table; what a row says is in docs/protocol.md, "Connecting"
and "Who it is". Tokens are made when this is loaded, and good for an hour.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from tests.auth.hostile_tokens import HOSTILE, Hostile
from tests.auth.issued import claims, token
from tests.gateway.handshake_forms import FORM, ORIGIN
from tests.gateway.handshake_rows import (
    ANN,
    EVE,
    KEYLESS,
    NONE,
    TWO,
    Handshake,
    bearer,
    let_in,
    nobody,
    offers,
    refused,
    request,
)
from tests.gateway.handshake_tokens import BEARER, QUERY, SEVERAL_WAYS, SUBPROTOCOL

_UNKNOWN_KEY = token(kid=KEYLESS)

APPLICATION = [
    refused("revoked, and bad beside", TWO, bearer(EVE), target="/?authToken=x"),
    Handshake("a revoked token", request(bearer(EVE)), 401, "TOKEN_REVOKED", "'eve' was revoked"),
    Handshake(
        "a revoked token as browsers send it",
        request(offers("streams.v2", "Authorization", EVE)),
        401,
        "TOKEN_REVOKED",
        "'eve' was revoked",
    ),
    Handshake(
        "keys that were never fetched", request(bearer(_UNKNOWN_KEY)), 503, "AUTH_UNAVAILABLE", "no keys"
    ),
    let_in("a kid that is a path, of a token that is good", bearer(token(kid="../../etc/passwd"))),
    let_in("a token without a type", bearer(token(typ=...))),
    let_in("an access token", bearer(token(typ="at+jwt"))),
    let_in("a token for several audiences", bearer(token(claims(aud=["other", "streams"])))),
    let_in("a token of nearly 8 KiB", bearer(token(claims(more="x" * 5850)))),
    let_in("a user whose name is not ASCII", bearer(token(claims(sub="Zoë\n"))), sub="Zoë\n"),
    refused("authenticate raises", "authenticate gave no answer", bearer(ANN), target="/raises"),
    refused("authenticate raises for nobody", "authenticate gave no answer", target="/raises"),
    refused("authenticate ends the process", "authenticate gave no answer", target="/exits"),
    refused("authenticate hangs", "it took longer than", bearer(ANN), target="/hangs"),
    refused("authenticate hangs for nobody", "it took longer than", target="/hangs"),
    refused("authenticate says False", "returned False", bearer(ANN), target="/false"),
    refused("authenticate says True", "returned True", bearer(ANN), target="/true"),
    refused("authenticate says nothing of a token", "returned None for 'ann'", bearer(ANN), target="/none"),
    nobody("authenticate says nothing of nobody", target="/none"),
    refused("a context that does not fit", "does not fit", bearer(ANN), target="/misfit"),
    refused("a context for nobody that does not fit", "does not fit", target="/misfit"),
]


def _with_hostile(number: int, hostile: Hostile) -> Handshake:
    """A bad token, in one of the ways that can carry it: whichever way it comes, it is checked the same."""
    whole, reason = hostile.token, hostile.reason if hostile.token else NONE
    target = f"/?authToken={quote(whole, safe='', errors='surrogatepass')}"
    rows = [_bad(f"{hostile.name}: in the address", reason, 414, target=target)]
    if whole.isascii() and whole.isprintable() and whole == whole.strip():
        rows.append(_bad(f"{hostile.name}: as a bearer", reason, 431, bearer(whole)))
    if re.fullmatch(r"[\w.+-]+", whole, re.ASCII):
        rows.append(_bad(f"{hostile.name}: as a subprotocol", reason, 431, offers("Authorization", whole)))
    return rows[number % len(rows)]


def _bad(name: str, reason: str, too_long: int, *lines: str, **how: str) -> Handshake:
    row = refused(name, reason, *lines, **how)
    if len(row.request) > 32 * 1024:
        return Handshake(name, row.request, None)
    if len(row.request) > 8 * 1024:
        return Handshake(name, row.request, too_long)
    return row


HANDSHAKES = [
    *BEARER,
    *SUBPROTOCOL,
    *QUERY,
    *SEVERAL_WAYS,
    *ORIGIN,
    *FORM,
    *APPLICATION,
    *(_with_hostile(number, hostile) for number, hostile in enumerate(HOSTILE)),
]
