"""`streams resources` as an operator uses it: a process, a port, a token."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.auth.issued import AUDIENCE, ISSUER, SECRET
from tests.cli.typed import Typed
from tests.core.written_app import App
from tests.dev.commands import Command, free_port, running
from tests.tokens import token

TOKEN = "0123456789abcdef0123456789abcdef"
MINE = {"Authorization": f"Bearer {TOKEN}"}
WHOSE = ("--issuer", ISSUER, "--audience", AUDIENCE)


def of(tenant: str, **more: float) -> dict[str, str]:
    """The headers of somebody of a tenant."""
    return {"Authorization": f"Bearer {token(tenant=tenant, **more)}"}


@pytest.fixture
def app_with_todo(app: App) -> App:
    app.write(
        "todo_stream.py",
        """
        from pydantic import BaseModel
        from streams import Stream

        class Todo(BaseModel):
            id: str
            text: str

        async def of_tenant(subscription, context):
            return context is not None and context["tenant"] == subscription.group

        todo = Stream("todo", Todo, public=True)
        private = Stream("private", dict, can_access=of_tenant)
        """,
    )
    return app


@asynccontextmanager
async def serving(
    todo: Typed, app: App, monkeypatch: pytest.MonkeyPatch, *options: str
) -> AsyncIterator[tuple[httpx.AsyncClient, Command]]:
    for name, value in {**todo.env, "STREAMS_OPERATOR_TOKEN": TOKEN, "STREAMS_JWT_SECRET": SECRET}.items():
        monkeypatch.setenv(name, value)
    assert (await todo.inside("provision", str(app.folder))).code == 0
    port = free_port()
    async with (
        running(
            "resources", app.folder.name, "--port", str(port), *WHOSE, *options, cwd=app.folder.parent
        ) as command,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
    ):
        await command.says("2 streams at http://127.0.0.1")
        yield http, command


async def test_the_operator_writes_items_and_nobody_else_does(
    todo: Typed, app_with_todo: App, monkeypatch: pytest.MonkeyPatch
):
    async with serving(todo, app_with_todo, monkeypatch) as (http, command):
        put = await http.put("/streams/todo/inbox/1", json={"id": "1", "text": "call mum"}, headers=MINE)
        bad = await http.put("/streams/todo/inbox/1", json={"id": "1"}, headers=MINE)
        foreign = await http.put("/streams/todo/inbox/1", json={"id": "1", "text": "x"}, headers=of("acme"))
        read = await http.get("/streams/todo/inbox")
        command.process.send_signal(signal.SIGTERM)

        assert (put.status_code, bad.status_code, foreign.status_code) == (201, 422, 401)
        assert read.json() == [{"id": "1", "text": "call mum"}]
        assert await command.ends() == 0
    assert (await todo.inside("get", "todo", "inbox", "1")).document == {"id": "1", "text": "call mum"}


async def test_items_are_read_by_those_whom_the_rule_of_their_stream_lets(
    todo: Typed, app_with_todo: App, monkeypatch: pytest.MonkeyPatch
):
    async with serving(todo, app_with_todo, monkeypatch) as (http, command):
        await http.put("/streams/private/acme/1", json={"text": "ours"}, headers=MINE)
        acme, umbrella, nobody, expired = [
            await http.get("/streams/private/acme", headers=headers)
            for headers in (of("acme"), of("umbrella"), {}, of("acme", made=time.time() - 90, lasts=60))
        ]
        command.process.send_signal(signal.SIGTERM)

        assert acme.json() == [{"id": "1", "text": "ours"}]
        assert [answer.status_code for answer in (umbrella, nobody, expired)] == [403, 401, 401]
        assert await command.ends() == 0


async def test_a_user_who_is_revoked_reads_nothing(
    todo: Typed, app_with_todo: App, monkeypatch: pytest.MonkeyPatch
):
    async with serving(todo, app_with_todo, monkeypatch) as (http, _):
        before = await http.get("/streams/private/acme", headers=of("acme"))
        assert (await todo.inside("revoke", "--sub", "ann")).code == 0
        after = await http.get("/streams/private/acme", headers=of("acme"))

    assert (before.status_code, after.status_code) == (200, 401)
    assert after.json()["code"] == "TOKEN_REVOKED"


async def test_pages_of_named_origins_may_ask_and_others_may_not_read_the_answer(
    todo: Typed, app_with_todo: App, monkeypatch: pytest.MonkeyPatch
):
    async with serving(todo, app_with_todo, monkeypatch, "--origin", "https://app.example.com") as (http, _):
        asked = {
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "authorization,if-match",
        }
        named = await http.options(
            "/streams/todo/inbox/1", headers={**asked, "Origin": "https://app.example.com"}
        )
        other = await http.get("/streams", headers={**MINE, "Origin": "https://evil.example"})

        assert named.status_code == 200
        assert named.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
        assert "Access-Control-Allow-Origin" not in other.headers


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        ("", "STREAMS_OPERATOR_TOKEN is not set"),
        ("secret", "the operator token has 6 bytes, and 16 is the least"),
    ],
)
def test_without_a_token_that_keeps_others_out_nothing_is_served(
    todo: Typed, app_with_todo: App, token: str, sentence: str
):
    said = todo("resources", app_with_todo.folder, STREAMS_OPERATOR_TOKEN=token)

    assert sentence in said.refusal
    assert "secret" not in said.refusal


def test_tokens_of_nobody_in_particular_are_not_accepted(todo: Typed, app_with_todo: App):
    env = {"STREAMS_OPERATOR_TOKEN": TOKEN, "STREAMS_JWT_SECRET": SECRET}

    assert "nobody says who makes the tokens" in todo("resources", app_with_todo.folder, **env).refusal
    said = todo("resources", app_with_todo.folder, "--issuer", ISSUER, **env)
    assert "nobody says for whom the tokens are made" in said.refusal


def test_a_port_that_is_taken_is_named(todo: Typed, app_with_todo: App):
    port = int(os.path.basename(todo.env["STREAMS_NATS_URL"]).rpartition(":")[2])

    said = todo("resources", app_with_todo.folder, "--port", port, STREAMS_OPERATOR_TOKEN=TOKEN)

    assert f"127.0.0.1:{port} cannot be listened on" in said.refusal


def test_an_origin_that_is_none_is_refused(todo: Typed, app_with_todo: App):
    said = todo("resources", app_with_todo.folder, "--origin", "*", STREAMS_OPERATOR_TOKEN=TOKEN)

    assert "is not the origin of a page" in said.refusal
