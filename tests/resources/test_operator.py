"""All that is no read: for the operator alone, and in development for everybody."""

from __future__ import annotations

import hmac

import pytest

from streams import AuthRequest, Subscription
from streams.access import ANONYMOUS, Caller
from streams.auth import operator as operator_module
from streams.auth.operator import Operator
from streams.errors import UnknownStream
from tests.failing import Failing
from tests.resources.conftest import asked_in_process
from tests.resources.deployed import OPERATOR, READS, deployed, filled, get, nothing, refusal, served
from tests.tokens import token

NOT_READS = [
    ("GET", "/streams"),
    ("GET", "/streams/"),
    ("GET", "/streams/todo"),
    ("GET", "/streams/todo/"),
    ("GET", "/streams/todo/inbox/1/x"),
    ("GET", "/streams//inbox"),
    ("GET", "/streams/openapi.json"),
    ("OPTIONS", "/streams/todo/inbox"),
    ("PUT", "/streams/todo/inbox/1"),
    ("PATCH", "/streams/todo/inbox/1"),
    ("DELETE", "/streams/todo/inbox/1"),
    ("PUT", "/streams/todo?group=inbox&id=1"),
    ("POST", "/streams/todo/inbox/events"),
    ("POST", "/streams/todo/inbox"),
]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Bearer",
        f"Bearer {OPERATOR}x",
        f"Bearer {OPERATOR[:-1]}",
        OPERATOR,
        f"Basic {OPERATOR}",
        f"Bearer {token(tenant='acme')}",
    ],
    ids=["nothing", "empty", "longer", "shorter", "bare", "basic", "JWT"],
)
async def test_writes_and_lists_are_for_the_operator(authorization: str | None):
    headers = {} if authorization is None else {"Authorization": authorization}
    async with deployed(nothing(), revoked=Failing()) as api:
        for method, target in NOT_READS:
            answer = await api.ask(method, target, headers=headers, content=b"{}")

            assert refusal(answer) == (401, "OPERATOR_ONLY")
            assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_head_is_no_read_and_says_nothing_of_what_is_there():
    async with deployed(nothing(), revoked=Failing()) as api:
        answer = await api.ask("HEAD", READS[1])

    assert (answer.status_code, answer.content) == (401, b"")


async def test_the_operator_gets_everything():
    async with deployed(await filled(), revoked=Failing()) as api:
        mine = {"Authorization": f"bearer  {OPERATOR}"}
        put = await api.ask("PUT", "/streams/private/acme/2", json={"id": "2"}, headers=mine)
        group = await api.ask("GET", "/streams/private/acme", headers=mine)
        streams = await api.ask("GET", "/streams", headers=mine)
        missing = await api.ask("GET", "/streams/privat/acme", headers=mine)

    assert (put.status_code, len(group.json()), len(streams.json())) == (201, 3, 2)
    assert "did you mean 'private'" in missing.json()["error"]


async def test_the_operators_token_beside_another_one_is_nobodys():
    async with deployed(nothing()) as api:
        both = [("Authorization", f"Bearer {OPERATOR}"), ("Authorization", f"Bearer {token(tenant='acme')}")]
        answers = [
            await api.ask(method, target, headers=headers)
            for method, target in (("GET", READS[0]), ("PUT", READS[1]))
            for headers in (both, both[::-1], both[:1] * 2)
        ]

    assert {refusal(answer) for answer in answers[:3]} == {(401, "TOKEN_REFUSED")}
    assert {refusal(answer) for answer in answers[3:]} == {(401, "OPERATOR_ONLY")}


async def test_the_operators_token_is_compared_as_digests_of_one_length(monkeypatch: pytest.MonkeyPatch):
    compared: list[tuple[bytes, bytes]] = []

    class Watched:
        @staticmethod
        def compare_digest(one: bytes, other: bytes) -> bool:
            compared.append((one, other))
            return hmac.compare_digest(one, other)

    monkeypatch.setattr(operator_module, "hmac", Watched)
    async with deployed(nothing()) as api:
        for guess in ("x", OPERATOR[:-1], OPERATOR * 2):
            await api.ask("PUT", READS[1], headers={"Authorization": f"Bearer {guess}"})

    assert len(compared) == 3
    assert {len(each) for pair in compared for each in pair} == {32}


async def test_in_development_writes_and_lists_are_open_and_reads_are_behind_the_same_rules():
    async with served(await filled()) as api:
        put = await api.put("/streams/private/acme/2", {"id": "2"})
        streams, groups = await api.get("/streams"), await api.get("/streams/private")
        document = await api.get("/streams/openapi.json")
        own = await get(api, READS[0], token(tenant="acme"))
        foreign = await get(api, READS[0], token(tenant="umbrella"))
        nobody, bad = await get(api, READS[0]), await get(api, "/streams/todo/inbox", "bad")
        missing = await get(api, "/streams/privat/acme")

    assert {put.status_code, streams.status_code, groups.status_code, document.status_code} == {200, 201}
    assert len(own.json()) == 3
    assert [refusal(each) for each in (foreign, nobody, bad, missing)] == [
        (403, "STREAM_ACCESS_DENIED"),
        (401, "TOKEN_REQUIRED"),
        (401, "TOKEN_REFUSED"),
        (404, "STREAM_NOT_FOUND"),
    ]
    assert "did you mean 'private'" in missing.json()["error"]


class LikeAGateway:
    """A doorkeeper that asks buckets, and so knows other streams than are served here."""

    async def caller(self, token: str | None, request: AuthRequest) -> Caller:
        return ANONYMOUS

    async def check(self, caller: Caller, wanted: Subscription) -> None:
        if wanted.stream == "todo":
            raise UnknownStream(wanted.stream)


async def test_what_a_doorkeeper_knows_that_is_not_served_is_refused_and_what_has_no_bucket_is_not_there():
    async with asked_in_process(nothing(), Operator(OPERATOR), LikeAGateway()) as api:
        other, todo = await api.get("/streams/other/inbox"), await api.get("/streams/todo/inbox")

    assert refusal(other) == (401, "TOKEN_REQUIRED")
    assert refusal(todo) == (404, "STREAM_NOT_FOUND")
