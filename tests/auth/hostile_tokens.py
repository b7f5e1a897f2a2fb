"""Tokens that nobody may be let in with, and why. Whoever takes tokens is tried with them.

`HOSTILE` is for whoever knows `SECRET`, `HOSTILE_TO_PUBLIC_KEYS` for whoever
knows the public half of `PRIVATE` in its place; both with `RULES` or no leeway.
Made when they are loaded, and good for an hour.
"""

from __future__ import annotations

import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any

from jwt.utils import base64url_encode

from tests.auth.issued import (
    AUDIENCE,
    ISSUER,
    OTHER_SECRET,
    SECRET,
    claims,
    jwk,
    pem,
    private,
    token,
)

PRIVATE = private("RSA")
_OTHER = private("RSA", "other")
_NOW = time.time()


@dataclass(frozen=True)
class Hostile:
    """A bad token."""

    name: str
    token: str = field(repr=False)
    reason: str
    """A part of what the log says of it."""

    def __str__(self) -> str:
        return self.name


def _claiming(name: str, reason: str, **changed: Any) -> Hostile:
    return Hostile(name, token(claims(**changed)), reason)


def _with_header(name: str, reason: str, **members: Any) -> Hostile:
    return Hostile(name, token(**members), reason)


def _with_signature(signature: str) -> str:
    return f"{token().rpartition('.')[0]}.{signature}"


def _unsigned(alg: object, signature: str = "") -> str:
    return f"{token(header={'alg': alg, 'typ': 'JWT'}).rpartition('.')[0]}.{signature}"


def _hmac(secret: bytes, alg: str = "HS256", **header: Any) -> str:
    signed = token(alg=alg, **header).rpartition(".")[0]
    digest = hmac.new(secret, signed.encode(), "sha256").digest()
    return f"{signed}.{base64url_encode(digest).decode()}"


def _with_last_bits_set(whole: str) -> str:
    # 32 bytes are 42 characters and 4 bits: two of the last character mean nothing.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return whole[:-1] + alphabet[alphabet.index(whole[-1]) + 1]


_FORM = "three parts of base64url"
_SIGNATURE = "signature is wrong"
_MOMENT = "seconds since 1970 are expected"
_PARTS = token().split(".")

