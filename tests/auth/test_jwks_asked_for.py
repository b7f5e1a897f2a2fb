"""Keys that are published at a URL: asked for seldom, kept in need, and gone when they are taken away."""

from __future__ import annotations

import asyncio
import logging

import pytest

import streams.auth.jwks
from streams.auth.jwks import ANSWER_SECONDS, ASK_AGAIN_SECONDS, FRESH_SECONDS, IDLE_SECONDS, Jwks
from streams.auth.tokens import Verifier
from streams.errors import NotLetIn
from tests.auth.issued import RULES, private, token
from tests.auth.keys_replaced import NEW, OF_NEW, OF_OLD, OLD, answered, settled
from tests.auth.published import Clock, Publisher

OF_NOBODY = token(key=private("P-256"), alg="ES256", kid="nobody")


async def test_a_token_is_checked_with_the_key_that_it_names(jwks: Jwks, publisher: Publisher):
    verifier = Verifier(jwks, RULES)

    assert await answered(verifier, OF_OLD) == "ann"
    assert await answered(verifier, token(key=NEW, alg="ES256", kid="old")) == "TOKEN_REFUSED"
    assert await answered(verifier, token(alg="HS256", kid="old")) == "TOKEN_REFUSED"
    assert publisher.questions == 1


async def test_many_who_come_at_once_share_the_first_answer(jwks: Jwks, publisher: Publisher):
    verifier = Verifier(jwks, RULES)

    found = await asyncio.gather(*(answered(verifier, OF_OLD) for _ in range(100)))

    assert (set(found), publisher.questions) == ({"ann"}, 1)


async def test_while_a_key_is_replaced_both_are_accepted_and_then_only_the_new_one(
    jwks: Jwks, publisher: Publisher, clock: Clock
):
    verifier = Verifier(jwks, RULES)
    assert await answered(verifier, OF_OLD) == "ann"

    publisher.publishes(old=OLD, new=NEW)
    clock.seconds += ASK_AGAIN_SECONDS
    overlapping = [await answered(verifier, of) for of in (OF_NEW, OF_OLD)]
    publisher.publishes(new=NEW)
    clock.seconds += FRESH_SECONDS
    await answered(verifier, OF_NEW)
    await settled(jwks)

    assert overlapping == ["ann", "ann"]
    assert [await answered(verifier, of) for of in (OF_NEW, OF_OLD)] == ["ann", "TOKEN_REFUSED"]
    assert publisher.questions == 3


async def test_tokens_without_a_name_for_their_key_are_tried_with_each(publisher: Publisher, clock: Clock):
    publisher.publishes(old=OLD, new=NEW)

    async with Jwks.kept(publisher.url, now=clock) as jwks:
        assert await answered(Verifier(jwks, RULES), token(key=NEW, alg="ES256")) == "ann"


async def test_while_nobody_answers_the_old_keys_go_on_and_the_log_says_so_once(
    jwks: Jwks, publisher: Publisher, clock: Clock, caplog: pytest.LogCaptureFixture
):
    verifier = Verifier(jwks, RULES)
    assert await answered(verifier, OF_OLD) == "ann"
    caplog.set_level(logging.INFO, "streams.auth.jwks")

    publisher.fails()
    for _ in range(50):
        clock.seconds += FRESH_SECONDS
        assert await answered(verifier, OF_OLD) == "ann"
        await settled(jwks)
    publisher.publishes(old=OLD)
    clock.seconds += FRESH_SECONDS
    assert await answered(verifier, OF_OLD) == "ann"
    await settled(jwks)

    assert publisher.questions == 52
    down, up = caplog.messages
    assert down.startswith(
        "the keys for tokens cannot be had, the old ones go on: ValueError: the answer has"
    )
    assert up.startswith("the keys for tokens are there again url=http://127.0.0.1:")
    assert "secret" not in caplog.text


async def test_when_there_never_were_keys_it_cannot_be_said_who_anybody_is(
    publisher: Publisher, clock: Clock
):
    publisher.fails()

    async with Jwks.kept(publisher.url, now=clock) as jwks:
        verifier = Verifier(jwks, RULES)
        away = {await answered(verifier, OF_OLD) for _ in range(20)}
        asked_when_away = publisher.questions
        publisher.publishes(old=OLD)
        clock.seconds += ASK_AGAIN_SECONDS
        back = await answered(verifier, OF_OLD)

    assert (away, asked_when_away) == ({"AUTH_UNAVAILABLE"}, 1)
    assert (back, publisher.questions) == ("ann", 2)


