"""The keys that tokens are checked with, and what each of them may check.

Which algorithms a token may use follows from the key and never from the
token: a secret knows HS256, HS384 and HS512, an RSA key RS and PS, a key on a
curve the one algorithm of that curve. So nobody can sign with the public key
as if it were a secret, nor not sign at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from streams.auth.tokens import MAX_KID_CHARACTERS
from streams.errors import DefinitionRefused

MIN_SECRET_BYTES = 32
MIN_RSA_BITS = 2048
MAX_KEYS = 100
"""Keys of one JWKS document or PEM file that are looked at."""

SECRET_ALGORITHMS = frozenset({"HS256", "HS384", "HS512"})
_RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
PUBLIC_ALGORITHMS = _RSA_ALGORITHMS | frozenset(_CURVES.values()) | {"EdDSA"}

# What PyJWT reads a key of each `kty` with. No "oct": a secret in a public document is none.
_READERS = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}
_PEM_BEGIN = "-----BEGIN "
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey


@dataclass(frozen=True, slots=True)
class Key:
    """One key, and the algorithms that it may verify."""

    kid: str | None
    """Its name. None: it has none, and is tried whatever name a token asks for."""
    algorithms: frozenset[str]
    material: bytes | PublicKey = field(repr=False)
    """What PyJWT takes: a secret or a public key, never a private one."""

    def fits(self, kid: str | None, algorithm: str) -> bool:
        """Whether a token may be checked with it that says so of itself."""
        return algorithm in self.algorithms and (kid is None or self.kid is None or kid == self.kid)

    def verifies(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's under `signed`. The algorithm must be one of the key's."""
        if algorithm not in self.algorithms:
            return False
        try:
            return jwt.get_algorithm_by_name(algorithm).verify(signed, self.material, signature)
        except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError):
            return False


class FixedKeys:
    """Keys that stay as they are until the process ends."""

    __slots__ = ("_keys", "algorithms")

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = tuple(keys)
        self.algorithms = frozenset[str]().union(*(key.algorithms for key in self._keys))

    async def known(self, kid: str | None) -> Sequence[Key]:
        return self._keys


def secret_key(secret: str) -> Key:
    """The key that is a shared secret.

    Raises:
        DefinitionRefused: It has less than 32 bytes, or is a key of another kind.
    """
    # What the environment holds may be any bytes.
    material = os.fsencode(secret)
    if len(material) < MIN_SECRET_BYTES:
        raise DefinitionRefused(
            f"the secret for tokens has {len(material)} bytes, and {MIN_SECRET_BYTES} is the least; "
            "make one with `openssl rand -hex 32`"
        )
    try:
        jwt.get_algorithm_by_name("HS256").prepare_key(material)
    except jwt.InvalidKeyError as error:
        raise DefinitionRefused(
            "the secret for tokens is a public key, a certificate or a JWK, which is no secret; "
            "name a file with public keys in STREAMS_JWT_PUBLIC_KEY instead"
        ) from error
    return Key(None, SECRET_ALGORITHMS, material)


def pem_keys(text: str) -> list[Key]:
    """The public keys of a PEM file. Several of them are several keys that all are accepted.

    Raises:
        DefinitionRefused: It holds no key, one that is private, or one that cannot be used.
    """
    blocks = list(_PEM.finditer(text))
    if any("PRIVATE" in block[1] for block in blocks):
        raise DefinitionRefused(
            "there is a private key in it, which whoever only checks tokens must not have; "
            "leave its public half there: `openssl pkey -in FILE -pubout` prints it"
        )
    if len(blocks) != text.count(_PEM_BEGIN) or not 0 < len(blocks) <= MAX_KEYS:
        raise DefinitionRefused(
            f"it is no PEM file with 1 to {MAX_KEYS} public keys; "
            "each is to begin with -----BEGIN PUBLIC KEY----- and to end with -----END PUBLIC KEY-----"
        )
    return [_pem_key(block[0], block[1]) for block in blocks]


