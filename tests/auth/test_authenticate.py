"""What an application's `authenticate` makes of callers. Where it fails, nobody is let in.

F-B1 and F-B2 are defects of Motia (research/features.md 1.10, B1 and B2): it
lets callers in when their rule fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from streams import AuthRequest, Claims, HttpError
from streams.access import StreamAuth
from streams.auth.rules import OwnRules, Rules
from streams.errors import NotLetIn
from tests.auth.rules_asked import ANN, Ctx, Numpy
from tests.browser import SECONDS

CAME = AuthRequest("websocket", "/")


def authenticating(authenticate: Callable[..., Any], schema: Any = None) -> Any:
    return OwnRules.running([], StreamAuth(authenticate, schema, Path("stream_auth.py")))


async def reason(rules: Rules, claims: Claims | None = ANN) -> str:
    """Why somebody is not let in."""
    with pytest.raises(NotLetIn) as refused:
        await rules.context(CAME, claims)
    assert refused.value.code == "TOKEN_REFUSED"
    assert str(refused.value) == "the token is not accepted; get a new one and come back"
    return refused.value.reason


async def test_without_authenticate_a_caller_is_what_its_token_says():
    async with OwnRules.running([], None) as rules:
        assert await rules.context(CAME, ANN) is ANN
        assert await rules.context(CAME, None) is None


@pytest.mark.parametrize("is_async", [False, True])
async def test_authenticate_makes_a_context_of_how_somebody_came_and_what_the_token_says(is_async):
    def plain(request: AuthRequest, claims: Claims | None) -> object:
        return (request, claims)

    async def later(request: AuthRequest, claims: Claims | None) -> object:
        return (request, claims)

    async with authenticating(later if is_async else plain) as rules:
        assert await rules.context(CAME, ANN) == (CAME, ANN)
        # It may know somebody without a token, by a cookie.
        assert await rules.context(CAME, None) == (CAME, None)


@pytest.mark.parametrize("schema", [None, Ctx])
async def test_none_is_somebody_unknown_only_when_no_token_came_f_b1(schema):
    async with authenticating(lambda request, claims: None, schema) as rules:
        assert await rules.context(CAME, None) is None
        assert await reason(rules, ANN) == "authenticate returned None for 'ann'"


@pytest.mark.parametrize("answer", [False, True, Numpy()], ids=["False", "True", "numpy"])
@pytest.mark.parametrize("claims", [ANN, None], ids=["token", "no token"])
@pytest.mark.parametrize("schema", [None, Any], ids=["no schema", "schema"])
async def test_a_bool_is_no_context_f_b2(answer, claims, schema):
    async with authenticating(lambda request, claims: answer, schema) as rules:
        assert await reason(rules, claims) == f"authenticate returned {answer!r}, which is no context"


@pytest.mark.parametrize("claims", [ANN, None], ids=["token", "no token"])
@pytest.mark.parametrize("error", [ValueError("no luck"), HttpError(200, "welcome"), SystemExit(1)])
@pytest.mark.parametrize("is_async", [False, True])
async def test_nobody_is_let_in_when_authenticate_raises_f_b1(claims, error, is_async):
    def fail(request: AuthRequest, claims: Claims | None) -> object:
        raise error

    async def fail_later(request: AuthRequest, claims: Claims | None) -> object:
        raise error

    async with authenticating(fail_later if is_async else fail) as rules:
        assert await reason(rules, claims) == (
            f"authenticate gave no answer: {type(error).__name__}: {error}"
        )


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("claims", [ANN, None], ids=["token", "no token"])
async def test_nobody_is_let_in_when_authenticate_takes_too_long_f_b1(claims, gate):
    async def hang(request: AuthRequest, claims: Claims | None) -> object:
        await asyncio.Event().wait()
        return claims

    for authenticate in (hang, gate):
        async with authenticating(authenticate) as rules, asyncio.timeout(SECONDS):
            assert (
                await reason(rules, claims) == "authenticate gave no answer: it took longer than 0.05 seconds"
            )


@pytest.mark.parametrize("context", [{"user": "ann"}, Ctx(user="ann")], ids=["dict", "model"])
async def test_a_context_is_what_context_schema_makes_of_it(context):
    async with authenticating(lambda request, claims: context, Ctx) as rules:
        assert await rules.context(CAME, ANN) == Ctx(user="ann")


async def test_a_schema_may_be_any_type():
    async with authenticating(lambda request, claims: ["7"], list[int]) as rules:
        assert await rules.context(CAME, ANN) == [7]


@pytest.mark.parametrize("claims", [ANN, None], ids=["token", "no token"])
@pytest.mark.parametrize("context", [{"name": "secret"}, {}, "secret", ANN, 0])
async def test_a_context_that_does_not_fit_lets_nobody_in_f_b2(context, claims):
    async with authenticating(lambda request, claims: context, Ctx) as rules:
        why = await reason(rules, claims)

    assert why.startswith("what authenticate returned does not fit: ")
    # This is for the log, and what is in a context is somebody's.
    assert "secret" not in why


async def test_a_validator_that_fails_lets_nobody_in():
    class Odd(BaseModel):
        user: str

        @field_validator("user")
        @classmethod
        def look_up(cls, user: str) -> str:
            raise KeyError(user)

    async with authenticating(lambda request, claims: {"user": "ann"}, Odd) as rules:
        assert await reason(rules) == "what authenticate returned does not fit: KeyError: 'ann'"
