"""What `streams dev` and `streams watch` do for those who use them, while no file is saved."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
import pytest_asyncio

from tests.browser import Browser
from tests.dev.commands import Dev, developing, free_port, running
from tests.dev.todo_app import copied_to

ECHO = """
from fastapi import Request
from fastapi.responses import StreamingResponse
from streams import StepConfig, http

config = StepConfig("Echo", [http("POST", "/echo/{name:path}")])

async def handler(name: str, q: str, request: Request):
    body = await request.body()

    async def parts():
        yield f"{name}?{q}:".encode()
        yield body

    return StreamingResponse(parts())
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dev]:
    """`streams dev` with the todo app and an echo, for all of these tests."""
    project = copied_to(tmp_path_factory.mktemp("todos"))
    (project / "functions/echo_step.py").write_text(ECHO)
    async with developing(project) as dev:
        yield dev


async def test_a_todo_posted_to_the_dev_server_is_printed_by_watch_with_its_update_and_delete(dev: Dev):
    async with (
        running("watch", "todo", "inbox", "--url", dev.socket_url, cwd=dev.folder) as watch,
        httpx.AsyncClient(base_url=dev.url) as http,
    ):
        await watch.says("todo/inbox  ")

        created = (await http.post("/todo", json={"description": "call mum"})).json()["new_value"]
        await http.patch(f"/todo/{created['id']}", json={"done": True})
        await http.delete(f"/todo/{created['id']}")

        assert "call mum" in await watch.says("create")
        assert '"completed_at":"2' in await watch.says("update")
        assert f"inbox/{created['id']}" in await watch.says("delete")


async def test_watch_prints_the_frames_byte_for_byte_when_asked_to(dev: Dev, opened: AsyncExitStack):
    async with (
        running("watch", "todo", "inbox", "--json", "--url", dev.socket_url, cwd=dev.folder) as watch,
        httpx.AsyncClient(base_url=dev.url) as http,
    ):
        await watch.says('"sync"')
        tab = await Browser(dev.socket_url, opened).join("todo", "inbox")

        await http.post("/todo", json={"description": "call mum"})

        assert (await watch.says('"create"')).rstrip("\n").encode() == await tab.next_frame()


async def test_watch_says_why_a_stream_cannot_be_watched(dev: Dev):
    async with running("watch", "todos", "inbox", "--url", dev.socket_url, cwd=dev.folder) as watch:
        await watch.says("there is no stream 'todos'")
        assert await watch.ends() == 1


async def test_a_store_in_use_is_named_with_a_way_out(dev: Dev):
    async with running("dev", "functions", "--port", str(free_port()), cwd=dev.folder) as second:
        await second.says("uses the store")
        assert await second.ends() == 1


async def test_other_sites_cannot_use_the_dev_server(dev: Dev):
    async with httpx.AsyncClient(base_url=dev.url) as http:
        body = {"description": "not mine"}

        rebound = await http.post("/todo", json=body, headers={"Host": "evil.example"})
        foreign = await http.post("/todo", json=body, headers={"Origin": "https://evil.example"})
        local = await http.options(
            "/todo", headers={"Origin": "http://localhost:5173", "Access-Control-Request-Method": "POST"}
        )

        assert (rebound.status_code, foreign.status_code, local.status_code) == (403, 403, 200)
        assert local.headers["access-control-allow-origin"] == "http://localhost:5173"
        assert "not mine" not in (await http.get("/todos")).text


async def test_a_large_body_and_a_streamed_answer_pass_through(dev: Dev):
    body = os.urandom(3_000_000)
    async with httpx.AsyncClient(base_url=dev.url) as http:
        answer = await http.post("/echo/a%2Fb%20c?q=%26x", content=body)

    assert answer.content == b"a/b c?&x:" + body
