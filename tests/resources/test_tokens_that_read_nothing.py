"""Who reads nothing: with tokens that are bad or revoked, and while nobody can say which are."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from streams import AuthRequest, Claims
from streams.auth.revocations import STREAM, Revocation, revoke
from streams.errors import NotLetIn, StoreUnavailable, UnknownStream
from streams.memory import MemoryStore
from tests.auth.hostile_tokens import AT_EVERY_DOOR
from tests.failing import Failing
from tests.resources.deployed import READS, deployed, filled, get, nothing, refusal
from tests.tokens import token

REFUSED = {"error": str(NotLetIn("TOKEN_REFUSED", "")), "code": "TOKEN_REFUSED"}


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Everything that is said in the log, by anybody."""
    caplog.set_level(logging.DEBUG)
    return lambda: caplog.text


async def test_a_bad_token_reads_nothing_not_even_what_everybody_may(logged: Callable[[], str]):
    async with deployed(nothing(), revoked=Failing()) as api:
        for each, target in product(AT_EVERY_DOOR, (*READS, "/streams/todo/inbox")):
            answer = await get(api, target, each.token)

            assert (answer.status_code, answer.json()) == (401, REFUSED), each
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert logged().count("not let in: ") == 4 * len(AT_EVERY_DOOR)
    assert not [each for each in AT_EVERY_DOOR if len(each.token) > 20 and each.token in logged()]


async def test_a_revoked_token_reads_nothing_and_a_later_one_does():
    revoked = MemoryStore([STREAM])
    await revoke(revoked, Revocation("ann", None, None, time.time() - 5))
    old = token(tenant="acme", made=time.time() - 10)

    async with deployed(nothing(), revoked=revoked) as api:
        refused = [await get(api, target, old) for target in (*READS, "/streams/todo/inbox")]
    async with deployed(await filled(), revoked=revoked) as api:
        fresh = await get(api, READS[0], token(tenant="acme"))

    assert {refusal(answer) for answer in refused} == {(401, "TOKEN_REVOKED")}
    assert fresh.status_code == 200


async def test_a_revocation_in_a_group_counts_for_that_group():
    revoked = MemoryStore([STREAM])
    await revoke(revoked, Revocation(None, "private", "acme", time.time() + 60))

    async with deployed(await filled(), revoked=revoked) as api:
        acme = await get(api, READS[0], token(tenant="acme"))
        nobody = await get(api, "/streams/private/acme/notice")
        umbrella = await get(api, "/streams/private/umbrella", token(tenant="umbrella"))

    assert refusal(acme) == (401, "TOKEN_REVOKED")
    assert refusal(nobody) == (401, "TOKEN_REQUIRED")
    assert umbrella.status_code == 200


@pytest.mark.parametrize("error", [StoreUnavailable("nats://10.0.0.7:4222 is away"), UnknownStream(STREAM)])
async def test_while_nobody_can_say_what_was_revoked_nothing_is_read(
    error: Exception, logged: Callable[[], str]
):
    async with deployed(nothing(), revoked=Failing(error)) as api:
        answers = [
            await get(api, target, who)
            for target in (*READS, "/streams/todo/inbox")
            for who in (None, token(tenant="acme"))
        ]

    assert {refusal(answer) for answer in answers} == {(503, "AUTH_UNAVAILABLE")}
    assert all(answer.headers["Retry-After"] == "1" for answer in answers)
    assert "nats://" not in "".join(answer.text for answer in answers)
    assert str(error) in logged()


async def test_a_rule_that_fails_is_a_no_and_says_nothing_of_why(logged: Callable[[], str]):
    async def authenticate(request: AuthRequest, claims: Claims | None) -> Any:
        return "no mapping"

    good = token()
    async with deployed(nothing(), authenticate=authenticate) as api:
        answer = await get(api, READS[0], good)

    assert refusal(answer) == (403, "STREAM_ACCESS_DENIED")
    assert "TypeError" in logged()
    assert "TypeError" not in answer.text
    assert good not in logged()
