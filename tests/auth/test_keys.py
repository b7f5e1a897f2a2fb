"""Which keys are accepted, and which algorithms each of them stands for."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from streams.auth.keys import MAX_KEYS, FixedKeys, jwks_keys, pem_keys, secret_key
from streams.errors import DefinitionRefused
from tests.auth.issued import SECRET, jwk, pem, private, private_pem, signature

RSA = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
KINDS = [
    ("RSA", RSA),
    ("P-256", {"ES256"}),
    ("P-384", {"ES384"}),
    ("P-521", {"ES512"}),
    ("Ed25519", {"EdDSA"}),
    ("Ed448", {"EdDSA"}),
]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def skipped(jwk: Any) -> str:
    """Why a key is left out. The one beside it is not."""
    found = jwks_keys([jwk, good_jwk(kid="good")])
    assert [key.kid for key in found.keys] == ["good"]
    (reason,) = found.skipped
    return reason


def good_jwk(**members: Any) -> dict[str, Any]:
    return jwk(private("RSA"), **members)


def test_a_secret_is_for_the_three_algorithms_of_secrets():
    assert secret_key(SECRET).algorithms == {"HS256", "HS384", "HS512"}


@pytest.mark.parametrize(("secret", "length"), [("", 0), ("secret", 6), ("x" * 31, 31), ("é" * 15, 30)])
def test_a_secret_of_less_than_32_bytes_is_refused_with_a_way_to_make_one(secret: str, length: int):
    with pytest.raises(DefinitionRefused, match=rf"has {length} bytes, and 32 is the least.*openssl rand"):
        secret_key(secret)


def test_bytes_that_are_no_text_count_as_they_are():
    # So the environment hands them over.
    assert secret_key("\udcff" * 32).material == b"\xff" * 32


@pytest.mark.parametrize(
    "secret", [pem(private("RSA")), private_pem(private("P-256")), '{"kty": "oct", "k": "c2VjcmV0c2VjcmV0"}']
)
def test_a_key_of_another_kind_is_no_secret(secret: str):
    with pytest.raises(DefinitionRefused, match="is no secret"):
        secret_key(secret)


@pytest.mark.parametrize(("kind", "algorithms"), KINDS)
def test_the_algorithms_follow_from_the_kind_of_key(kind: str, algorithms: set[str]):
    (of_pem,), of_jwk = pem_keys(pem(private(kind))), jwks_keys([jwk(private(kind), "a")])

    assert of_pem.algorithms == algorithms
    assert [key.algorithms for key in of_jwk.keys] == [algorithms]


def test_a_key_verifies_nothing_by_an_algorithm_that_is_not_its_own():
    (key,) = pem_keys(pem(private("RSA")))
    as_secret = signature(b"text", "x" * 32, "HS256")

    assert not key.verifies("HS256", b"text", as_secret)
    assert not key.verifies("none", b"text", b"")


@pytest.mark.parametrize("kind", [kind for kind, _ in KINDS])
@pytest.mark.parametrize("wrong", [b"", b"x", b"\0" * 64, b"\xff" * 132, b"x" * 10_000])
def test_a_signature_of_any_length_is_wrong_and_nothing_more(kind: str, wrong: bytes):
    (key,) = pem_keys(pem(private(kind)))

    assert not any(key.verifies(algorithm, b"text", wrong) for algorithm in key.algorithms)


def test_neither_a_key_nor_its_secret_is_printed():
    assert SECRET not in repr(secret_key(SECRET))


def test_several_keys_in_a_file_are_all_accepted():
    new, old = private("P-256"), private("Ed25519")
    text = f"the new one\n{pem(new)}\nuntil Friday:\n{pem(old).replace(chr(10), chr(13) + chr(10))}"

    keys = FixedKeys(pem_keys(text))

    assert keys.algorithms == {"ES256", "EdDSA"}


def test_an_rsa_key_in_its_older_form_is_a_public_key_too():
    public = private("RSA").public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()

    (key,) = pem_keys(public)

    assert key.algorithms == RSA


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_file_with_a_private_key_is_refused(form: PrivateFormat):
    key = private("P-256")

    with pytest.raises(DefinitionRefused, match="leave its public half there: `openssl pkey"):
        pem_keys(pem(key) + private_pem(key, form))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no PEM file with 1 to 100 public keys"),
        ("ssh-ed25519 AAAA", "no PEM file"),
        (pem(private("P-256")).replace("END", "AND"), "no PEM file"),
        (pem(private("P-256")) + "-----BEGIN PUBLIC KEY-----\n", "no PEM file"),
        (pem(private("Ed25519")) * (MAX_KEYS + 1), "no PEM file"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "cannot be read"),
        ("-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----", "cannot be read"),
        (pem(private("P-256")).replace("PUBLIC KEY", "CERTIFICATE"), "a CERTIFICATE in it is no public key"),
        (pem(private("RSA-1024")), "an RSA key of 1024 bits, and 2048 is the least"),
        (pem(private("secp256k1")), "on the curve secp256k1"),
        (
            dsa.generate_private_key(1024)
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            .decode(),
            "of a kind that no token is signed with",
        ),
        (
            x25519.X25519PrivateKey.generate()
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            .decode(),
            "of a kind that no token is signed with",
        ),
    ],
)
def test_a_file_without_a_key_that_can_be_used_is_refused(text: str, problem: str):
    with pytest.raises(DefinitionRefused, match=problem):
        pem_keys(text)


def test_a_published_key_with_an_alg_is_for_that_one_only():
    (key,) = jwks_keys([good_jwk(kid="a", alg="PS256", use="sig", key_ops=["verify"])]).keys

    assert (key.kid, key.algorithms) == ("a", {"PS256"})


@pytest.mark.parametrize(
    ("jwk", "reason"),
    [
        ({"kty": "oct", "k": "c2VjcmV0"}, "is of the kty 'oct', and RSA, EC or OKP is expected"),
        ({"kty": "AKP"}, "is of the kty 'AKP'"),
        ({}, "is of the kty None"),
        (None, "is no JSON object"),
        ([], "is no JSON object"),
        (good_jwk(use="enc"), "is not for signatures"),
        (good_jwk(use=["sig"]), "is not for signatures"),
        (good_jwk(key_ops=["sign"]), "is not for checking signatures"),
        (good_jwk(key_ops="verify"), "is not for checking signatures"),
        (good_jwk(alg="ES256"), "has the alg 'ES256'"),
        (good_jwk(alg="HS256"), "has the alg 'HS256'"),
        (good_jwk(alg="RSA-OAEP"), "has the alg 'RSA-OAEP'"),
        (good_jwk(alg="none"), "has the alg 'none'"),
        (good_jwk(d="AQAB"), "is a private key, and everybody can read it"),
        (good_jwk() | {"kid": 1}, "has a kid that is no string"),
        (good_jwk() | {"kid": "k" * 257}, "has a kid that is no string of at most 256"),
        (good_jwk() | {"n": None}, "cannot be read"),
        (good_jwk() | {"n": "AQAB"}, "cannot be read"),
        (good_jwk(alg=["RS256"]), "has the alg list"),
        (good_jwk() | {"e": ""}, "cannot be read"),
        (jwk(private("RSA-1024")), "is an RSA key of 1024 bits"),
        (jwk(private("P-256")) | {"crv": "P-384"}, "cannot be read"),
        (jwk(private("P-256")) | {"y": "A" * 43}, "cannot be read"),
        (jwk(private("secp256k1")), "is on the curve secp256k1"),
        (jwk(private("Ed25519")) | {"x": "AA"}, "cannot be read"),
        (jwk(private("Ed25519")) | {"crv": "X25519"}, "cannot be read"),
    ],
)
def test_a_published_key_that_cannot_be_used_is_left_out_and_the_others_are_not(jwk: Any, reason: str):
    assert reason in skipped(jwk)


def test_of_very_many_published_keys_the_first_hundred_are_looked_at():
    found = jwks_keys([jwk(private("Ed25519"), str(number)) for number in range(MAX_KEYS + 5)])

    assert len(found.keys) == MAX_KEYS
    assert found.skipped == ("5 more are over the limit of 100",)


@given(st.lists(ANYTHING, max_size=4))
def test_whatever_is_published_hurts_nobody(listed: list[Any]):
    assert jwks_keys(listed).keys == ()


@given(
    st.sampled_from([kind for kind, _ in KINDS]),
    st.dictionaries(st.sampled_from(["n", "e", "x", "y", "crv", "kty", "alg", "use", "kid"]), ANYTHING),
)
def test_a_published_key_with_anything_in_its_members_hurts_nobody(kind: str, members: dict[str, Any]):
    found = jwks_keys([jwk(private(kind)) | members])

    assert len(found.keys) + len(found.skipped) == 1
