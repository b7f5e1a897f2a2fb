"""Who gets what of the resource API: reads by the rules of a stream, all the rest for the operator."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest

from streams import AuthRequest, Claims, Stream, Subscription, bound_to
from streams.access import ANONYMOUS, Caller, StreamAuth
from streams.auth import operator as operator_module
from streams.auth.callers import Callers
from streams.auth.keys import FixedKeys, secret_key
from streams.auth.operator import Operator
from streams.auth.revocations import STREAM, Revocation, revoke
from streams.auth.rules import OwnRules
from streams.auth.tokens import Verifier
from streams.errors import NotLetIn, StoreUnavailable, UnknownStream
from streams.memory import MemoryStore
from streams.store import Store
from tests.auth import issued
from tests.auth.hostile_tokens import HOSTILE
from tests.conftest import Backend
from tests.failing import Failing
from tests.resources.conftest import Api, Todo, asked_in_process
from tests.tokens import VERIFIER, token

OPERATOR = "0123456789abcdef0123456789abcdef"
REFUSED = {"error": str(NotLetIn("TOKEN_REFUSED", "")), "code": "TOKEN_REFUSED"}


async def of_tenant(subscription: Subscription, context: Any) -> bool:
    """Groups are called after tenants; of a tenant's own, everybody sees the notice."""
    if subscription.id == "notice":
        return True
    return context is not None and context["tenant"] == subscription.group


todo = Stream("todo", Todo)
private = Stream("private", dict, can_access=of_tenant)

READS = ["/streams/private/acme", "/streams/private/acme/1", "/streams/private?group=acme&id=1"]
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


def nothing() -> Backend:
    """Items that nobody may touch."""
    failing = Failing()
    return Backend(failing, failing)


async def filled() -> Backend:
    """An item `1` in each of some groups."""
    memory = MemoryStore(["todo", "private"])
    with bound_to(memory):
        await todo.set("inbox", "1", Todo(id="1", text="for everybody"))
        for tenant in ("acme", "umbrella"):
            await private.set(tenant, "1", {"of": tenant})
            await private.set(tenant, "notice", {"of": tenant})
    return Backend(memory, memory)


@asynccontextmanager
async def served(
    backend: Backend,
    *,
    operator: Operator | None = None,
    revoked: Store | None = None,
    authenticate: Any = None,
    verifier: Verifier = VERIFIER,
) -> AsyncIterator[Api]:
    auth = None if authenticate is None else StreamAuth(authenticate, None, Path("stream_auth.py"))
    async with OwnRules.running([todo, private], auth) as rules:
        callers = Callers(verifier, rules, revoked or MemoryStore([STREAM]), backend.feed)
        async with asked_in_process(backend, operator, callers, [todo, private]) as api:
            yield api


def deployed(backend: Backend, **options: Any) -> Any:
    return served(backend, operator=Operator(OPERATOR), **options)


