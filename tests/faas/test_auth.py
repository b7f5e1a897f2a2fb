"""Who calls a step: found before anything of its request is read, and known to its handler."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request
from starlette.types import Message

from streams import AuthRequest, Claims, Context, http
from streams.auth.revocations import STREAM, Revocation, revoke
from streams.discovery import Application
from streams.errors import NotLetIn, StoreUnavailable
from streams.faas.asgi import functions_app
from streams.memory import MemoryStore
from tests.auth.hostile_tokens import AT_EVERY_DOOR, Hostile
from tests.browser import SECONDS
from tests.faas.site import WHOAMI, Note, Site, note, serving, step
from tests.failing import Failing
from tests.tokens import token

REFUSED = {"error": str(NotLetIn("TOKEN_REFUSED", "")), "code": "TOKEN_REFUSED"}
REQUIRED = {"error": str(NotLetIn("TOKEN_REQUIRED", "")), "code": "TOKEN_REQUIRED"}


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Everything that is said in the log, by anybody."""
    caplog.set_level(logging.DEBUG)
    return lambda: caplog.text


async def test_without_a_token_nobody_is_known_and_no_store_is_asked():
    async with serving(store=Failing()) as site:
        optional, none = await site.ask("/optional"), await site.ask("/none")

    assert (optional.status_code, optional.json()) == (200, None)
    assert (none.status_code, none.json()) == (200, None)


async def test_a_handler_knows_what_the_token_says():
    async with serving() as site:
        said = [(await site.ask(path, token(role="admin"))).json() for path in ("/optional", "/required")]

    assert [(each["sub"], each["role"]) for each in said] == [("ann", "admin")] * 2


async def test_a_handler_knows_what_the_application_made_of_the_caller():
    asked: list[AuthRequest] = []

    def authenticate(request: AuthRequest, claims: Claims | None) -> Any:
        asked.append(request)
        return {"user": claims.sub if claims else request.query.get("guest")}

    async with serving(authenticate=authenticate) as site:
        known = await site.ask("/optional?guest=x", token())
        guest = await site.ask("/required?guest=bob")

    assert (known.json(), guest.json()) == ({"user": "ann"}, {"user": "bob"})
    assert [(each.kind, each.path, dict(each.query)) for each in asked] == [
        ("http", "/optional", {"guest": "x"}),
        ("http", "/required", {"guest": "bob"}),
    ]
    assert "authorization" not in asked[0].headers


async def test_a_step_that_needs_somebody_is_not_run_for_nobody():
    async with serving() as site:
        answer = await site.ask("/required")

    assert (answer.status_code, answer.json()) == (401, REQUIRED)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_whoever_the_application_does_not_know_is_nobody():
    async def authenticate(request: AuthRequest, claims: Claims | None) -> None:
        return None

    async with serving(authenticate=authenticate) as site:
        anonymous, optional = await site.ask("/required"), await site.ask("/optional")
        known = await site.ask("/optional", token())

    assert (anonymous.status_code, anonymous.json()) == (401, REQUIRED)
    assert (optional.status_code, optional.json()) == (200, None)
    assert (known.status_code, known.json()) == (401, REFUSED)


@pytest.mark.parametrize("hostile", AT_EVERY_DOOR, ids=str)
async def test_a_bad_token_is_refused_without_a_word_on_why(hostile: Hostile, logged: Callable[[], str]):
    async with serving(store=Failing()) as site:
        answers = [await site.ask(path, hostile.token) for path in ("/optional", "/required")]

    for answer in answers:
        assert (answer.status_code, answer.json()) == (401, REFUSED)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "not let in: " in logged()
    assert len(hostile.token) < 20 or hostile.token not in logged()


@pytest.mark.parametrize("path", ["/optional", "/required"])
@pytest.mark.parametrize(
    "authorization",
    ["Bearer", "Bearer ", f"Bearer {token()}, Bearer {token()}"],
    ids=["bearer", "bearer and a space", "two at once"],
)
async def test_who_means_to_be_somebody_is_not_taken_for_nobody(path: str, authorization: str):
    async with serving(store=Failing()) as site:
        answer = await site.http.post(path, headers={"Authorization": authorization})
        twice = await site.http.post(path, headers=[("Authorization", f"Bearer {token()}")] * 2)

    assert (answer.status_code, answer.json()) == (401, REFUSED)
    assert (twice.status_code, twice.json()) == (401, REFUSED)


async def test_another_scheme_is_none_of_ours():
    async with serving() as site:
        headers = {"Authorization": "Basic YW5uOnNlY3JldA=="}
        optional = await site.http.post("/optional", headers=headers)
        required = await site.http.post("/required", headers=headers)

    assert (optional.json(), required.json()) == (None, REQUIRED)


async def test_a_step_with_a_token_of_its_own_gets_it_and_nobody_else_looks_at_it():
    async def webhook(context: Context, request: Request) -> list[Any]:
        return [context.auth, request.headers["Authorization"]]

    async with serving(step(webhook, http("POST", "/hook", auth="none")), store=Failing()) as site:
        answers = [await site.ask("/hook", each) for each in ("sk_live_1", token())]

    assert answers[0].json() == [None, "Bearer sk_live_1"]
    assert answers[1].json()[0] is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"text": 7}', b"[]", b"x" * 100_000])
async def test_who_is_not_let_in_is_told_nothing_of_its_body(content: bytes):
    async def strict(body: Note) -> None: ...

    both = step(strict, http("POST", "/notes", auth="required"), http("POST", "/open/{number}"))
    async with serving(both) as site:
        nobody = await site.ask("/notes", content=content)
        bad = await site.ask("/open/x", "bad", content=content)
        known = await site.ask("/notes", token(), content=content)

    assert (nobody.status_code, bad.status_code, known.status_code) == (401, 401, 422)


