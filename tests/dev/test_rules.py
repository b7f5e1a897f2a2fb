"""The rules of an application in another process, as a gateway asks for them."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

import streams.dev.rules
from streams.access import AuthRequest, Claims, StreamAuth, Subscription
from streams.auth.configuration import TokenSettings
from streams.auth.rules import OwnRules
from streams.dev.answering import rules_app
from streams.dev.handover import Handover, in_one_line, of_line
from streams.dev.rules import AskedContext, in_json
from streams.errors import NotLetIn
from streams.jetstream.credentials import Credentials, Server
from streams.stream import Stream
from tests.core.written_app import App
from tests.dev.asked import ANN, BOB, OPEN_STREAM, OWN_ROOM, REQUEST, WHO, Asked
from tests.dev.asked import app as app
from tests.dev.asked import asked as asked


async def test_a_rule_is_told_what_authenticate_made_of_the_caller(app: App, asked: Asked):
    app.write("stream_auth.py", WHO)
    app.write("room_stream.py", OWN_ROOM)
    _, rules = await asked.load()

    ann, bob = await rules.context(REQUEST, ANN), await rules.context(REQUEST, BOB)

    assert rules.is_guarded("room") is True
    assert await rules.may_see(ann, Subscription("room", "ann"))
    assert not await rules.may_see(bob, Subscription("room", "ann"))
    assert await rules.may_see(bob, Subscription("room", "bob", "1"))


async def test_authenticate_sees_the_request_as_it_came(app: App, asked: Asked):
    app.write(
        "stream_auth.py",
        r"""
        from streams import AuthRequest, Claims

        def authenticate(request, claims):
            assert request == AuthRequest(
                "websocket", "/caf\udce9", {"q": "日本"}, {"x-name": "caf\udce9"}, "10.0.0.1"
            )
            assert isinstance(claims, Claims)
            assert dict(claims) == {"sub": "ann", "iat": 1, "exp": 2, "roles": ["a", {"b": None}]}
            return "somebody"
        """,
    )
    _, rules = await asked.load()
    claims = Claims({"sub": "ann", "iat": 1, "exp": 2, "roles": ["a", {"b": None}]})

    path, query, headers = "/caf\udce9", {"q": "日本"}, {"x-name": "caf\udce9"}
    await rules.context(AuthRequest("websocket", path, query, headers, "10.0.0.1"), claims)


async def test_whom_authenticate_does_not_let_in_is_refused_with_its_code_and_reason(app: App, asked: Asked):
    app.write(
        "stream_auth.py", "async def authenticate(request, claims):\n    raise ValueError('not today')\n"
    )
    _, rules = await asked.load()

    with pytest.raises(NotLetIn) as refused:
        await rules.context(REQUEST, ANN)

    assert refused.value.code == "TOKEN_REFUSED"
    assert "ValueError: not today" in refused.value.reason


async def test_a_rule_that_fails_is_a_no(app: App, asked: Asked):
    app.write(
        "room_stream.py",
        """
        from streams import Stream

        def can_access(subscription, context):
            raise ValueError("out of order")

        room = Stream("room", dict, can_access=can_access)
        """,
    )
    _, rules = await asked.load()

    assert not await rules.may_see(await rules.context(REQUEST, None), Subscription("room", "a"))


async def test_only_streams_with_a_can_send_are_asked_who_may_send(app: App, asked: Asked):
    app.write("news_stream.py", OPEN_STREAM)
    app.write(
        "room_stream.py",
        """
        from streams import Stream

        def can_send(subscription, context):
            return context is not None and context.sub == subscription.group

        room = Stream("room", dict, can_send=can_send)
        """,
    )
    _, rules = await asked.load()
    ann = await rules.context(REQUEST, ANN)

    assert await rules.may_send(ann, Subscription("room", "ann"))
    assert not await rules.may_send(ann, Subscription("room", "bob"))
    assert not await rules.may_send(ann, Subscription("news", "ann"))
    assert rules.is_guarded("room") is False


async def test_an_application_without_rules_is_asked_nothing(
    app: App, asked: Asked, caplog: pytest.LogCaptureFixture
):
    app.write("news_stream.py", OPEN_STREAM)
    functions, rules = await asked.load()
    client, _ = await functions.rules()
    await client.aclose()

    context = await rules.context(REQUEST, None)

    assert (rules.is_guarded("news"), rules.is_guarded("other")) == (False, None)
    assert not await rules.may_send(context, Subscription("news", "a"))
    assert "taken to say no" not in caplog.text


@pytest.mark.parametrize(
    ("end", "reason"),
    [("os._exit(3)", "no answer"), ("os.kill(os.getpid(), signal.SIGSTOP)", "within 0.5 s")],
)
async def test_functions_that_do_not_answer_are_a_no(
    app: App,
    asked: Asked,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    end: str,
    reason: str,
):
    monkeypatch.setattr(streams.dev.rules, "ANSWER_SECONDS", 0.5)
    app.write(
        "room_stream.py",
        f"""
        import os, signal
        from streams import Stream

        def can_access(subscription, context):
            {end}

        room = Stream("room", dict, can_access=can_access)
        """,
    )
    _, rules = await asked.load()
    context = await rules.context(REQUEST, None)

    assert not await rules.may_see(context, Subscription("room", "ann"))
    assert reason in caplog.text
    assert "room/ann" in caplog.text


async def test_requests_for_steps_never_reach_the_rules(app: App, asked: Asked):
    app.write("stream_auth.py", WHO)
    app.write("room_stream.py", OWN_ROOM)
    functions, _ = await asked.load()
    client = await functions.client()
    question = in_json(AskedContext(REQUEST, ANN), Subscription("room", "ann"))

    asked_there = [
        await client.post(path, content=question) for path in ("/may-see", "/context", "/may-send")
    ]

    assert [answer.status_code for answer in asked_there] == [404, 404, 404]


async def test_of_too_many_contexts_the_one_is_made_again_that_was_asked_about_longest_ago():
    asked: list[str] = []

    def authenticate(request: AuthRequest, claims: Claims | None) -> str:
        asked.append(request.path)
        return request.path

    def can_access(subscription: Subscription, context: str) -> bool:
        return subscription.group == context

    room, auth = Stream("room", dict, can_access=can_access), StreamAuth(authenticate, None, Path())
    first, second, third = (AskedContext(AuthRequest("websocket", path), ANN) for path in ("/1", "/2", "/3"))
    async with OwnRules.running([room], auth) as rules:
        transport = httpx.ASGITransport(rules_app(rules, contexts_kept=2))
        async with httpx.AsyncClient(transport=transport, base_url="http://functions") as client:
            for context in (first, second, first, third, first, second):
                about = Subscription("room", context.request.path)
                answer = await client.post("/may-see", content=in_json(context, about))
                assert answer.json() == {"yes": True}

    assert asked == ["/1", "/2", "/3", "/2"]


def test_what_is_handed_over_arrives_as_it_was():
    handover = Handover(
        Server("nats://127.0.0.1:4222", Credentials(user="ann", password="p")),
        TokenSettings(secret="s\udce9", issuer="i", audience=None, no_audience=True, leeway_seconds=1.5),
    )

    line = in_one_line(handover)

    assert of_line(line) == handover
    assert line.count(b"\n") == 1
