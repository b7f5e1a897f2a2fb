"""Tokens and keys as issuers make them, and as nobody should."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.utils import base64url_encode

from streams.access import Claims
from streams.auth.tokens import TokenRules, Verifier

SECRET = "0123456789abcdef0123456789abcdef"
"""As short as one may be."""
OTHER_SECRET = "another-secret-that-is-long-enough"
ISSUER = "https://issuer.example/"
AUDIENCE = "streams"
RULES = TokenRules(ISSUER, AUDIENCE)

Private: TypeAlias = (
    rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
)


@cache
def private(kind: str, name: str = "a") -> Private:
    """The issuer's key: RSA, RSA-1024, P-256, P-384, P-521, secp256k1, Ed25519 or Ed448.

    Another `name` is another key.
    """
    match kind:
        case "RSA" | "RSA-1024":
            return rsa.generate_private_key(65537, 1024 if kind == "RSA-1024" else 2048)
        case "Ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "Ed448":
            return ed448.Ed448PrivateKey.generate()
        case _:
            curves = {
                "P-256": ec.SECP256R1(),
                "P-384": ec.SECP384R1(),
                "P-521": ec.SECP521R1(),
                "secp256k1": ec.SECP256K1(),
            }
            return ec.generate_private_key(curves[kind])


def pem(key: Private) -> str:
    """Its public half, as a file holds it."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(key: Private, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def jwk(key: Private, kid: str | None = None, **members: Any) -> dict[str, Any]:
    """Its public half, as a JWKS document holds it."""
    algorithm = {"R": "RS256", "E": "ES256", "O": "EdDSA"}
    kind = "R" if isinstance(key, rsa.RSAPrivateKey) else "E" if hasattr(key, "curve") else "O"
    public = jwt.get_algorithm_by_name(algorithm[kind]).to_jwk(key.public_key(), as_dict=True)
    # PyJWT adds it for some keys.
    public.pop("key_ops", None)
    return public | ({} if kid is None else {"kid": kid}) | members


def claims(**changed: Any) -> dict[str, Any]:
    """What a good token claims now; `...` leaves a claim out."""
    now = int(time.time())
    values = {"sub": "ann", "iat": now, "exp": now + 3600, "iss": ISSUER, "aud": AUDIENCE} | changed
    return {name: value for name, value in values.items() if value is not ...}


def token(
    payload: Mapping[str, Any] | bytes | None = None,
    *,
    key: Private | str = SECRET,
    alg: str = "HS256",
    header: Mapping[str, Any] | bytes | None = None,
    **extra: Any,
) -> str:
    """A token signed with `key` by `alg`. `extra` are more members of its header; `...` leaves one out."""
    if header is None:
        members = {"alg": alg, "typ": "JWT", **extra}
        header = {name: value for name, value in members.items() if value is not ...}
    signed = b".".join(base64url_encode(_text(part)) for part in (header, payload or claims()))
    return f"{signed.decode()}.{base64url_encode(signature(signed, key, alg)).decode()}"


def signature(signed: bytes, key: Private | str, alg: str) -> bytes:
    material = key.encode() if isinstance(key, str) else key
    return jwt.get_algorithm_by_name(alg).sign(signed, material)


def claims_of(verifier: Verifier, token: str) -> Claims:
    """What the verifier takes from a token. With fixed keys it never waits, so there is no loop here."""
    try:
        verifier.claims(token).send(None)
    except StopIteration as done:
        found: Claims = done.value
        return found
    raise AssertionError("it waits")


def _text(part: Mapping[str, Any] | bytes) -> bytes:
    return part if isinstance(part, bytes) else json.dumps(part).encode()