async def test_nobody_listening_is_no_keys_either(clock: Clock):
    async with Jwks.kept("http://127.0.0.1:1/jwks.json", now=clock) as jwks:
        with pytest.raises(NotLetIn) as raised:
            await jwks.known("old")

    assert raised.value.code == "AUTH_UNAVAILABLE"
    assert "ConnectError" in raised.value.reason


async def test_a_storm_of_unknown_keys_is_asked_about_once_an_interval(
    jwks: Jwks, publisher: Publisher, clock: Clock
):
    verifier = Verifier(jwks, RULES)
    assert await answered(verifier, OF_OLD) == "ann"
    storm = [token(key=NEW, alg="ES256", kid=f"made-up-{number}") for number in range(200)]

    asked = []
    for seconds in (ASK_AGAIN_SECONDS, 0.0, ASK_AGAIN_SECONDS - 0.1, 0.1):
        clock.seconds += seconds
        found = await asyncio.gather(*(answered(verifier, made) for made in storm))
        asked.append(publisher.questions)
        assert set(found) == {"TOKEN_REFUSED"}

    assert asked == [2, 2, 2, 3]


async def test_in_a_storm_whoever_has_a_known_key_waits_for_nobody(
    jwks: Jwks, publisher: Publisher, clock: Clock
):
    verifier = Verifier(jwks, RULES)
    assert await answered(verifier, OF_OLD) == "ann"
    clock.seconds += ASK_AGAIN_SECONDS

    publisher.answers.clear()
    storm = [asyncio.ensure_future(answered(verifier, OF_NOBODY)) for _ in range(200)]
    known = await answered(verifier, OF_OLD)
    waiting = [one.done() for one in storm]
    publisher.answers.set()

    assert known == "ann"
    assert not any(waiting)
    assert set(await asyncio.gather(*storm)) == {"TOKEN_REFUSED"}
    assert publisher.questions == 2


async def test_nobody_waits_while_old_keys_are_asked_for_again(
    jwks: Jwks, publisher: Publisher, clock: Clock
):
    verifier = Verifier(jwks, RULES)
    assert await answered(verifier, OF_OLD) == "ann"
    publisher.publishes(new=NEW)
    publisher.answers.clear()

    clock.seconds += FRESH_SECONDS
    meanwhile = [await answered(verifier, OF_OLD) for _ in range(10)]
    publisher.answers.set()
    await settled(jwks)

    assert set(meanwhile) == {"ann"}
    assert await answered(verifier, OF_OLD) == "TOKEN_REFUSED"
    assert publisher.questions == 2


async def test_when_nobody_came_for_long_a_key_that_was_taken_away_opens_nothing(
    jwks: Jwks, publisher: Publisher, clock: Clock
):
    verifier = Verifier(jwks, RULES)
    assert await answered(verifier, OF_OLD) == "ann"

    publisher.publishes(new=NEW)
    clock.seconds += IDLE_SECONDS

    assert await answered(verifier, OF_OLD) == "TOKEN_REFUSED"


async def test_one_who_leaves_while_waiting_takes_nothing_from_the_others(publisher: Publisher, clock: Clock):
    publisher.answers.clear()

    async with Jwks.kept(publisher.url, now=clock) as jwks:
        verifier = Verifier(jwks, RULES)
        leaving, staying = (asyncio.ensure_future(answered(verifier, OF_OLD)) for _ in range(2))
        await asyncio.wait([leaving], timeout=0.01)
        leaving.cancel()
        await asyncio.wait([leaving])
        publisher.answers.set()

        assert await staying == "ann"
    assert publisher.questions == 1


async def test_a_block_ends_at_once_although_nobody_answered(publisher: Publisher, clock: Clock):
    publisher.answers.clear()

    async with asyncio.timeout(ANSWER_SECONDS / 2), Jwks.kept(publisher.url, now=clock) as jwks:
        waiting = asyncio.ensure_future(jwks.known("old"))
        await asyncio.wait([waiting], timeout=0.01)

    with pytest.raises(NotLetIn, match="cannot be checked at present"):
        await waiting


async def test_an_answer_that_does_not_come_is_not_waited_for(
    publisher: Publisher, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(streams.auth.jwks, "ANSWER_SECONDS", 0.1)
    publisher.answers.clear()

    async with Jwks.kept(publisher.url, now=clock) as jwks:
        with pytest.raises(NotLetIn) as raised:
            await jwks.known("old")

    assert "no answer" in raised.value.reason or "Timeout" in raised.value.reason
