"""`streams resources` as an operator uses it: a process, a port, a token."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.cli.typed import Typed
from tests.core.written_app import App
from tests.dev.commands import Command, free_port, running

TOKEN = "0123456789abcdef0123456789abcdef"
MINE = {"Authorization": f"Bearer {TOKEN}"}


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

        todo = Stream("todo", Todo)
        """,
    )
    return app


@asynccontextmanager
async def serving(
    todo: Typed, app: App, monkeypatch: pytest.MonkeyPatch, *options: str
) -> AsyncIterator[tuple[httpx.AsyncClient, Command]]:
    for name, value in {**todo.env, "STREAMS_OPERATOR_TOKEN": TOKEN}.items():
        monkeypatch.setenv(name, value)
    port = free_port()
    async with (
        running(
            "resources", app.folder.name, "--port", str(port), *options, cwd=app.folder.parent
        ) as command,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
    ):
        await command.says("1 stream at http://127.0.0.1")
        yield http, command


async def test_the_operator_reads_and_writes_items_and_nobody_else_does(
    todo: Typed, app_with_todo: App, monkeypatch: pytest.MonkeyPatch
):
    async with serving(todo, app_with_todo, monkeypatch) as (http, command):
        put = await http.put("/streams/todo/inbox/1", json={"id": "1", "text": "call mum"}, headers=MINE)
        bad = await http.put("/streams/todo/inbox/1", json={"id": "1"}, headers=MINE)
        foreign = await http.get("/streams/todo/inbox")
        command.process.send_signal(signal.SIGTERM)

        assert (put.status_code, bad.status_code, foreign.status_code) == (201, 422, 401)
        assert await command.ends() == 0
    assert (await todo.run("get", "todo", "inbox", "1")).document == {"id": "1", "text": "call mum"}


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


def test_a_port_that_is_taken_is_named(todo: Typed, app_with_todo: App):
    port = int(os.path.basename(todo.env["STREAMS_NATS_URL"]).rpartition(":")[2])

    said = todo("resources", app_with_todo.folder, "--port", port, STREAMS_OPERATOR_TOKEN=TOKEN)

    assert f"127.0.0.1:{port} cannot be listened on" in said.refusal


def test_an_origin_that_is_none_is_refused(todo: Typed, app_with_todo: App):
    said = todo("resources", app_with_todo.folder, "--origin", "*", STREAMS_OPERATOR_TOKEN=TOKEN)

    assert "is not the origin of a page" in said.refusal
