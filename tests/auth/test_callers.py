"""Who asks over HTTP: found by its token, or nobody."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from streams import AuthRequest, Claims, StreamsError
from streams.access import ANONYMOUS
from streams.auth.callers import bearer, caller_of, http_request, log_refusal
from streams.auth.revocations import STREAM, Revocation, revoke
from streams.dev.nats_server import NatsServer
from streams.errors import BucketNotUsable, NotLetIn, StoreUnavailable, UnknownStream
from streams.jetstream import connection as connecting
from streams.jetstream.connection import connected_to
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.memory import MemoryStore
from tests.auth.doorkeepers import CAME, OPEN, callers, known, refusal, scope
from tests.auth.hostile_tokens import AT_EVERY_DOOR, Hostile
from tests.failing import Failing
from tests.tokens import token


@pytest.mark.parametrize(
    ("authorizations", "expected"),
    [
        ([], None),
        (["Bearer abc"], "abc"),
        (["bearer abc"], "abc"),
        (["BEARER   abc \t "], "abc"),
        # No good tokens, and so refused by whoever reads them.
        (["Bearer\tabc"], "\tabc"),
        (["Bearer: abc"], ": abc"),
        (["Bearer,abc"], ",abc"),
        ([""], None),
        (["Basic YTpi"], None),
        (["abc"], None),
        (["Bearerabc"], None),
        (["Bearer a b"], "a b"),
        (["Bearer a, Bearer b"], "a, Bearer b"),
    ],
)
def test_a_token_is_what_stands_after_bearer(authorizations: list[str], expected: str | None):
    assert bearer(authorizations) == expected


@pytest.mark.parametrize(
    "authorizations",
    [["Bearer"], ["Bearer "], ["bearer\t"], ["Bearer a", "Bearer a"], ["Basic YTpi", "Bearer a"], ["", ""]],
)
def test_who_leaves_open_which_token_it_means_is_not_taken_for_nobody(authorizations: list[str]):
    with pytest.raises(NotLetIn) as refused:
        bearer(authorizations)

    assert refused.value.code == "TOKEN_REFUSED"


def test_an_application_is_told_of_a_request_and_not_of_its_token():
    found = http_request(
        scope(
            ("Authorization", "Bearer abc"),
            ("Proxy-Authorization", "Basic YTpi"),
            ("Cookie", "a=1"),
            ("X-Seen", "one"),
            ("x-seen", "two"),
            path="/notes/é",
            query="a=1&b=&a=2%20%C3%A9",
            client=("10.0.0.7", 4711),
        )
    )

    assert found == AuthRequest(
        "http", "/notes/é", {"a": "2 é", "b": ""}, {"cookie": "a=1", "x-seen": "one, two"}, "10.0.0.7"
    )


def test_a_connection_without_an_address_is_no_trouble():
    assert http_request(scope()).address is None


async def test_who_has_no_token_is_nobody_and_no_store_is_asked():
    async with callers(Failing()) as doorkeeper:
        assert await doorkeeper.caller(None, CAME) == ANONYMOUS


async def test_who_has_a_token_is_what_it_says():
    async with callers() as doorkeeper:
        caller = await doorkeeper.caller(token("bob", tenant="acme"), CAME)

    assert caller.sub == "bob"
    assert caller.context["tenant"] == "acme"


async def test_the_application_makes_a_context_of_who_comes():
    seen = []

    async def authenticate(request: AuthRequest, claims: Claims | None) -> dict[str, Any]:
        seen.append(request)
        return {"who": "a guest" if claims is None else claims.sub}

    async with callers(authenticate=authenticate) as doorkeeper:
        known, unknown = await doorkeeper.caller(token(), CAME), await doorkeeper.caller(None, CAME)

    assert (known.sub, known.context, unknown.sub, unknown.context) == (
        "ann", {"who": "ann"}, None, {"who": "a guest"},
    )  # fmt: skip
    assert seen == [CAME, CAME]


async def test_whom_the_application_refuses_is_nobody():
    async def authenticate(request: AuthRequest, claims: Claims | None) -> None:
        return None

    async with callers(authenticate=authenticate) as doorkeeper:
        with pytest.raises(NotLetIn) as refused:
            await doorkeeper.caller(token(), CAME)
        anonymous = await doorkeeper.caller(None, CAME)

    assert refused.value.code == "TOKEN_REFUSED"
    assert anonymous == ANONYMOUS


@pytest.mark.parametrize("hostile", AT_EVERY_DOOR, ids=str)
async def test_a_bad_token_is_refused_before_a_store_or_the_application_is_asked(hostile: Hostile):
    async def authenticate(request: AuthRequest, claims: Claims | None) -> Any:
        raise AssertionError("nobody is to be asked about")

    async with callers(Failing(), authenticate) as doorkeeper:
        with pytest.raises(NotLetIn) as refused:
            await doorkeeper.caller(hostile.token, CAME)

    assert refused.value.code == "TOKEN_REFUSED"
    assert hostile.reason in refused.value.reason


async def test_a_revoked_token_is_refused_and_a_later_one_is_not():
    store = MemoryStore([STREAM])
    await revoke(store, Revocation("ann", None, None, time.time() - 5))

    async with callers(store) as doorkeeper:
        with pytest.raises(NotLetIn) as refused:
            await doorkeeper.caller(token(made=time.time() - 10), CAME)
        fresh = await doorkeeper.caller(token(), CAME)
        other = await doorkeeper.caller(token("bob", made=time.time() - 10), CAME)

    assert refused.value.code == "TOKEN_REVOKED"
    assert (fresh.sub, other.sub) == ("ann", "bob")


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("NATS at nats://10.0.0.7:4222 is away"),
        UnknownStream(STREAM),
        BucketNotUsable("it is of a newer release"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_while_nobody_can_say_what_was_revoked_no_token_counts(error: StreamsError):
    async with callers(Failing(error)) as doorkeeper:
        with pytest.raises(NotLetIn) as refused:
            await doorkeeper.caller(token(), CAME)
        anonymous = await doorkeeper.caller(None, CAME)
        codes = {await refusal(doorkeeper, each, OPEN) for each in (known(), anonymous)}

    assert refused.value.code == "AUTH_UNAVAILABLE"
    assert str(error) in refused.value.reason
    assert "nats://" not in str(refused.value)
    assert codes == {"AUTH_UNAVAILABLE"}


async def test_while_nats_is_away_no_token_counts(own_nats: NatsServer, monkeypatch: pytest.MonkeyPatch):
    async with (
        connected_to(own_nats.url) as connection,
        callers(KvStore(connection, Namespace("t"))) as doorkeeper,
    ):
        own_nats.kill()
        monkeypatch.setattr(connecting, "CONNECT_SECONDS", 0.1)
        with pytest.raises(NotLetIn) as refused:
            await doorkeeper.caller(token(), CAME)

    assert refused.value.code == "AUTH_UNAVAILABLE"


async def test_what_the_log_says_is_one_line_without_the_token(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    bad = f"{token()}x"
    async with callers() as doorkeeper:
        with pytest.raises(NotLetIn) as refused:
            await caller_of(scope(("Authorization", f"Bearer {bad}")), doorkeeper)

    log_refusal(refused.value, "/notes\nINFO somebody was let in")

    (line,) = [record for record in caplog.records if record.name == "streams.auth.callers"]
    assert line.levelname == "INFO"
    assert line.getMessage().startswith("not let in: its signature is ")
    assert "\n" not in line.getMessage()
    assert bad[-43:] not in caplog.text


def test_that_nobody_can_be_checked_is_a_warning(caplog: pytest.LogCaptureFixture):
    log_refusal(NotLetIn("AUTH_UNAVAILABLE", "NATS is away"), "/notes")

    assert [record.levelname for record in caplog.records] == ["WARNING"]
