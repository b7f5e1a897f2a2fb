"""Who sends this token: a JWT that was checked to the last byte, or nobody.

The order matters: size and form first, the header next, then the signature,
and what the token claims only after that. PyJWT checks the signature; header
and claims are read here, because they are read more strictly.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import orjson

from streams.access import Claims
from streams.errors import DefinitionRefused, InvalidName, NotLetIn
from streams.keys import checked_name

if TYPE_CHECKING:
    # Only for its name: who has no keys needs neither PyJWT nor cryptography.
    from streams.auth.keys import Key

MAX_TOKEN_BYTES = 8 * 1024
MAX_LEEWAY_SECONDS = 60
MAX_KID_CHARACTERS = 256
MAX_KEYS_TRIED = 10
"""A token that does not name its key is tried with so many."""

_TOKEN = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
# Keys and addresses of keys that the token brings along itself.
_BROUGHT_KEYS = ("jku", "jwk", "x5u", "x5c")
_YEAR_10000 = 253_402_300_800


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must claim, beside being signed.

    Raises:
        DefinitionRefused: The leeway is not from 0 to 60 s.
    """

    issuer: str | None = None
    """What `iss` must be, to the letter. None: anything."""
    audience: str | None = None
    """What `aud` must be, or have among its values, to the letter. None: anything."""
    leeway_seconds: float = 10
    """How wrong the issuer's clock, or ours, may be."""

    def __post_init__(self) -> None:
        if not 0 <= self.leeway_seconds <= MAX_LEEWAY_SECONDS:
            raise DefinitionRefused(
                f"a leeway of {self.leeway_seconds:g} s is not from 0 to {MAX_LEEWAY_SECONDS} s; "
                "set the clocks instead, or unset STREAMS_JWT_LEEWAY to use 10"
            )

    def check(self, claims: Mapping[str, Any], now: float) -> None:
        """Refuse the claims of a token that do not hold at `now`, in seconds since 1970.

        Raises:
            NotLetIn: TOKEN_REFUSED, with the reason.
        """
        issued, ends = _moment(claims, "iat"), _moment(claims, "exp")
        if ends <= issued:
            raise refused("it ends before it was issued")
        if now >= ends + self.leeway_seconds:
            raise refused(f"it ended {now - ends:.0f} s ago")
        if issued > now + self.leeway_seconds:
            raise refused(f"it is issued {issued - now:.0f} s in the future")
        if "nbf" in claims and _moment(claims, "nbf") > now + self.leeway_seconds:
            raise refused("it is not valid yet: nbf is in the future")
        _check_sub(claims.get("sub"))
        issuer = claims.get("iss")
        if self.issuer is not None and not (isinstance(issuer, str) and issuer == self.issuer):
            raise refused(f"iss is {_shown(issuer)}, and {self.issuer!r} is expected")
        if self.audience is not None:
            self._check_audience(self.audience, claims.get("aud"))

    def _check_audience(self, expected: str, found: object) -> None:
        audiences = found if isinstance(found, list) else [found]
        if not all(isinstance(audience, str) for audience in audiences) or expected not in audiences:
            raise refused(f"aud is {_shown(found)}, and {expected!r} is expected")


class KeySource(Protocol):
    """Where a verifier has its keys from."""

    @property
    def algorithms(self) -> frozenset[str]:
        """Every algorithm that a key of it may have: whoever uses another is not asked further."""

    async def known(self, kid: str | None) -> Sequence[Key]:
        """The keys that are accepted now. Where none is called `kid`, it may look for new ones first.

        Raises:
            NotLetIn: AUTH_UNAVAILABLE: there were never any keys.
        """


