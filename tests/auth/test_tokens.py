"""A token says who somebody is only when everything about it holds."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streams.auth.keys import FixedKeys, Key, pem_keys, secret_key
from streams.auth.tokens import MAX_KEYS_TRIED, MAX_TOKEN_BYTES, TokenRules, Verifier
from streams.errors import DefinitionRefused, NotLetIn
from tests.auth.hostile_tokens import HOSTILE, HOSTILE_TO_PUBLIC_KEYS, PRIVATE, Hostile
from tests.auth.issued import (
    AUDIENCE,
    ISSUER,
    OTHER_SECRET,
    RULES,
    SECRET,
    claims,
    claims_of,
    pem,
    private,
    token,
)

WITH_SECRET = Verifier(FixedKeys([secret_key(SECRET)]), RULES)
WITH_PUBLIC_KEY = Verifier(FixedKeys(pem_keys(pem(PRIVATE))), RULES)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
"""Whatever a claim may be; the strings have no half surrogates."""
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        name: VALUES | st.sampled_from(["HS256", "none", "JWT", "", "at+jwt"])
        for name in ("alg", "typ", "kid", "crit", "b64", "jku", "cty", "zip")
    },
)
PAYLOADS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("sub", "iat", "exp", "nbf", "iss", "aud", "jti"), VALUES)
)


def refusal(verifier: Verifier, token: str) -> NotLetIn:
    with pytest.raises(NotLetIn) as raised:
        claims_of(verifier, token)
    return raised.value


def at(seconds: float, **rules: Any) -> Verifier:
    """A verifier whose clock stands."""
    return Verifier(FixedKeys([secret_key(SECRET)]), TokenRules(**rules), now=lambda: seconds)


@pytest.mark.parametrize("hostile", HOSTILE, ids=str)
def test_a_bad_token_lets_nobody_in_and_the_log_knows_why(hostile: Hostile):
    refused = refusal(WITH_SECRET, hostile.token)

    assert refused.code == "TOKEN_REFUSED"
    assert hostile.reason in refused.reason
    assert len(refused.reason) < 500
    assert str(refused) == "the token is not accepted; get a new one and come back"


@pytest.mark.parametrize("hostile", HOSTILE_TO_PUBLIC_KEYS, ids=str)
def test_nobody_is_let_in_who_takes_one_kind_of_key_for_another(hostile: Hostile):
    assert hostile.reason in refusal(WITH_PUBLIC_KEY, hostile.token).reason


def test_the_table_of_bad_tokens_names_each_of_them_once():
    names = [hostile.name for hostile in HOSTILE + HOSTILE_TO_PUBLIC_KEYS]

    assert len(names) == len(set(names)) >= 60


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_a_secret_verifies_all_three_of_its_algorithms(alg: str):
    assert claims_of(WITH_SECRET, token(alg=alg)) == claims()


@pytest.mark.parametrize(
    ("kind", "alg"),
    [
        *(("RSA", alg) for alg in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        ("P-256", "ES256"),
        ("P-384", "ES384"),
        ("P-521", "ES512"),
        ("Ed25519", "EdDSA"),
        ("Ed448", "EdDSA"),
    ],
)
def test_a_public_key_verifies_what_its_private_half_signed(kind: str, alg: str):
    key, other = private(kind), private(kind, "other")
    verifier = Verifier(FixedKeys(pem_keys(pem(key))), RULES)

    assert claims_of(verifier, token(key=key, alg=alg)).sub == "ann"
    assert refusal(verifier, token(key=other, alg=alg)).reason == "its signature is wrong"


def test_what_a_token_claims_is_there_with_its_types():
    found = claims_of(WITH_SECRET, token(claims(role="admin", rooms=["a", 1], iat=1.5)))

    assert (found.sub, found["role"], found["rooms"], found.iat) == ("ann", "admin", ["a", 1], 1.5)


@pytest.mark.parametrize("typ", [..., "JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"])
def test_an_access_token_may_say_that_it_is_one(typ: object):
    assert claims_of(WITH_SECRET, token(typ=typ)).sub == "ann"


def test_a_name_for_the_key_does_not_matter_where_the_key_has_none():
    assert claims_of(WITH_SECRET, token(kid="2026-11")).sub == "ann"


@pytest.mark.parametrize("aud", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE]])
def test_a_token_may_be_for_several(aud: object):
    assert claims_of(WITH_SECRET, token(claims(aud=aud))).sub == "ann"


def test_without_an_audience_nobody_looks_at_it():
    verifier = Verifier(FixedKeys([secret_key(SECRET)]), TokenRules(ISSUER, None))

    for aud in (..., None, 1, "other", [1]):
        assert claims_of(verifier, token(claims(aud=aud))).sub == "ann"


def test_without_an_issuer_nobody_looks_at_it():
    verifier = Verifier(FixedKeys([secret_key(SECRET)]), TokenRules(None, AUDIENCE))

    for iss in (..., None, 1, "other"):
        assert claims_of(verifier, token(claims(iss=iss))).sub == "ann"


@pytest.mark.parametrize("leeway", [0, 10, 60])
def test_a_token_counts_until_the_leeway_after_its_end_and_no_longer(leeway: float):
    made = token(claims(iat=1000, exp=2000))

    verifier = at(2000 + leeway - 0.001, leeway_seconds=leeway)

    assert verifier.ends_at(claims_of(verifier, made)) == 2000 + leeway
    assert "it ended" in refusal(at(2000 + leeway, leeway_seconds=leeway), made).reason


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_counts_from_the_leeway_before_its_beginning_and_not_earlier(claim: str):
    made = token(claims(**{"iat": 500, "exp": 2000, claim: 1000}))

    assert claims_of(at(990, leeway_seconds=10), made).sub == "ann"
    assert "in the future" in refusal(at(989.9, leeway_seconds=10), made).reason


@pytest.mark.parametrize("leeway", [-1, 60.1, float("nan"), float("inf")])
def test_a_leeway_of_more_than_a_minute_is_refused(leeway: float):
    with pytest.raises(DefinitionRefused, match="is not from 0 to 60 s"):
        TokenRules(leeway_seconds=leeway)


def test_a_token_of_8_kb_is_read():
    short = token(claims(more=""))
    # Three bytes are four characters of base64.
    longest = token(claims(more="x" * ((MAX_TOKEN_BYTES - len(short)) * 3 // 4 - 3)))

    assert MAX_TOKEN_BYTES - 8 < len(longest) <= MAX_TOKEN_BYTES
    assert claims_of(WITH_SECRET, longest).sub == "ann"


@pytest.mark.parametrize("made", [token(), token(alg="HS512"), "", "ann"])
def test_without_keys_every_token_is_refused(made: str):
    verifier = Verifier.without_keys()

    assert refusal(verifier, made).reason == "no keys are configured to check tokens with"


def test_a_token_without_a_name_for_its_key_is_tried_with_ten_keys_and_no_more():
    others = [secret_key(f"{number}-{OTHER_SECRET}") for number in range(MAX_KEYS_TRIED)]
    ours = secret_key(SECRET)

    assert claims_of(Verifier(FixedKeys([*others[1:], ours]), RULES), token()).sub == "ann"
    assert "signature" in refusal(Verifier(FixedKeys([*others, ours]), RULES), token()).reason


def test_a_token_is_checked_with_the_key_that_it_names_and_with_no_other():
    old, new = (
        Key(kid, key.algorithms, key.material)
        for kid, key in (("old", secret_key(OTHER_SECRET)), ("new", secret_key(SECRET)))
    )
    verifier = Verifier(FixedKeys([old, new]), RULES)

    assert claims_of(verifier, token(kid="new")).sub == "ann"
    assert refusal(verifier, token(kid="old")).reason == "its signature is wrong"
    assert "there is no key 'newer'" in refusal(verifier, token(kid="newer")).reason


@given(st.text() | st.binary().map(lambda some: some.decode("latin-1")))
def test_no_text_is_a_token(text: str):
    assert refusal(WITH_SECRET, text).code == "TOKEN_REFUSED"


@given(st.data())
def test_a_token_of_which_one_character_was_changed_is_refused(data: st.DataObject):
    made = token()
    index = data.draw(st.integers(0, len(made) - 1))
    character = data.draw(st.characters() | st.sampled_from("AQgw-_.="))
    assume(character != made[index])

    refused = refusal(WITH_SECRET, made[:index] + character + made[index + 1 :])

    assert refused.code == "TOKEN_REFUSED"


@given(st.data())
def test_a_token_of_which_a_piece_is_missing_or_doubled_is_refused(data: st.DataObject):
    made = token()
    start = data.draw(st.integers(0, len(made) - 1))
    end = data.draw(st.integers(start + 1, len(made)))
    times = data.draw(st.sampled_from([0, 2]))

    refused = refusal(WITH_SECRET, made[:start] + made[start:end] * times + made[end:])

    assert refused.code == "TOKEN_REFUSED"


@given(HEADERS | st.binary(min_size=1), PAYLOADS | st.binary(min_size=1))
def test_whatever_is_signed_well_is_refused_or_somebody(header: Any, payload: Any):
    made = token(payload, header=header)

    with suppress(NotLetIn):
        assert claims_of(WITH_SECRET, made).sub


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=64),
    st.integers(0, 10**9) | st.floats(0, 1e9),
    st.integers(60, 10**9),
    st.dictionaries(st.text(max_size=20), VALUES, max_size=5),
)
def test_whoever_claims_what_is_expected_is_let_in(sub: str, age: float, left: int, more: dict[str, Any]):
    now = int(time.time())
    said = more | claims(sub=sub, iat=now - age, exp=now + left, nbf=...)
    said.pop("nbf", None)
    made = token(said)
    assume(len(made) <= MAX_TOKEN_BYTES)

    assert claims_of(WITH_SECRET, made) == said