async def test_the_body_of_who_is_not_let_in_is_not_even_waited_for():
    async def strict(body: Note) -> None: ...

    async def receive() -> Message:
        raise AssertionError("the body was asked for")

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    application = Application(Path(), (), (step(strict, http("POST", "/notes", auth="required")),))
    app = functions_app(application, Failing())
    scope = {"type": "http", "method": "POST", "path": "/notes", "query_string": b"", "headers": []}

    await app(scope, receive, send)

    assert sent[0]["status"] == 401


async def test_a_step_is_behind_the_door_also_when_its_handler_takes_no_context():
    def plain() -> str:
        return "done"

    async with serving(step(plain, http("POST", "/plain", auth="required"))) as site:
        assert (await site.ask("/plain")).status_code == 401
        assert (await site.ask("/plain", token())).json() == "done"


async def test_the_application_is_asked_once_for_each_request():
    asked = []

    async def authenticate(request: AuthRequest, claims: Claims | None) -> Any:
        asked.append(claims)
        return {"n": len(asked)}

    async def twice(one: Context, another: Context) -> list[Any]:
        return [one.auth, another.auth]

    async with serving(step(twice, http("POST", "/twice")), authenticate=authenticate) as site:
        assert (await site.ask("/twice", token())).json() == [{"n": 1}, {"n": 1}]
        assert (await site.ask("/twice")).json() == [{"n": 2}, {"n": 2}]

    assert len(asked) == 2


async def write(body: Note, context: Context) -> None:
    await context.streams.note.set(context.auth["tenant"], "1", body)


async def test_each_of_two_tenants_writes_where_its_token_says():
    store = MemoryStore([STREAM, "note"])
    async with serving(step(write, http("POST", "/notes", auth="required")), store=store) as site:
        for tenant in ("acme", "umbrella"):
            answer = await site.ask("/notes", token(tenant=tenant), json={"text": tenant})
            assert answer.status_code == 200

    assert await store.list_groups("note") == ["acme", "umbrella"]
    for tenant in ("acme", "umbrella"):
        (item,) = await store.get_group("note", tenant)
        assert item.value == b'{"text":"%s"}' % tenant.encode()


async def test_requests_that_run_at_once_keep_their_callers_apart():
    both_in = asyncio.Barrier(2)

    async def meet(context: Context) -> str:
        before = context.auth.sub
        await both_in.wait()
        return f"{before} {context.auth.sub}"

    async with serving(step(meet, http("POST", "/meet", auth="required"))) as site, asyncio.timeout(SECONDS):
        answers = await asyncio.gather(*(site.ask("/meet", token(sub)) for sub in ("ann", "bob")))

    assert [answer.json() for answer in answers] == ["ann ann", "bob bob"]


async def test_a_revoked_token_runs_no_step_except_where_nobody_looks_at_it():
    store = MemoryStore([STREAM, "note"])
    await revoke(store, Revocation("ann", None, None, time.time() - 5))
    old = token(made=time.time() - 10)

    async with serving(store=store) as site:
        answers = [await site.ask(path, old) for path in ("/optional", "/required", "/none")]
        fresh = await site.ask("/required", token())

    assert [answer.status_code for answer in answers] == [401, 401, 200]
    assert answers[0].json()["code"] == "TOKEN_REVOKED"
    assert fresh.status_code == 200


async def test_while_nats_is_away_a_token_is_neither_good_nor_bad(logged: Callable[[], str]):
    async with serving(store=Failing(StoreUnavailable("NATS at nats://10.0.0.7:4222 is away"))) as site:
        known, anonymous = await site.ask("/optional", token()), await site.ask("/optional")

    assert (known.status_code, known.json()["code"]) == (503, "AUTH_UNAVAILABLE")
    assert known.headers["Retry-After"] == "1"
    assert "nats://" not in known.text
    assert "nats://10.0.0.7:4222 is away code=AUTH_UNAVAILABLE path=/optional" in logged()
    assert (anonymous.status_code, anonymous.json()) == (200, None)


async def test_what_the_application_raises_is_in_the_log_alone(logged: Callable[[], str]):
    async def authenticate(request: AuthRequest, claims: Claims | None) -> Any:
        raise RuntimeError("the database of users is at 10.0.0.9")

    good = token()
    async with serving(authenticate=authenticate) as site:
        answer = await site.ask("/optional", good)

    assert (answer.status_code, answer.json()) == (401, REFUSED)
    assert "10.0.0.9" in logged()
    assert good not in logged()


async def test_where_nothing_says_who_somebody_is_every_token_is_refused():
    app = functions_app(Application(Path(), (note,), (WHOAMI,)), Failing())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        site = Site(client)
        answers = [await site.ask(path, token()) for path in ("/optional", "/required", "/none")]
        anonymous = [await site.ask(path) for path in ("/optional", "/required", "/none")]

    assert [answer.status_code for answer in answers] == [401, 401, 200]
    assert [answer.status_code for answer in anonymous] == [200, 401, 200]


async def test_the_document_says_which_steps_take_tokens():
    async with serving() as site:
        document = (await site.http.get("/openapi.json")).json()

    (scheme,) = document["components"]["securitySchemes"].values()
    security = {path: routes["post"].get("security") for path, routes in document["paths"].items()}
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert security == {"/optional": [{"bearer": []}, {}], "/required": [{"bearer": []}], "/none": None}
    assert "401" in document["paths"]["/required"]["post"]["responses"]
    assert "401" not in document["paths"]["/none"]["post"]["responses"]