class Verifier:
    """Checks tokens, with the keys of one source.

    A source has secrets or public keys, never both.
    """

    def __init__(
        self, keys: KeySource | None, rules: TokenRules, *, now: Callable[[], float] = time.time
    ) -> None:
        self._keys, self._rules, self._now = keys, rules, now

    @classmethod
    def without_keys(cls) -> Self:
        """One that refuses every token."""
        return cls(None, TokenRules())

    @property
    def leeway_seconds(self) -> float:
        """How long after its end a token still counts."""
        return self._rules.leeway_seconds

    def ends_at(self, claims: Claims) -> float:
        """When a caller with these claims is nobody any more, in seconds since 1970."""
        return claims.exp + self.leeway_seconds

    async def claims(self, token: str) -> Claims:
        """What the token says, once everything about it was checked.

        It waits only where keys must be asked for. Cancelling this loses nothing.

        Raises:
            NotLetIn: TOKEN_REFUSED: the token is bad. AUTH_UNAVAILABLE: there are no keys yet to say so.
        """
        if self._keys is None:
            raise refused("no keys are configured to check tokens with")
        header, payload, signature = _parts(token)
        algorithm, kid = _checked_header(_json_object("header", _decoded("header", header)))
        if algorithm not in self._keys.algorithms:
            raise refused(f"no key of ours is for the alg {_shown(algorithm)}")
        keys = [key for key in await self._keys.known(kid) if key.fits(kid, algorithm)]
        if not keys:
            raise refused(f"there is no key {_shown(kid)} for the alg {algorithm}")
        signed, proof = f"{header}.{payload}".encode(), _decoded("signature", signature)
        if not any(key.verifies(algorithm, signed, proof) for key in keys[:MAX_KEYS_TRIED]):
            raise refused("its signature is wrong")
        claims = _json_object("payload", _decoded("payload", payload))
        self._rules.check(claims, self._now())
        return Claims(claims)


def refused(reason: str) -> NotLetIn:
    """The refusal of a bad token. The reason is for the log."""
    return NotLetIn("TOKEN_REFUSED", reason)


def _parts(token: str) -> tuple[str, str, str]:
    if len(token) > MAX_TOKEN_BYTES:
        raise refused(f"it is longer than {MAX_TOKEN_BYTES} bytes")
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise refused("it is not three parts of base64url with a dot between them")
    return found[1], found[2], found[3]


def _checked_header(header: dict[str, Any]) -> tuple[str, str | None]:
    """The algorithm that the token says it is signed with, and the name of the key."""
    if "crit" in header:
        # Whoever writes it wants tokens refused where the extension is not known, and none is known here.
        raise refused(f"it needs the extensions {_shown(header['crit'])}")
    if header.get("b64", True) is not True:
        raise refused("its payload is not encoded")
    for name in _BROUGHT_KEYS:
        if name in header:
            raise refused(f"it brings a key along, in {name}")
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.lower() not in _TYPES:
        raise refused(f"typ is {_shown(typ)}, and JWT or at+jwt is expected")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str):
        raise refused("alg is no string")
    if "kid" in header and not (isinstance(kid, str) and len(kid) <= MAX_KID_CHARACTERS):
        raise refused(f"kid is no string of at most {MAX_KID_CHARACTERS} characters")
    return algorithm, kid


def _decoded(what: str, part: str) -> bytes:
    try:
        value = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        raise refused(f"its {what} is not base64url") from None
    # Bits that mean nothing would make several tokens of one.
    if base64.urlsafe_b64encode(value).rstrip(b"=") != part.encode():
        raise refused(f"its {what} is not written as base64url is")
    return value


def _json_object(what: str, text: bytes) -> dict[str, Any]:
    try:
        # Two readers, because each refuses what the other takes: NaN, bytes that are not UTF-8 and
        # half surrogates the first, an object with two members of one name the second.
        orjson.loads(text)
        value = _DISTINCT.decode(text.decode())
    except (ValueError, RecursionError) as error:
        raise refused(f"its {what} is not JSON: {error}"[:200]) from None
    if not isinstance(value, dict):
        raise refused(f"its {what} is no JSON object")
    return value


def _distinct(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) != len(members):
        raise ValueError("a member comes twice")
    return value


# Made once: to make it takes as long as to read a token with it.
_DISTINCT = json.JSONDecoder(object_pairs_hook=_distinct)


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    # No bool, which is an int; no NaN and no infinity, which are in no range.
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _YEAR_10000:
        return float(value)
    raise refused(f"{name} is {_shown(value)}, and seconds since 1970 are expected")


def _check_sub(sub: object) -> None:
    if not isinstance(sub, str):
        raise refused(f"sub is {_shown(sub)}, and a string is expected")
    try:
        checked_name("sub", sub)
    except InvalidName as error:
        raise refused(str(error)) from None


def _shown(value: object) -> str:
    """A value for the log: not all of one that is long, and nothing of one that is deep."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return repr(value)[:80]
