"""Any folder can be developed: wherever it is, however it is spelled, and however it is laid out."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio

from tests.browser import SECONDS, Browser
from tests.dev.commands import STREAMS, Command, free_port, running

NOTE_STREAM = """
    from streams import Stream

    note = Stream("note", dict)
"""
NOTE_STEP = """
    from streams import Context, StepConfig, http

    config = StepConfig("Note", [http("POST", "/note")])

    async def handler(body: dict, context: Context):
        return await context.streams.note.set("g", "a", {**body, "by": "first"})
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one app. None of its folders is a package."""
    return with_notes(tmp_path)


def with_notes(folder: Path) -> Path:
    """A project in that folder, whose name needs care."""
    project = folder / "mein Projekt, 日本"
    write(project, "functions/notes/note_stream.py", NOTE_STREAM)
    write(project, "functions/notes/note_step.py", NOTE_STEP)
    write(project, "functions/notes/web/index.html", "the page")
    return project


def write(project: Path, path: str, text: str) -> Path:
    file = project / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(text).lstrip("\n"))
    return file


@dataclass
class Dev:
    """`streams dev`, ready, and a client of it."""

    command: Command
    http: httpx.AsyncClient
    socket_url: str


@asynccontextmanager
async def developing(*words: str, cwd: Path, port: int | None = None) -> AsyncIterator[Dev]:
    """`streams dev WORDS` on a free port, or on the one that it takes by itself (0)."""
    options = [] if port == 0 else ["--port", str(free_port())]
    async with running("dev", *words, *options, cwd=cwd) as command:
        line = await command.says("Streams runs")
        await command.says("Ctrl-C ends everything")
        found = re.search(r"http://[\d.:]+", line)
        assert found is not None, line
        async with httpx.AsyncClient(base_url=found[0], trust_env=False, timeout=SECONDS) as http:
            yield Dev(command, http, found[0].replace("http", "ws", 1) + "/")


@pytest.mark.parametrize(
    ("spelled", "place"),
    [
        (["."], "functions"),
        (["../functions"], "elsewhere"),
        (["{absolute}/"], "elsewhere"),
        (["../link"], "elsewhere"),
    ],
    ids=["dot", "relative", "absolute", "symlink"],
)
async def test_a_folder_may_be_anywhere_and_spelled_in_any_way(
    project: Path, spelled: list[str], place: str, opened
):
    (project / "elsewhere").mkdir()
    (project / "link").symlink_to(project / "functions")
    step = project / "functions/notes/note_step.py"
    words = [word.format(absolute=project / "functions") for word in spelled]

    async with developing(*words, cwd=project / place) as dev:
        tab = await Browser(dev.socket_url, opened).join("note", "g")
        await dev.http.post("/note", json={"text": "hello"})
        step.write_text(step.read_text().replace("first", "second"))
        await dev.command.says("functions started anew")
        await dev.http.post("/note", json={"text": "hello"})

        assert (await dev.http.get("/")).text == "the page"
        assert [(await tab.next_event())["data"]["by"] for _ in range(2)] == ["first", "second"]
    assert (project / place / ".streams/nats").is_dir()


async def test_streams_steps_and_page_may_be_in_the_folder_itself(project: Path, opened):
    write(project, "flat/note_stream.py", NOTE_STREAM)
    write(project, "flat/note_step.py", NOTE_STEP)
    write(project, "flat/web/index.html", "the flat page")

    async with developing("flat", cwd=project) as dev:
        tab = await Browser(dev.socket_url, opened).join("note", "g")
        await dev.http.post("/note", json={"text": "hello"})

        assert (await dev.http.get("/")).text == "the flat page"
        assert (await tab.next_event())["type"] == "create"


SIBLING_STEP = """
    from streams import Context, StepConfig, http
    {line}

    config = StepConfig("{name}", [http("GET", "/{name}")])

    async def handler(context: Context):
        return note is context.streams.note
