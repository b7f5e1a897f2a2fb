"""`streams new` makes a project that runs, tests itself and passes the linters, or nothing at all."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import streams.cli.new as new
from tests.browser import SECONDS
from tests.cli.typed import Typed
from tests.dev.commands import REPOSITORY, STREAMS

streams = Typed("nats://127.0.0.1:1", "streams")
"""Types commands. There is no server, and none is needed."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def hello(place: Path) -> Path:
    """A project that was made a moment ago."""
    assert streams("new", "hello").code == 0
    return place / "hello"


@pytest.fixture
def read_only(place: Path) -> Iterator[Path]:
    """A current folder where this process may not write."""
    place.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield place
    if is_root:
        os.seteuid(0)
    place.chmod(0o755)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def run(program: str, *arguments: str, cwd: Path) -> str:
    """What a program that is installed beside this Python says. It must be content."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name(program)),
        *arguments,
        cwd=cwd,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(5 * SECONDS):
        said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said
    return said


def test_a_new_project_is_six_files_and_the_next_commands_are_printed(place: Path):
    said = streams("new", "hello")

    assert files(place / "hello") == {
        "pyproject.toml",
        "test_poll.py",
        "functions/__init__.py",
        "functions/poll/choice_stream.py",
        "functions/poll/vote_step.py",
        "functions/poll/web/index.html",
    }
    assert os.listdir(place) == ["hello"]
    assert [line.split("  ")[1] for line in said.lines[2:]] == ["cd hello", "streams dev", "pytest"]


def test_the_project_has_its_name_everywhere(place: Path):
    streams("new", "Lunch-2_go")

    text = {path: (place / "Lunch-2_go" / path).read_text() for path in files(place / "Lunch-2_go")}

    assert 'name = "Lunch-2_go"' in text["pyproject.toml"]
    assert "<title>Lunch-2_go</title>" in text["functions/poll/web/index.html"]
    assert not [path for path in text if "PROJECT" in text[path]]


def test_every_file_that_is_shipped_is_written():
    starter = Path(new.__file__).with_name("starter")

    assert files(starter) == {f"{path}.txt" for path in new.STARTER}


async def test_its_test_passes_with_plain_pytest(hello: Path):
    assert "2 passed" in await run("pytest", cwd=hello)


async def test_its_files_have_no_problem(hello: Path):
    assert await run("streams", "check", cwd=hello) == (
        "stream  choice  public\nstep    POST /votes  Vote  poll/vote_step.py\n"
    )


async def test_it_passes_ruff_as_this_library_does(hello: Path):
    settings = ("--no-cache", "--config", str(REPOSITORY / "pyproject.toml"), ".")

    assert "All checks passed" in await run("ruff", "check", *settings, cwd=hello)
    assert "already formatted" in await run("ruff", "format", "--check", *settings, cwd=hello)


async def test_it_is_typed_strictly(hello: Path):
    assert "no issues found in 4 source files" in await run("mypy", "--strict", ".", cwd=hello)


def test_its_page_needs_nothing_from_elsewhere(hello: Path):
    page = (hello / "functions/poll/web/index.html").read_text()

    assert re.findall(r"https?://|(?:src|href)=(?!\"data:)", page) == []


@pytest.mark.parametrize("name", ["1st", "a b", "a/b", "../a", ".", "", "a.b", "-a-", "a-", "日本", "x" * 65])
def test_what_is_no_name_for_a_project_is_refused(place: Path, name: str):
    refusal = streams("new", "--", name).refusal

    assert refusal == (
        f"{name!r} is no name for a project: up to 64 letters, digits, - and _, "
        "beginning with a letter and ending with a letter or digit, as in `streams new hello`"
    )
    assert os.listdir(place) == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("class", "is a word of Python's own; choose another"),
        ("streams", "is the name of the library, which it would hide; choose another"),
    ],
)
def test_a_name_that_means_something_else_is_refused(place: Path, name: str, problem: str):
    assert streams("new", name).refusal == f"{name!r} {problem}, as in `streams new hello`"


def test_a_folder_with_something_in_it_stays_as_it_is(place: Path):
    (place / "hello").mkdir()
    (place / "hello" / "pyproject.toml").write_text("mine")

    refusal = streams("new", "hello").refusal

    assert refusal.startswith("hello was not made: it is there already, and no empty folder")
    assert files(place) == {"hello/pyproject.toml"}
    assert (place / "hello" / "pyproject.toml").read_text() == "mine"
    assert os.listdir(place) == ["hello"]


def test_a_file_of_that_name_stays_as_it_is(place: Path):
    (place / "hello").write_text("mine")

    assert streams("new", "hello").refusal.startswith("hello was not made: it is there already")
    assert (place / "hello").read_text() == "mine"


def test_an_empty_folder_is_filled(place: Path):
    (place / "hello").mkdir()

    assert streams("new", "hello").code == 0
    assert files(place / "hello") == set(new.STARTER)


def test_where_nothing_may_be_written_it_says_so(read_only: Path):
    assert streams("new", "hello").refusal == (
        "hello was not made: Permission denied; go to a folder where it can be written"
    )


async def test_when_writing_fails_half_way_nothing_is_left(place: Path):
    process = await asyncio.create_subprocess_exec(
        str(STREAMS),
        "new",
        "hello",
        cwd=place,
        stderr=asyncio.subprocess.PIPE,
        # The page is larger than what this process may write; the files before it are not.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    async with asyncio.timeout(2 * SECONDS):
        _, err = await process.communicate()

    assert (process.returncode, os.listdir(place)) == (1, [])
    assert err.decode().startswith("hello was not made: File too large;")
