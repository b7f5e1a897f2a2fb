"""Revocations as items: written, read again, and what is read that nobody here has written."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.auth.revocations import Revocation, from_item
from streams.errors import DefinitionRefused, InvalidName
from streams.keys import Address
from tests.auth.revocations_made import TARGETS


@given(
    sub=st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), min_size=1)),
    rest=st.one_of(
        st.tuples(st.just("todo"), st.one_of(st.none(), st.text("a/é .日", min_size=1, max_size=40))),
        st.just((None, None)),
    ),
    before=st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_revocation_survives_being_an_item(sub, rest, before):
    if sub is None and rest[0] is None:
        return
    revocation = Revocation(sub, *rest, before)

    item = revocation.as_item()

    assert from_item(item, 0) == revocation
    assert orjson.loads(item)["id"] == revocation.address.id
    assert len(revocation.address.id) == 64


@given(st.lists(TARGETS, unique=True, max_size=8))
def test_two_targets_never_share_an_item(targets):
    assert len({Revocation(*target, 0.0).address for target in targets}) == len(targets)


def test_the_item_of_a_target_is_the_same_in_every_release():
    address = Revocation("ann", "todo", None, 5.0).address

    assert address == Address(
        "revoked", "all", "92e6405b436b35040d7ebe2b5762dd2df71f9fd03eda6db89fe365781a32cdf7"
    )


@pytest.mark.parametrize("before", [b"null", b'"soon"', b"true", b"[]"], ids=bytes.decode)
def test_of_one_whose_time_is_not_understood_the_time_of_writing_counts(before: bytes):
    item = b'{"sub":"ann","not_before":' + before + b"}"

    assert from_item(item, 5_500) == Revocation("ann", None, None, 5.5)
    assert from_item(b'{"sub":"ann"}', 5_500) == Revocation("ann", None, None, 5.5)


@pytest.mark.parametrize(
    "item",
    [
        b"",
        b"[]",
        b"{}",
        b'{"not_before":5}',
        b'{"sub":7}',
        b'{"sub":""}',
        b'{"sub":7,"stream":"todo"}',
        b'{"group":"inbox"}',
        b'{"sub":"ann","group":"inbox"}',
        b'{"stream":"no stream"}',
        b'{"stream":"todo","group":""}',
    ],
    ids=bytes.decode,
)
def test_nobody_can_say_whom_such_an_item_concerns(item: bytes):
    assert from_item(item, 5_500) is None


@pytest.mark.parametrize(
    ("target", "error", "sentence"),
    [
        (
            (None, None, None),
            DefinitionRefused,
            "a revocation names a user, a stream, or a group of a stream",
        ),
        (("ann", None, "inbox"), DefinitionRefused, "group 'inbox' is of no stream; name the stream too"),
        (("", None, None), InvalidName, "user '' is empty; give it at least one character"),
        (("\ud800", None, None), InvalidName, "half of a surrogate pair"),
        ((7, None, None), InvalidName, "user 7 is a int; a name is a string"),
        ((None, "no stream", None), InvalidName, "stream name 'no stream'"),
        ((None, "revoked", None), InvalidName, "is reserved"),
        ((None, "todo", "\0"), InvalidName, "contains a NUL character"),
    ],
)
def test_what_names_nobody_is_refused(target, error, sentence: str):
    with pytest.raises(error) as refused:
        Revocation(*target, 0.0)

    assert sentence in str(refused.value)
