"""What is wrong with the way tokens are to be checked is said before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.auth.configuration import ANONYMOUS_ONLY, TokenSettings, verifier
from streams.errors import DefinitionRefused, NotLetIn
from tests.auth.issued import AUDIENCE, ISSUER, SECRET, claims, jwk, pem, private, private_pem, token
from tests.auth.published import Publisher, answer

URL = "https://issuer.example/jwks"


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    """A file with two public keys."""
    path = tmp_path / "keys.pem"
    path.write_text(pem(private("RSA")) + pem(private("Ed25519")))
    return str(path)


def refusal(settings: TokenSettings, *, is_dev: bool = False) -> str:
    with pytest.raises(DefinitionRefused) as raised:
        verifier(settings, is_dev=is_dev)
    return str(raised.value)


async def test_a_secret_is_checked_with():
    settings = TokenSettings(secret=SECRET, issuer=ISSUER, audience=AUDIENCE)

    async with verifier(settings, is_dev=False) as tokens:
        assert (await tokens.claims(token())).sub == "ann"
        with pytest.raises(NotLetIn):
            await tokens.claims(token(claims(aud="other")))


async def test_every_key_of_a_file_is_checked_with(key_file: str):
    settings = TokenSettings(public_key=key_file, issuer=ISSUER, audience=AUDIENCE)

    async with verifier(settings, is_dev=False) as tokens:
        for kind, alg in (("RSA", "RS256"), ("Ed25519", "EdDSA")):
            assert (await tokens.claims(token(key=private(kind), alg=alg))).sub == "ann"


async def test_the_keys_at_a_url_are_checked_with():
    key = private("P-256")

    async with Publisher.serving(answer({"keys": [jwk(key, "a")]})) as publisher:
        settings = TokenSettings(jwks_url=publisher.url, issuer=ISSUER, no_audience=True)
        async with verifier(settings, is_dev=False) as tokens:
            found = await tokens.claims(token(claims(aud=...), key=key, alg="ES256", kid="a"))

    assert found.sub == "ann"


async def test_without_keys_nobody_is_more_than_anonymous():
    async with verifier(ANONYMOUS_ONLY, is_dev=False) as tokens:
        with pytest.raises(NotLetIn) as raised:
            await tokens.claims(token())

    assert raised.value.reason == "no keys are configured to check tokens with"


async def test_in_development_nobody_must_say_whose_tokens_they_are():
    async with verifier(TokenSettings(secret=SECRET), is_dev=True) as tokens:
        assert (await tokens.claims(token(claims(iss=..., aud=...)))).sub == "ann"


async def test_in_development_what_is_said_counts_all_the_same():
    async with verifier(TokenSettings(secret=SECRET, issuer=ISSUER), is_dev=True) as tokens:
        with pytest.raises(NotLetIn):
            await tokens.claims(token(claims(iss="other")))


@pytest.mark.parametrize("keys", [{"secret": SECRET}, {"public_key": "keys.pem"}, {"jwks_url": URL}], ids=str)
def test_outside_development_it_must_be_said_who_makes_tokens_and_for_whom(keys: dict[str, str]):
    assert "--issuer or in STREAMS_JWT_ISSUER" in refusal(TokenSettings(**keys, audience=AUDIENCE))
    assert refusal(TokenSettings(**keys, issuer=ISSUER)) == (
        "nobody says for whom the tokens are made; give their `aud` with --audience or in "
        "STREAMS_JWT_AUDIENCE, or say --no-audience to accept those for other services too"
    )


@pytest.mark.parametrize("is_dev", [True, False])
def test_keys_of_two_kinds_are_refused(is_dev: bool):
    assert refusal(TokenSettings(secret=SECRET, jwks_url=URL), is_dev=is_dev) == (
        "tokens are checked with one of these, not with all: a secret (STREAMS_JWT_SECRET), "
        "a JWKS URL (--jwks-url or STREAMS_JWT_JWKS_URL); keep one of them"
    )
    assert "a file with public keys" in refusal(
        TokenSettings(secret=SECRET, public_key="a.pem"), is_dev=is_dev
    )


def test_an_audience_and_none_cannot_both_be():
    settings = TokenSettings(secret=SECRET, issuer=ISSUER, audience=AUDIENCE, no_audience=True)

    assert refusal(settings) == (
        "the audience 'streams' and --no-audience cannot both be; leave one of them out"
    )


@pytest.mark.parametrize("is_dev", [True, False])
@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (TokenSettings(secret="secret"), "has 6 bytes, and 32 is the least"),
        (TokenSettings(jwks_url="http://issuer.example/jwks"), "expected https://HOST/PATH"),
        (TokenSettings(public_key="/nowhere/keys.pem"), "/nowhere/keys.pem cannot be read: No such file"),
        (TokenSettings(public_key="/"), "/ cannot be read: Is a directory"),
        (TokenSettings(leeway_seconds=61), "a leeway of 61 s is not from 0 to 60 s"),
        (TokenSettings(public_key=__file__), "cannot be used: it is no PEM file"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_refused_in_development_too(
    settings: TokenSettings, problem: str, is_dev: bool
):
    said = TokenSettings(
        secret=settings.secret,
        public_key=settings.public_key,
        jwks_url=settings.jwks_url,
        leeway_seconds=settings.leeway_seconds,
        issuer=ISSUER,
        audience=AUDIENCE,
    )

    assert problem in refusal(said, is_dev=is_dev)


def test_a_private_key_by_mistake_is_named_with_its_file(tmp_path: Path):
    path = tmp_path / "key.pem"
    path.write_text(private_pem(private("P-256")))
    settings = TokenSettings(public_key=str(path), issuer=ISSUER, audience=AUDIENCE)

    assert refusal(settings).startswith(f"the public keys in {path} cannot be used: there is a private key")


def test_a_secret_is_not_printed():
    assert SECRET not in repr(TokenSettings(secret=SECRET))
