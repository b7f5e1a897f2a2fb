"""What comes when keys are asked for: documents with keys in them, with bad ones, and anything else."""

from __future__ import annotations

import pytest

from streams.auth.jwks import ASK_AGAIN_SECONDS, IDLE_SECONDS, MAX_DOCUMENT_BYTES, Jwks
from streams.auth.tokens import Verifier
from tests.auth.issued import RULES, jwk
from tests.auth.keys_replaced import NEW, OF_NEW, OF_OLD, OLD, answered, settled
from tests.auth.published import Clock, Publisher, answer, compressed, document

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