@dataclass(frozen=True, slots=True)
class KeySet:
    """What a JWKS document holds."""

    keys: tuple[Key, ...]
    skipped: tuple[str, ...]
    """Why some of its keys are not among them: a sentence for each."""


def jwks_keys(listed: Sequence[object]) -> KeySet:
    """The keys that can be used of those that a JWKS document lists in `keys`."""
    keys: list[Key] = []
    skipped: list[str] = []
    for index, jwk in enumerate(listed[:MAX_KEYS]):
        try:
            keys.append(_jwk_key(jwk))
        except DefinitionRefused as error:
            skipped.append(f"key {index} {error}")
    if len(listed) > MAX_KEYS:
        skipped.append(f"{len(listed) - MAX_KEYS} more are over the limit of {MAX_KEYS}")
    return KeySet(tuple(keys), tuple(skipped))


def _pem_key(block: str, label: str) -> Key:
    if label not in ("PUBLIC KEY", "RSA PUBLIC KEY"):
        raise DefinitionRefused(
            f"a {label} in it is no public key; "
            "`openssl x509 -in FILE -noout -pubkey` makes one of a certificate"
        )
    try:
        found: object = load_pem_public_key(block.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise DefinitionRefused("a public key in it cannot be read; write the file again") from error
    public, algorithms = _with_algorithms(found)
    return Key(None, algorithms, public)


def _jwk_key(jwk: object) -> Key:
    if not isinstance(jwk, Mapping):
        raise DefinitionRefused("is no JSON object")
    kid, alg = jwk.get("kid"), jwk.get("alg")
    if not (kid is None or (isinstance(kid, str) and len(kid) <= MAX_KID_CHARACTERS)):
        raise DefinitionRefused(f"has a kid that is no string of at most {MAX_KID_CHARACTERS} characters")
    if jwk.get("use", "sig") != "sig":
        raise DefinitionRefused("is not for signatures")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise DefinitionRefused("is not for checking signatures")
    public, algorithms = _with_algorithms(_read(jwk))
    if alg is None:
        return Key(kid, algorithms, public)
    if not isinstance(alg, str) or alg not in algorithms:
        raise DefinitionRefused(f"has the alg {_shown(alg)}, which is not one of its kind")
    return Key(kid, frozenset({alg}), public)


def _read(jwk: Mapping[str, Any]) -> object:
    kty = jwk.get("kty")
    reader = _READERS.get(kty) if isinstance(kty, str) else None
    if reader is None:
        raise DefinitionRefused(f"is of the kty {_shown(kty)}, and RSA, EC or OKP is expected")
    if "d" in jwk:
        raise DefinitionRefused("is a private key, and everybody can read it")
    # Whatever a key needs is text; what is not only makes PyJWT stumble.
    members = {name: value for name, value in jwk.items() if isinstance(value, str)}
    try:
        return jwt.get_algorithm_by_name(reader).from_jwk(members)
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, LookupError, OverflowError) as error:
        raise DefinitionRefused(f"cannot be read ({_shown(str(error))})") from error


def _shown(value: object) -> str:
    """What somebody else wrote, for the log: not all of a long text, and nothing of what is deep."""
    return repr(value)[:80] if isinstance(value, str | None) else type(value).__name__


def _with_algorithms(key: object) -> tuple[PublicKey, frozenset[str]]:
    match key:
        case RSAPublicKey() if key.key_size < MIN_RSA_BITS:
            raise DefinitionRefused(f"is an RSA key of {key.key_size} bits, and {MIN_RSA_BITS} is the least")
        case RSAPublicKey():
            return key, _RSA_ALGORITHMS
        case EllipticCurvePublicKey() if key.curve.name in _CURVES:
            return key, frozenset({_CURVES[key.curve.name]})
        case EllipticCurvePublicKey():
            raise DefinitionRefused(
                f"is on the curve {key.curve.name}, and P-256, P-384 or P-521 is expected"
            )
        case Ed25519PublicKey() | Ed448PublicKey():
            return key, frozenset({"EdDSA"})
        case _:
            raise DefinitionRefused("is of a kind that no token is signed with")