"""
TITLED_STEP = """
    from streams import StepConfig, http

    config = StepConfig("Titled", [http("GET", "/titled/{name:path}")])

    async def handler(name: str):
        return name
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Where three apps are served that have steps, pages and siblings."""
    project = with_notes(tmp_path_factory.mktemp("folders"))
    for app, name, line in (
        ("notes", "relative", "from .note_stream import note"),
        ("notes", "absolute", "from functions.notes.note_stream import note"),
        ("other", "of_another_app", "from ..notes.note_stream import note"),
    ):
        write(project, f"functions/{app}/{name}_step.py", SIBLING_STEP.format(name=name, line=line))
    write(project, "functions/todos/web/index.html", "the second page")
    write(project, "functions/todos/web/style.css", "the second style")
    write(project, "functions/todos/secret.txt", "nobody's business")
    write(project, "functions/notes/titled_step.py", TITLED_STEP)
    write(project, "functions/titled/web/index.html", "a page beside it")
    async with developing(cwd=project) as dev:
        yield str(dev.http.base_url)


@pytest_asyncio.fixture
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=SECONDS) as http:
        yield http


async def test_steps_import_their_siblings_relatively_and_by_their_full_names(http: httpx.AsyncClient):
    answers = [(await http.get(f"/{name}")).json() for name in ("relative", "absolute", "of_another_app")]

    assert answers == [True, True, True]


async def test_each_of_several_pages_has_an_address(http: httpx.AsyncClient):
    pages = [(await http.get(path)).text for path in ("/", "/notes/", "/todos/", "/todos/style.css")]
    refused = [
        (await http.get(path)).status_code
        for path in ("/todos/%2e%2e/secret.txt", "/%2e%2e/todos/secret.txt", "/nobody/", "/style.css")
    ]
    posted = await http.post("/todos/")

    assert pages == ["the page", "the page", "the second page", "the second style"]
    assert [*refused, posted.status_code] == [404] * 5


async def test_names_that_no_file_can_have_reach_the_step(http: httpx.AsyncClient):
    names = ["x" * 256, "日" * 85, "a\0b", "/etc/passwd", "a//b"]

    answers = [(await http.get(f"/titled/{quote(name, safe='')}")).json() for name in names]

    assert answers == names


async def test_two_projects_run_side_by_side_and_share_nothing(project: Path, tmp_path: Path):
    for folder in ("one", "two"):
        write(tmp_path / folder, "functions/note_stream.py", NOTE_STREAM)
        write(tmp_path / folder, "functions/note_step.py", NOTE_STEP)
        write(
            tmp_path / folder,
            "functions/notes_step.py",
            """
            from streams import Context, StepConfig, http

            config = StepConfig("Notes", [http("GET", "/notes")])

            async def handler(context: Context):
                return await context.streams.note.get_group("g")
            """,
        )

    async with (
        developing(cwd=tmp_path / "one", port=0) as one,
        developing(cwd=tmp_path / "two", port=0) as two,
    ):
        await one.http.post("/note", json={"text": "hello"})

        assert one.http.base_url != two.http.base_url
        assert len((await one.http.get("/notes")).json()) == 1
        assert (await two.http.get("/notes")).json() == []


async def checked(folder: Path, **env: str) -> str:
    """What `streams check` says of a folder."""
    process = await asyncio.create_subprocess_exec(
        str(STREAMS), "check", str(folder), cwd=folder.parent, env={**os.environ, **env},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(2 * SECONDS):
        return (await process.communicate())[0].decode()


async def test_a_folder_is_found_though_a_package_of_its_name_is_installed(project: Path, tmp_path: Path):
    write(tmp_path, "installed/functions/__init__.py", "")

    said = await checked(project / "functions", PYTHONPATH=str(tmp_path / "installed"))

    assert said.startswith("stream  note  open to everybody\n")


async def test_a_folder_that_is_named_like_a_module_in_use_is_refused_with_a_way_out(project: Path):
    said = await checked((project / "functions").rename(project / "json"))

    assert re.search(r"note_stream\.py:1: another module is called 'json' \(.*\); rename the folder", said)
