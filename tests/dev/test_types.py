"""The types of a running folder."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.dev.commands import developing, running
from tests.dev.todo_app import project as project


async def test_the_types_are_served_as_the_files_are_now_and_as_the_command_prints_them(project: Path):
    stream = project / "functions/todo/todo_stream.py"
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        before = await http.get("/streams/types.ts")
        stream.write_text(stream.read_text().replace("    description: str\n", "    title: str\n"))
        await dev.command.says("functions started anew")
        after = await http.get("/streams/types.ts")

        assert (before.status_code, after.status_code) == (200, 200)
        assert before.headers["content-type"] == "text/plain; charset=utf-8"
        assert "  description: string;\n" in before.text
        assert "  title: string;\n" in after.text
        async with running("types", cwd=project) as types:
            assert await types.ends() == 0
        assert after.text == "".join(types.said)


async def test_no_more_than_reading_them_is_possible_and_streams_are_there_as_ever(project: Path):
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        head = await http.head("/streams/types.ts")
        put = await http.put("/streams/types.ts", json={})
        streams = await http.get("/streams/todo")

        assert (head.status_code, head.content) == (200, b"")
        assert put.status_code == 405
        assert streams.json()["name"] == "todo"


async def test_a_model_that_cannot_be_described_is_named_and_everything_else_goes_on(project: Path):
    (project / "functions/todo/job_stream.py").write_text(
        "from collections.abc import Callable\n"
        "from pydantic import BaseModel\n"
        "from streams import Stream\n"
        "class Job(BaseModel):\n"
        "    id: str\n"
        "    run: Callable[[], None]\n"
        "job = Stream('job', Job)\n"
    )
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        types = await http.get("/streams/types.ts")
        todos = await http.get("/todos")

        assert (types.status_code, types.json()["code"]) == (500, "TYPES_NOT_KNOWN")
        assert "job_stream.py:4: an item of stream 'job' cannot be described" in types.json()["error"]
        assert todos.json() == []
