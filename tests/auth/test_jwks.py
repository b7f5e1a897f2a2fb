"""Keys that are published at a URL: asked for seldom, kept in need, and gone when they are taken away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

import streams.auth.jwks
from streams.auth.jwks import (
    ANSWER_SECONDS,
    ASK_AGAIN_SECONDS,
    FRESH_SECONDS,
    IDLE_SECONDS,
    MAX_DOCUMENT_BYTES,
    Jwks,
    checked_jwks_url,
)
from streams.auth.tokens import Verifier
from streams.errors import DefinitionRefused, NotLetIn
from tests.auth.issued import RULES, jwk, private, token
from tests.auth.published import Clock, Publisher, answer, compressed, document

OLD, NEW = private("P-256", "old"), private("P-256", "new")
OF_OLD, OF_NEW = token(key=OLD, alg="ES256", kid="old"), token(key=NEW, alg="ES256", kid="new")
OF_NOBODY = token(key=private("P-256"), alg="ES256", kid="nobody")


@pytest_asyncio.fixture
async def publisher() -> AsyncIterator[Publisher]:
    """Publishes the key `old`."""
    async with Publisher.serving(answer(document(old=OLD))) as publisher:
        yield publisher


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def jwks(publisher: Publisher, clock: Clock) -> AsyncIterator[Jwks]:
    async with Jwks.kept(publisher.url, now=clock) as jwks:
        yield jwks


async def answered(verifier: Verifier, token: str) -> str:
    """Who it is, or why nobody is let in."""
    try:
        return (await verifier.claims(token)).sub
    except NotLetIn as error:
        return error.code


async def settled(jwks: Jwks) -> None:
    """Whatever question was under way is answered."""
    # A key that nobody has: whoever asks for it waits for the question that is there, and asks none too soon.
    await jwks.known("nobody's")


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


GOOD = document(old=OLD)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (answer(GOOD, "500 Internal Server Error"), "the status 500"),
        (answer(GOOD, "404 Not Found"), "the status 404"),
        (answer(GOOD, "203 Non-Authoritative"), "the status 203"),
        (answer(GOOD, "302 Found", Location="/jwks.json"), "the status 302"),
        (answer(GOOD, "301 Moved", Location="http://127.0.0.1:1/"), "the status 301"),
        (answer({"keys": [], "more": "x" * MAX_DOCUMENT_BYTES}), "more than 262144 bytes"),
        (answer(b" " * 300_000), "more than 262144 bytes"),
        (compressed(GOOD), "compressed"),
        (compressed({"keys": [], "more": "x" * 10_000_000}), "compressed"),
        (answer(b"<html>"), "JSONDecodeError"),
        (answer(b""), "JSONDecodeError"),
        (answer(b"\xff\xfe\xff"), "UnicodeDecodeError"),
        (answer(b"[" * 100_000), "RecursionError"),
        (answer([jwk(OLD)]), "no JSON object with a list of `keys`"),
        (answer({"keys": {}}), "no JSON object with a list of `keys`"),
        (answer({}), "no JSON object with a list of `keys`"),
        (answer(None), "no JSON object with a list of `keys`"),
        (answer(GOOD)[:-10], "RemoteProtocolError"),
        (b"", "RemoteProtocolError"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000 + b"\r\n", "RemoteProtocolError"),
        (b"\0" * 1000, "RemoteProtocolError"),
    ],
)
async def test_what_is_no_document_of_keys_changes_nothing(
    jwks: Jwks,
    publisher: Publisher,
    clock: Clock,
    said: bytes,
    problem: str,
    caplog: pytest.LogCaptureFixture,
):
    verifier = Verifier(jwks, RULES)
    assert await answered(verifier, OF_OLD) == "ann"

    publisher.said = said
    clock.seconds += ASK_AGAIN_SECONDS
    assert await answered(verifier, OF_NEW) == "TOKEN_REFUSED"

    assert await answered(verifier, OF_OLD) == "ann"
    assert publisher.questions == 2
    (logged,) = caplog.messages
    assert problem in logged


async def test_a_cookie_that_comes_with_keys_is_not_kept(publisher: Publisher, clock: Clock):
    publisher.said = answer(document(old=OLD), Set_Cookie="a=Þ; Path=/")

    async with Jwks.kept(publisher.url, now=clock) as jwks:
        verifier = Verifier(jwks, RULES)
        assert await answered(verifier, OF_OLD) == "ann"
        publisher.publishes(old=OLD, new=NEW)
        clock.seconds += ASK_AGAIN_SECONDS

        assert await answered(verifier, OF_NEW) == "ann"


async def test_a_key_that_cannot_be_used_is_left_out_and_named_once(
    publisher: Publisher, clock: Clock, caplog: pytest.LogCaptureFixture
):
    publisher.said = answer({"keys": [{"kty": "oct", "k": "AA"}, jwk(OLD, "old"), jwk(NEW, "new", d="AA")]})

    async with Jwks.kept(publisher.url, now=clock) as jwks:
        for _ in range(3):
            assert await answered(Verifier(jwks, RULES), OF_OLD) == "ann"
            clock.seconds += IDLE_SECONDS

    first, second = caplog.messages
    assert first.startswith("a key for tokens is left out: key 0 is of the kty 'oct'")
    assert second.startswith("a key for tokens is left out: key 2 is a private key")


async def test_when_all_keys_are_taken_away_nobody_is_let_in_any_more_and_the_log_says_so_once(
    jwks: Jwks, publisher: Publisher, clock: Clock, caplog: pytest.LogCaptureFixture
):
    verifier = Verifier(jwks, RULES)
    assert await answered(verifier, OF_OLD) == "ann"

    publisher.publishes()
    for _ in range(3):
        clock.seconds += ASK_AGAIN_SECONDS
        await settled(jwks)

    assert await answered(verifier, OF_OLD) == "TOKEN_REFUSED"
    (logged,) = caplog.messages
    assert logged.startswith("no key for tokens is left, so every token is refused url=")


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.example/.well-known/jwks.json",
        "https://issuer.example:8443/a?b=c",
        "https://issuer.example/@tenant/keys",
        "http://localhost/jwks",
        "http://127.0.0.1:8080/jwks",
        "http://[::1]:8080/jwks",
    ],
)
def test_keys_may_come_over_tls_or_from_this_machine(url: str):
    assert checked_jwks_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "issuer.example/jwks",
        "http://issuer.example/jwks",
        "http://localhost.evil.example/jwks",
        "http://127.0.0.1.evil.example/jwks",
        "http://localhost@evil.example/jwks",
        "http://localhost\\@evil.example/jwks",
        "https://ann:secret@issuer.example/jwks",
        "https://ann:sec/ret@issuer.example/jwks",
        "https:///jwks",
        "https://issuer.example:port/jwks",
        "https://issuer.example:0/jwks",
        "https://[::1/jwks",
        "https://issuer.example/a b",
        "https://issuer.example/\n",
        "file:///etc/passwd",
        "ftp://issuer.example/jwks",
    ],
)
def test_keys_come_from_nowhere_else(url: str):
    with pytest.raises(DefinitionRefused, match="expected https://HOST/PATH") as raised:
        checked_jwks_url(url)

    assert "ret@" not in str(raised.value)
