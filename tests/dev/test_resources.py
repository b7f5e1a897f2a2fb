"""Items over HTTP as `streams dev` serves them, and who may ask for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from tests.browser import SECONDS, Browser
from tests.dev.commands import Dev, developing, free_port, running
from tests.dev.todo_app import copied_to
from tests.dev.todo_app import project as project

PREVIEW = "https://pr-17.preview.example.com"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dev]:
    """`streams dev` with an origin that it lets in, for the tests that save no file."""
    project = copied_to(tmp_path_factory.mktemp("todos"))
    async with developing(project, "--origin", "https://*.preview.example.com") as dev:
        yield dev


async def status_of(dev: Dev, request_line: str) -> int:
    """Send a request line that no library would send as it is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", dev.port)
    writer.write(f"{request_line} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(SECONDS):
        answer = await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1])


async def test_items_of_every_name_are_served_beside_the_steps_and_seen_by_who_watches(
    dev: Dev, opened: AsyncExitStack
):
    async with httpx.AsyncClient(base_url=dev.url) as http:
        tab = await Browser(dev.socket_url, opened).join("todo", "a/b")
        item = {"id": "..", "description": "call mum", "created_at": "2026-01-01T00:00:00Z"}

        put = await http.put("/streams/todo/a%2Fb", params={"id": ".."}, json=item)

        assert put.status_code == 201
        assert (await tab.next_event())["data"]["id"] == ".."
        assert await status_of(dev, "GET /streams/todo/a%2Fb/..") == 200
        assert await status_of(dev, "GET /streams/todo/a%2Fb/%2e%2E") == 200
        assert await status_of(dev, "GET /streams/todo/a/b/..") == 404
        assert (await http.get("/todos")).json() == []
        assert (await http.get("/streams")).json()[0]["schema"]["title"] == "Todo"


async def test_a_page_on_another_port_may_read_write_and_see_the_tag(dev: Dev):
    page = {"Origin": "http://localhost:5173"}
    async with httpx.AsyncClient(base_url=dev.url, headers=page) as http:
        asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "if-match"}
        preflight = await http.options("/streams/todo/inbox/1", headers=asked)
        answer = await http.get("/streams/todo/inbox")

        assert preflight.status_code == 200
        assert "PUT" in preflight.headers["Access-Control-Allow-Methods"]
        assert preflight.headers["Access-Control-Allow-Headers"] == "if-match"
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
        assert "Origin" in answer.headers["Vary"]


async def test_a_page_of_a_named_origin_may_talk_to_it_and_of_no_other(dev: Dev, opened: AsyncExitStack):
    async with httpx.AsyncClient(base_url=dev.url) as http:
        browser = Browser(dev.socket_url, opened)
        named = await http.get("/streams/todo/inbox", headers={"Origin": PREVIEW})
        other = await http.get("/streams/todo/inbox", headers={"Origin": "https://evil.example"})

        await browser.open(origin=PREVIEW)
        assert (named.status_code, other.status_code) == (200, 403)
        assert named.headers["Access-Control-Allow-Origin"] == PREVIEW
        assert other.json()["code"] == "ORIGIN_REFUSED"
        with pytest.raises(InvalidStatus):
            await browser.open(origin="https://evil.example")


async def test_an_origin_that_is_none_is_refused_before_anything_starts(project: Path):
    async with running("dev", "functions", "--port", str(free_port()), "--origin", "*", cwd=project) as dev:
        await dev.says("is not the origin of a page")
        assert await dev.ends() == 1


async def test_items_say_in_their_own_shape_why_they_cannot_be_served(project: Path):
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        (project / "functions/todo/todo_stream.py").write_text("todo =\n")
        await dev.command.says("Save a file to try again")

        answer = await http.get("/streams/todo/inbox")

        assert (answer.status_code, answer.json()["code"]) == (500, "FUNCTIONS_BROKEN")
        assert "todo_stream.py:1" in answer.json()["error"]