HOSTILE = [
    # Its form.
    Hostile("nothing", "", _FORM),
    Hostile("a word", "ann", _FORM),
    Hostile("two dots", "..", _FORM),
    Hostile("one part", _PARTS[0], _FORM),
    Hostile("two parts", ".".join(_PARTS[:2]), _FORM),
    Hostile("four parts", f"{token()}.e30", _FORM),
    Hostile("five parts, as if encrypted", f"{token()}.e30.e30", _FORM),
    Hostile("no signature", f"{_PARTS[0]}.{_PARTS[1]}.", _FORM),
    Hostile("no payload", f"{_PARTS[0]}..{_PARTS[2]}", _FORM),
    Hostile("no header", f".{_PARTS[1]}.{_PARTS[2]}", _FORM),
    Hostile("the scheme before it", f"Bearer {token()}", _FORM),
    Hostile("a space after it", f"{token()} ", _FORM),
    Hostile("a line break after it", f"{token()}\n", _FORM),
    Hostile("two at once", f"{token()},{token()}", _FORM),
    Hostile("padding", f"{token()}=", _FORM),
    Hostile("base64 that is not for URLs", _with_signature("+" * 43), _FORM),
    Hostile("a letter that only looks like one", token().replace("e", "е", 1), _FORM),
    Hostile("digits of another script", _with_signature("٣" * 43), _FORM),
    Hostile("a NUL", f"{token()}\0", _FORM),
    Hostile("half a surrogate pair", f"{token()}\udcff", _FORM),
    Hostile("longer than 8 KB", token(claims(more="x" * 8192)), "longer than 8192 bytes"),
    Hostile("a megabyte", "a" * 1_000_000, "longer than 8192 bytes"),
    Hostile("a signature of impossible length", _with_signature("A" * 41), "not base64url"),
    Hostile("a header of impossible length", f"A.{_PARTS[1]}.{_PARTS[2]}", "not base64url"),
    Hostile(
        "a second spelling of its signature", _with_last_bits_set(token()), "not written as base64url is"
    ),
    # Its header.
    Hostile("a header that is not JSON", token(header=b"{alg: HS256}"), "header is not JSON"),
    Hostile("a header that is a list", token(header=b'["HS256"]'), "header is no JSON object"),
    Hostile("a header that is null", token(header=b"null"), "header is no JSON object"),
    Hostile("a header that is not UTF-8", token(header=b'{"alg":"\xff"}'), "header is not JSON"),
    Hostile("a header with a BOM", token(header=b'\xef\xbb\xbf{"alg":"HS256"}'), "header is not JSON"),
    Hostile("a header in UTF-16", token(header='{"alg":"HS256"}'.encode("utf-16")), "header is not JSON"),
    Hostile("two algorithms", token(header=b'{"alg":"none","alg":"HS256"}'), "a member comes twice"),
    Hostile("a header nested deeply", token(header=b'{"a":' + b"[" * 2900), "header is not JSON"),
    Hostile(
        "an extension nested deeply",
        token(header=b'{"alg":"HS256","crit":' + b"[" * 900 + b"]" * 900 + b"}"),
        "needs the extensions a list",
    ),
    _with_header("no algorithm", "alg is no string", header={"typ": "JWT"}),
    _with_header("an algorithm that is null", "alg is no string", header={"alg": None}),
    _with_header("a list of algorithms", "alg is no string", header={"alg": ["HS256"]}),
    Hostile("alg none", _unsigned("none", "AA"), "no key of ours is for the alg 'none'"),
    Hostile("alg none and no signature", _unsigned("none"), _FORM),
    Hostile("alg None", _unsigned("None", "AA"), "no key of ours is for the alg 'None'"),
    Hostile("alg nOnE, signed all the same", _hmac(SECRET.encode(), header={"alg": "nOnE"}), "alg 'nOnE'"),
    Hostile("an empty algorithm", _hmac(SECRET.encode(), header={"alg": ""}), "for the alg ''"),
    Hostile("alg hs256", _hmac(SECRET.encode(), header={"alg": "hs256"}), "for the alg 'hs256'"),
    Hostile("alg HS256 and a space", _hmac(SECRET.encode(), header={"alg": "HS256 "}), "alg 'HS256 '"),
    Hostile("RS256 where there is a secret", token(key=PRIVATE, alg="RS256"), "for the alg 'RS256'"),
    Hostile("ES256 where there is a secret", token(key=private("P-256"), alg="ES256"), "alg 'ES256'"),
    Hostile("HS512 signed by HS256", _hmac(SECRET.encode(), "HS512"), _SIGNATURE),
    _with_header("an unknown extension", "needs the extensions", crit=["streams"], streams=1),
    _with_header("an extension that PyJWT knows", "needs the extensions", crit=["b64"], b64=True),
    _with_header("no extension, said as if there were", "needs the extensions", crit=[]),
    _with_header("extensions that are null", "needs the extensions None", crit=None),
    _with_header("a payload that is not encoded", "payload is not encoded", b64=False),
    _with_header("a payload that is not encoded, by null", "payload is not encoded", b64=None),
    _with_header("the address of its key", "in jku", jku="https://evil.example/jwks"),
    _with_header("the address of its certificate", "in x5u", x5u="https://evil.example/cert"),
    _with_header("its certificate", "in x5c", x5c=["MIIB"]),
    _with_header("its key", "in jwk", jwk={"kty": "oct", "k": "c2VjcmV0"}),
    _with_header("an ID token of another type", "typ is 'logout+jwt'", typ="logout+jwt"),
    _with_header("a refresh token", "typ is 'Refresh'", typ="Refresh"),
    _with_header("a type that is null", "typ is None", typ=None),
    _with_header("a type that is a list", "typ is a list", typ=["JWT"]),
    _with_header("a kid that is a number", "kid is no string", kid=1),
    _with_header("a kid that is null", "kid is no string", kid=None),
    _with_header("a kid that is an object", "kid is no string", kid={"a": 1}),
    _with_header("a kid that is long", "kid is no string of at most 256", kid="k" * 257),
    # Its signature.
    Hostile("another secret", token(key=OTHER_SECRET), _SIGNATURE),
    Hostile("the end of the secret missing", _hmac(SECRET[:-1].encode()), _SIGNATURE),
    Hostile("no secret", _hmac(b""), _SIGNATURE),
    Hostile("a kid that is a file", _hmac(b"", kid="/dev/null"), _SIGNATURE),
    Hostile("a kid that is SQL", _hmac(b"x", kid="' UNION SELECT 'x'--"), _SIGNATURE),
    Hostile("the signature of another token", _with_signature(token(claims(sub="bob"))[-43:]), _SIGNATURE),
    Hostile("half a signature", token()[:-23], _SIGNATURE),
    Hostile("zeros for a signature", _with_signature("A" * 43), _SIGNATURE),
    Hostile(
        "another payload under the signature",
        f"{_PARTS[0]}.{base64url_encode(json.dumps(claims(sub='admin')).encode()).decode()}.{_PARTS[2]}",
        _SIGNATURE,
    ),
    # Its payload, well signed.
    Hostile("a payload that is not JSON", token(b"ann"), "payload is not JSON"),
    Hostile("a payload that is a list", token(b'["ann"]'), "payload is no JSON object"),
    Hostile("a token in a token", token(token().encode(), cty="JWT"), "payload is not JSON"),
    Hostile("no claims", token(b"{}"), "iat is None"),
    Hostile(
        "two users", token(json.dumps(claims()).encode()[:-1] + b',"sub":"admin"}'), "a member comes twice"
    ),
    Hostile(
        "two of a claim further in",
        token(json.dumps(claims()).encode()[:-1] + b',"a":{"b":1,"b":2}}'),
        "a member comes twice",
    ),
    Hostile(
        "half a surrogate pair in a claim",
        token(json.dumps(claims()).encode()[:-1] + b',"name":"\\ud800"}'),
        "payload is not JSON",
    ),
    # When it counts.
    _claiming("no end", _MOMENT, exp=...),
    _claiming("an end that is null", _MOMENT, exp=None),
    _claiming("an end that is text", _MOMENT, exp=str(int(_NOW) + 3600)),
    _claiming("an end that is true", _MOMENT, exp=True),
    _claiming("an end that is a list", _MOMENT, exp=[int(_NOW) + 3600]),
    _claiming("an end that is infinite", "payload is not JSON", exp=float("inf")),
    _claiming("an end that is no number", "payload is not JSON", exp=float("nan")),
    Hostile("an end beyond every double", token(b'{"exp":1e400}'), "payload is not JSON"),
    _claiming("an end in the year 10000", _MOMENT, exp=253_402_300_800),
    _claiming("an end in milliseconds", _MOMENT, exp=int(_NOW * 1000)),
    _claiming("an end of 300 digits", _MOMENT, exp=10**300),
    _claiming("an end before 1970", _MOMENT, exp=-1),
    _claiming("it has ended", "it ended ", iat=_NOW - 3660, exp=_NOW - 60),
    _claiming("it ended a second too long ago", "it ended ", iat=_NOW - 90, exp=_NOW - 11),
    _claiming("it ends as it begins", "ends before it was issued", iat=_NOW, exp=_NOW),
    _claiming("no beginning", _MOMENT, iat=...),
    _claiming("a beginning that is text", _MOMENT, iat="now"),
    _claiming("a beginning that is false", _MOMENT, iat=False),
    _claiming("issued in the future", "in the future", iat=_NOW + 7200, exp=_NOW + 9000),
    _claiming("not valid yet", "nbf is in the future", nbf=_NOW + 7200),
    _claiming("valid from null on", _MOMENT, nbf=None),
    # Whose it is, and who for.
    _claiming("nobody", "sub is None", sub=...),
    _claiming("a user without a name", "sub '' is empty", sub=""),
    _claiming("a user that is a number", "sub is 1", sub=1),
    _claiming("a user that is an object", "sub is an object", sub={"name": "ann"}),
    _claiming("a user with a NUL", "contains a NUL", sub="ann\0admin"),
    _claiming("a user with a long name", "257 bytes long", sub="é" * 128 + "x"),
    _claiming("no issuer", "iss is None", iss=...),
    _claiming("another issuer", "iss is 'https://evil.example/'", iss="https://evil.example/"),
    _claiming("half an issuer", "iss is 'https://issuer", iss=ISSUER[:-1]),
    _claiming("more than the issuer", "iss is 'https://issuer", iss=f"{ISSUER}x"),
    _claiming("the issuer in capitals", "iss is 'HTTPS", iss=ISSUER.upper()),
    _claiming("a list of issuers", "iss is a list", iss=[ISSUER]),
    _claiming("no audience", "aud is None", aud=...),
    _claiming("another audience", "aud is 'other'", aud="other"),
    _claiming("half an audience", "aud is 'stream'", aud=AUDIENCE[:-1]),
    _claiming("an audience within another", "aud is 'streams2'", aud=f"{AUDIENCE}2"),
    _claiming("an empty list of audiences", "aud is a list", aud=[]),
    _claiming("a list of other audiences", "aud is a list", aud=["a", "b"]),
    _claiming("a list that holds more than text", "aud is a list", aud=[AUDIENCE, 1]),
    _claiming("an audience that is an object", "aud is an object", aud={AUDIENCE: True}),
]

