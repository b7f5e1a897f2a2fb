"""Which tokens do not count any more, of those who hold them and where they go."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.access import ANONYMOUS, Caller, Claims, Subscription
from streams.auth.revocations import Revocation, Revocations
from tests.auth.revocations_made import INBOX, TARGETS, caller, revoked, table


@pytest.mark.parametrize(
    ("revocation", "hit"),
    [
        (revoked("ann"), {(INBOX, "ann"), (None, "ann")}),
        (revoked(stream="todo"), {(INBOX, "ann"), (INBOX, "bob"), (INBOX, None)}),
        (revoked(None, "todo", "inbox"), {(INBOX, "ann"), (INBOX, "bob"), (INBOX, None)}),
        (revoked("ann", "todo"), {(INBOX, "ann")}),
        (revoked("ann", "todo", "inbox"), {(INBOX, "ann")}),
        (revoked("ann", "todo", "work"), set()),
        (revoked(None, "todo", "work"), set()),
        (revoked("ann", "chat"), set()),
        (revoked(stream="chat"), set()),
    ],
    ids=lambda value: str(value) if isinstance(value, Revocation) else str(len(value)),
)
def test_a_revocation_hits_whom_and_where_it_names(revocation: Revocation, hit: set):
    callers = {"ann": caller("ann"), "bob": caller("bob"), None: ANONYMOUS}
    asked = product((None, INBOX), callers)

    assert {(where, who) for where, who in asked if table(revocation).voids(callers[who], where)} == hit


def test_an_item_is_hit_with_its_group():
    assert table(revoked(None, "todo", "inbox")).voids(caller(), Subscription("todo", "inbox", "1"))


@pytest.mark.parametrize(
    ("made", "before", "leeway", "is_void"),
    [
        (199, 200.0, 0, True),
        (200, 200.0, 0, False),
        (200, 200.3, 0, True),
        (201, 200.3, 0, False),
        (209, 200.0, 10, True),
        (210, 200.0, 10, False),
        (math.nan, 200.0, 0, True),
    ],
)
def test_a_token_is_void_when_it_was_made_before_or_within_the_leeway_after(made, before, leeway, is_void):
    assert table(revoked("ann", before=before), leeway=leeway).voids(caller(made=made)) is is_void


@pytest.mark.parametrize(
    "claims", [{"sub": "ann"}, {"sub": "ann", "iat": "soon"}, {"sub": "ann", "iat": None}]
)
def test_a_token_that_does_not_say_when_it_was_made_is_older_than_every_revocation(claims: dict):
    unknown = Caller(Claims(claims), None)

    assert table(revoked("ann", before=0.0)).voids(unknown)
    assert not table(revoked("bob")).voids(unknown)


REVOCATIONS = st.builds(
    lambda target, before: Revocation(*target, before), TARGETS, st.floats(0, 20, allow_nan=False)
)
CALLERS = st.one_of(
    st.just(ANONYMOUS),
    st.builds(lambda s, t: caller(s, made=t), st.sampled_from(["ann", "eve"]), st.integers(0, 25)),
)
ASKED = st.one_of(
    st.none(), st.builds(Subscription, st.sampled_from(["todo", "x"]), st.sampled_from(["inbox", "x"]))
)


def hits(revocation: Revocation, who: Caller, where: Subscription | None, leeway: float) -> bool:
    """The rule as one would say it, of one revocation alone."""
    if revocation.sub is not None and revocation.sub != who.sub:
        return False
    if where is None and revocation.stream is not None:
        return False
    if where is not None and not revocation.concerns(where.stream, where.group):
        return False
    return who.claims is None or who.claims.iat < revocation.not_before + leeway


@given(
    held=st.dictionaries(st.sampled_from("abcdefgh"), REVOCATIONS),
    over=st.dictionaries(st.sampled_from("abcdefgh"), REVOCATIONS | st.none()),
    who=CALLERS,
    where=ASKED,
    leeway=st.sampled_from([0.0, 2.5]),
)
def test_the_table_says_what_a_look_at_every_revocation_would_say(held, over, who, where, leeway):
    found = Revocations(leeway_seconds=leeway)
    found.replace_all(held)
    for item_id, revocation in over.items():
        if revocation is None:
            found.remove(item_id)
        else:
            found.put(item_id, revocation)

    now = {item_id: each for item_id, each in {**held, **over}.items() if each is not None}
    assert len(found) == len(now)
    assert found.voids(who, where) == any(hits(each, who, where, leeway) for each in now.values())


@given(
    held=st.dictionaries(st.sampled_from("abcd"), REVOCATIONS),
    now=st.dictionaries(st.sampled_from("abcd"), REVOCATIONS),
)
def test_replacing_all_tells_of_those_that_may_void_more(held, now):
    found = Revocations()
    found.replace_all(held)

    told = found.replace_all(now)

    before = [(each.target, each.not_before) for each in held.values()]
    assert told == [
        each
        for each in now.values()
        if all(target != each.target or time < each.not_before for target, time in before)
    ]


def test_a_revocation_tells_whether_it_may_void_more_than_before():
    found = Revocations()

    assert found.put("1", revoked("ann", before=200))
    assert not found.put("1", revoked("ann", before=200))
    assert not found.put("1", revoked("ann", before=100))
    assert found.put("1", revoked("ann", before=150))
    assert found.put("1", revoked("bob", before=1))
    assert not found.voids(caller("ann"))
