"""Which tokens do not count any more."""

from __future__ import annotations

import logging
import math
from itertools import product

import orjson
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from streams.access import ANONYMOUS, Caller, Claims, Subscription
from streams.auth.revocations import (
    GROUP,
    STREAM,
    Revocation,
    Revocations,
    from_item,
    is_revoked,
    revocations,
    revoke,
    unrevoke,
)
from streams.errors import DefinitionRefused, InvalidName, UnknownStream
from streams.jetstream.bucket import provision
from streams.jetstream.connection import Connection
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Address, Namespace
from streams.memory import MemoryStore
from streams.store import Store
from tests.conftest import Backend

INBOX = Subscription("todo", "inbox")


@pytest_asyncio.fixture
async def provisioned(connection: Connection, namespace: Namespace) -> Backend:
    await provision(connection, namespace, STREAM)
    return Backend(KvStore(connection, namespace), JetStreamFeed(connection, namespace))


@pytest.fixture(params=["memory", "jetstream"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """One with the bucket of revocations in it."""
    if request.param == "memory":
        memory = MemoryStore([STREAM])
        return Backend(memory, memory)
    found: Backend = request.getfixturevalue("provisioned")
    return found


def caller(sub: str = "ann", *, made: float = 100) -> Caller:
    return Caller(Claims({"sub": sub, "iat": made, "exp": made + 3600}), None)


def revoked(
    sub: str | None = None, stream: str | None = None, group: str | None = None, *, before: float = 200.0
) -> Revocation:
    return Revocation(sub, stream, group, before)


def table(*held: Revocation, leeway: float = 0.0) -> Revocations:
    found = Revocations(leeway_seconds=leeway)
    for number, revocation in enumerate(held):
        found.put(str(number), revocation)
    return found


# Whom a revocation hits.


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
    ids=str,
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


TARGETS = st.one_of(
    st.tuples(st.sampled_from(["ann", "bob"]), st.none(), st.none()),
    st.tuples(
        st.sampled_from([None, "ann", "bob"]),
        st.sampled_from(["todo", "chat"]),
        st.sampled_from([None, "inbox", "work"]),
    ),
)
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


# As items.


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


# In a store.


async def test_what_is_revoked_is_listed_until_it_is_taken_back(store: Store):
    ann, room = revoked("ann"), revoked(None, "chat", "room 1/a", before=300.5)
    await revoke(store, ann)
    await revoke(store, room)
    assert await revocations(store) == [ann, room]

    assert await unrevoke(store, sub="ann")
    assert not await unrevoke(store, sub="ann")

    assert await revocations(store) == [room]


async def test_the_later_of_two_revocations_stays(store: Store):
    first, later = revoked("ann", before=200), revoked("ann", before=300)

    assert await revoke(store, first) == first
    assert await revoke(store, later) == later
    assert await revoke(store, first) == later

    assert await revocations(store) == [later]


async def test_one_that_is_not_understood_is_written_over(store: Store, caplog: pytest.LogCaptureFixture):
    ann = revoked("ann", before=5.0)
    await _put(store, ann.address.id, b'{"sub":7}')
    assert await revocations(store) == []
    assert [record.levelno for record in caplog.records] == [logging.ERROR]

    await revoke(store, ann)

    assert await revocations(store) == [ann]


async def test_the_store_says_what_a_table_of_everything_says(store: Store):
    held = [
        revoked("ann", before=110),
        revoked("bob", "todo", before=120),
        revoked("ann", "chat", "room", before=130),
        revoked(None, "chat", "room", before=105),
        revoked(stream="news", before=140),
    ]
    for revocation in held:
        await revoke(store, revocation)
    callers = [
        ANONYMOUS,
        *(caller(sub, made=made) for sub in ("ann", "bob", "eve") for made in range(99, 145, 5)),
    ]
    asked = [
        None,
        INBOX,
        *(Subscription(stream, group) for stream in ("chat", "news") for group in ("room", "x")),
    ]

    for leeway in (0.0, 3.0):
        known = table(*held, leeway=leeway)
        for who, where in product(callers, asked):
            assert await is_revoked(store, who, where, leeway_seconds=leeway) == known.voids(who, where), (
                who,
                where,
            )


async def test_an_item_that_is_not_understood_counts_by_its_key_until_it_was_written(store: Store):
    await _put(store, revoked("ann").address.id, b'{"sub":7}')

    assert await is_revoked(store, caller(made=100), None, leeway_seconds=0)
    assert not await is_revoked(store, caller(made=4e9), None, leeway_seconds=0)
    assert not await is_revoked(store, caller("bob"), None, leeway_seconds=0)


async def test_a_user_that_no_item_can_name_is_not_revoked(store: Store):
    strange = caller("\ud800")

    assert not await is_revoked(store, strange, Subscription("todo", "\ud800"), leeway_seconds=0)


async def test_where_nothing_was_provisioned_nobody_can_say_what_is_revoked(jetstream: Backend):
    for doing in (
        revoke(jetstream.store, revoked("ann")),
        unrevoke(jetstream.store, sub="ann"),
        revocations(jetstream.store),
        is_revoked(jetstream.store, caller(), INBOX, leeway_seconds=0),
    ):
        with pytest.raises(UnknownStream):
            await doing


async def _put(store: Store, item_id: str, value: bytes) -> None:
    await store.write(Address(STREAM, GROUP, item_id), lambda _: value)