_NAMED = {each.name: each for each in HOSTILE}

AT_EVERY_DOOR = [
    _NAMED[name]
    for name in (
        # What the way of a token could lose or change.
        "nothing",
        "two at once",
        "a letter that only looks like one",
        "a NUL",
        "half a surrogate pair",
        "a megabyte",
        # Whatever else is wrong, the verifier says so: one of each kind shows that it was asked.
        "alg none",
        "a kid that is a file",
        "another secret",
        "a payload that is not JSON",
        "no end",
        "it has ended",
        "nobody",
        "another issuer",
        "an audience within another",
    )
]
"""Some of `HOSTILE`, for doors behind which the verifier stands that all of them were tried on."""

_PEM = pem(PRIVATE)

HOSTILE_TO_PUBLIC_KEYS = [
    Hostile("the public key as a secret", _hmac(_PEM.encode()), "for the alg 'HS256'"),
    Hostile("the same without its last line break", _hmac(_PEM.strip().encode()), "for the alg 'HS256'"),
    Hostile("the public key's JWK as a secret", _hmac(json.dumps(jwk(PRIVATE)).encode()), "alg 'HS256'"),
    Hostile(
        "the public key as a secret, said to be RS256", _hmac(_PEM.encode(), "RS256", key=PRIVATE), _SIGNATURE
    ),
    Hostile("alg none where there is a public key", _unsigned("none", "AA"), "for the alg 'none'"),
    Hostile("another RSA key", token(key=_OTHER, alg="RS256"), _SIGNATURE),
    Hostile("its own RSA key", token(key=_OTHER, alg="RS256", jwk=jwk(_OTHER)), "brings a key along"),
    Hostile("another kind of key", token(key=private("P-256"), alg="ES256"), "for the alg 'ES256'"),
    Hostile("PS256 said to be RS256", token(key=PRIVATE, alg="PS256", header={"alg": "RS256"}), _SIGNATURE),
    Hostile("RS256 said to be RS512", token(key=PRIVATE, alg="RS256", header={"alg": "RS512"}), _SIGNATURE),
    Hostile("a signature that is a secret's length", _with_signature("A" * 43), "for the alg 'HS256'"),
    Hostile("an algorithm of nobody", token(key=PRIVATE, alg="RS256", header={"alg": "RS1"}), "alg 'RS1'"),
]
