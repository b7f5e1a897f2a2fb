"""Who asks and for what, and how a stream says who may."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from streams import AuthRequest, Claims, DefinitionRefused, Stream, Subscription
from streams.access import ANONYMOUS, Caller


def yes(subscription: Subscription, context: Any) -> bool:
    return True


async def yes_later(subscription: Subscription, context: Any) -> bool:
    return True


class Rule:
    def __call__(self, subscription: Subscription, context: Any) -> bool:
        return True

    def method(self, subscription: Subscription, context: Any) -> bool:
        return True


def test_claims_are_a_mapping_with_names_for_what_every_token_has():
    claims = Claims({"sub": "ann", "iat": 1, "exp": 2.5, "role": "admin"})

    assert (claims.sub, claims.iat, claims.exp) == ("ann", 1.0, 2.5)
    assert claims["role"] == "admin"
    assert claims.get("team") is None
    assert dict(claims) == {"sub": "ann", "iat": 1, "exp": 2.5, "role": "admin"}
    assert len(claims) == 4


def test_claims_are_not_changed_by_whoever_made_them():
    values = {"sub": "ann"}
    claims = Claims(values)

    values["sub"] = "bob"

    assert claims.sub == "ann"


def test_claims_in_a_log_say_whose_they_are_and_nothing_else():
    assert repr(Claims({"sub": "ann", "email": "ann@example.com"})) == "<Claims of 'ann'>"


def test_a_subscription_reads_like_the_address_of_what_is_wanted():
    assert str(Subscription("todo", "inbox")) == "todo/inbox"
    assert str(Subscription("todo", "inbox", "7")) == "todo/inbox/7"


def test_a_request_has_no_parameters_and_headers_where_none_came():
    request = AuthRequest("http", "/items")

    assert (dict(request.query), dict(request.headers), request.address) == ({}, {}, None)


def test_a_caller_is_who_its_token_says_or_nobody_knows_who():
    assert Caller(Claims({"sub": "ann"}), None).sub == "ann"
    assert (ANONYMOUS.sub, ANONYMOUS.context) == (None, None)


def test_a_stream_is_open_to_everybody_and_no_client_sends_where_nothing_is_said():
    todo = Stream("todo", dict)

    assert (todo.can_access, todo.can_send, todo.public) == (None, None, False)


@pytest.mark.parametrize(
    "rule",
    [
        yes,
        yes_later,
        Rule(),
        Rule().method,
        functools.partial(yes),
        lambda *of_whatever: True,
        lambda subscription, context=None, more=7: True,
        # Says nothing about what it takes.
        type,
    ],
    ids=lambda rule: getattr(rule, "__name__", type(rule).__name__),
)
def test_a_rule_may_be_anything_that_takes_two_arguments(rule):
    todo = Stream("todo", dict, can_access=rule, can_send=rule)

    assert todo.can_access is rule
    assert todo.can_send is rule


@pytest.mark.parametrize("name", ["can_access", "can_send", "public"])
def test_what_a_stream_says_does_not_change(name):
    with pytest.raises(AttributeError):
        setattr(Stream("todo", dict), name, None)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (True, "is not a function: True"),
        ("everybody", "is not a function: 'everybody'"),
        (lambda: True, "must take (subscription, context): too many positional arguments"),
        (lambda context: True, "must take (subscription, context): too many positional arguments"),
        (lambda a, b, c: True, "must take (subscription, context): missing a required argument: 'c'"),
        (lambda a, b, *, c: True, "must take (subscription, context): missing a required argument: 'c'"),
        (yes(Subscription("todo", "inbox"), None), "is not a function: True"),
    ],
)
@pytest.mark.parametrize("name", ["can_access", "can_send"])
def test_a_rule_that_could_never_be_asked_is_refused(name, rule, sentence):
    with pytest.raises(DefinitionRefused) as refused:
        Stream("todo", dict, **{name: rule})

    # From Python 3.12 on, this says how the argument must be given.
    said = str(refused.value).replace("a required keyword-only argument", "a required argument")
    assert said == f"stream 'todo': `{name}` {sentence}"


def test_a_stream_that_is_public_and_has_a_rule_who_may_see_it_is_refused():
    with pytest.raises(DefinitionRefused) as refused:
        Stream("todo", dict, can_access=yes, public=True)

    assert str(refused.value) == (
        "stream 'todo': `public=True` lets everybody see it, and `can_access` asks who may; keep one of them"
    )


def test_a_public_stream_may_say_who_sends():
    todo = Stream("todo", dict, can_send=yes, public=True)

    assert (todo.public, todo.can_send) == (True, yes)


def test_public_is_a_clear_yes_or_no():
    with pytest.raises(DefinitionRefused, match=r"^stream 'todo': `public` is True or False, not 'no'$"):
        Stream("todo", dict, public="no")  # type: ignore[call-overload]  # that is the point