async def get(api: Api, target: str, token: str | None = None, **headers: str) -> httpx.Response:
    if token is None:
        return await api.get(target, **headers)
    sent = b"Bearer " + token.encode("utf-8", "surrogateescape")
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return await api.ask("GET", target, headers={b"Authorization": sent, **named})


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Everything that is said in the log, by anybody."""
    caplog.set_level(logging.DEBUG)
    return lambda: caplog.text


async def test_what_has_no_rule_everybody_reads():
    async with deployed(await filled()) as api:
        group, item = await get(api, "/streams/todo/inbox"), await get(api, "/streams/todo/inbox/1", token())

    assert [each["text"] for each in group.json()] == ["for everybody"]
    assert item.json()["text"] == "for everybody"


@pytest.mark.parametrize("target", READS)
async def test_each_of_two_tenants_reads_its_own_and_nothing_of_the_other(target: str):
    async with deployed(await filled()) as api:
        own = await get(api, target, token(tenant="acme"))
        foreign = await get(api, target, token(tenant="umbrella"))
        nobody = await get(api, target)

    assert own.status_code == 200
    assert "acme" in own.text
    assert refusal(foreign) == (403, "STREAM_ACCESS_DENIED")
    assert "WWW-Authenticate" not in foreign.headers
    assert refusal(nobody) == (401, "TOKEN_REQUIRED")
    assert nobody.headers["WWW-Authenticate"] == "Bearer"


async def test_a_rule_may_give_an_item_of_a_group_that_it_does_not_give():
    async with deployed(await filled()) as api:
        item, group = [await get(api, f"/streams/private/acme{each}") for each in ("/notice", "")]

    assert item.json()["of"] == "acme"
    assert refusal(group) == (401, "TOKEN_REQUIRED")


@pytest.mark.parametrize("target", READS)
@pytest.mark.parametrize("operator", [Operator(OPERATOR), None], ids=["deployed", "dev"])
async def test_a_refused_read_touches_nothing(target: str, operator: Operator | None):
    headers = {"If_None_Match": "*", "Range": "bytes=0-1"}
    async with served(nothing(), operator=operator) as api:
        answers = [
            await get(api, target, **headers),
            await get(api, target, token(tenant="umbrella"), **headers),
            await get(api, target, "bad", **headers),
            await get(api, f"{target}{'&' if '?' in target else '?'}last=x&before=1", **headers),
        ]

    assert [answer.status_code for answer in answers] == [401, 403, 401, 401]


async def test_whether_an_item_is_there_is_not_told_to_who_may_not_see_it():
    async with deployed(await filled()) as api:
        there = await get(api, "/streams/private/acme/1", token(tenant="umbrella"))
        gone = await get(api, "/streams/private/acme/gone", token(tenant="umbrella"))
        missing = await get(api, "/streams/nothing/acme/1", token(tenant="umbrella"))

    assert there.status_code == 403
    assert there.content == gone.content == missing.content


@pytest.mark.parametrize("name", ["nothing", STREAM, "presence", "%74odo", "openapi.json", "Todo", "*"])
async def test_which_streams_there_are_is_not_told_to_who_may_not_list_them(name: str):
    async with deployed(nothing(), revoked=Failing()) as api:
        nobody = await get(api, f"/streams/{name}/all")

    assert refusal(nobody) == (401, "TOKEN_REQUIRED")
    assert "private" not in nobody.text


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


async def test_a_bad_token_reads_nothing_not_even_what_everybody_may(logged: Callable[[], str]):
    verifier = Verifier(FixedKeys([secret_key(issued.SECRET)]), issued.RULES)
    # Spaces around a token are HTTP's own, and no part of it.
    hostile = [each for each in HOSTILE if each.token == each.token.strip(" ")]
    async with deployed(nothing(), verifier=verifier, revoked=Failing()) as api:
        for each, target in product(hostile, (*READS, "/streams/todo/inbox")):
            answer = await get(api, target, each.token)

            assert (answer.status_code, answer.json()) == (401, REFUSED), each
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert logged().count("not let in: ") == 4 * len(hostile)
    assert not [each for each in hostile if len(each.token) > 20 and each.token in logged()]


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


async def test_somebody_whom_the_application_knows_without_a_token_is_not_asked_for_one():
    async def authenticate(request: AuthRequest, claims: Claims | None) -> Any:
        return {"tenant": request.headers["cookie"]} if "cookie" in request.headers else None

    async with deployed(await filled(), authenticate=authenticate) as api:
        own = await get(api, READS[0], Cookie="acme")
        foreign = await get(api, READS[0], Cookie="umbrella")
        nobody = await get(api, READS[0])

    assert own.status_code == 200
    assert refusal(foreign) == (403, "STREAM_ACCESS_DENIED")
    assert refusal(nobody) == (401, "TOKEN_REQUIRED")


async def test_an_application_is_told_how_a_reader_came():
    asked: list[AuthRequest] = []

    async def authenticate(request: AuthRequest, claims: Claims | None) -> Any:
        asked.append(request)
        return claims

    async with deployed(await filled(), authenticate=authenticate) as api:
        await get(api, "/streams/todo/in%2Fbox?last=1", token(), X_Seen="yes")

    (request,) = asked
    assert (request.kind, dict(request.query), request.headers["x-seen"]) == ("http", {"last": "1"}, "yes")
    assert request.address == "127.0.0.1"
    assert "authorization" not in request.headers


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


async def test_no_answer_is_kept_by_a_cache_that_people_share():
    async with deployed(await filled()) as api:
        answers = [
            await get(api, target, who)
            for target in ("/streams/todo/inbox", "/streams/private/acme/1", "/streams/private/acme/gone")
            for who in (None, token(tenant="acme"))
        ]
        tag = answers[1].headers["ETag"]
        answers.append(await get(api, "/streams/todo/inbox", token(), If_None_Match=tag))

    assert [answer.status_code for answer in answers] == [200, 200, 401, 200, 401, 404, 304]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"private, no-cache"}
    assert {answer.headers["Vary"] for answer in answers} == {"Authorization"}


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
