"""The README's examples run as they are printed."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from streams.dev.nats_server import NatsServer
from streams.jetstream.bucket import provision
from streams.jetstream.connection import Connection
from streams.keys import Namespace
from tests.browser import SECONDS

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
SHELL_BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the files that the README tells to write."""
    for block in BLOCKS:
        if named := re.match(r"# (functions/\S+\.py)\n", block):
            path = tmp_path / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block)
    # This repository has a package `functions` too; the reader's own must come first here.
    (tmp_path / "functions/__init__.py").touch()
    return tmp_path


async def python(*arguments: str, cwd: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(3 * SECONDS):
        said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said
    return said


def the_block_with(text: str) -> str:
    (found,) = [block for block in BLOCKS if text in block]
    return found


async def test_the_test_of_the_tour_passes(project: Path):
    (project / "test_tour.py").write_text(the_block_with("async def test_"))

    said = await python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", cwd=project
    )

    assert "1 passed" in said


async def test_the_script_of_the_tour_runs(project: Path, nats: NatsServer, connection: Connection):
    await provision(connection, Namespace(), "message")
    script = the_block_with("streams.connected").replace("nats://127.0.0.1:4222", nats.url)

    said = await python("-c", script, cwd=project)

    assert said == "[]\n"


async def test_the_growing_answer_of_the_tour_is_stored(project: Path):
    script = (
        the_block_with("message.writer(")
        + """
import asyncio
from streams import bound_to
from streams.memory import MemoryStore

async def tokens():
    for token in ("to", "be", "continued"):
        yield token

async def main():
    with bound_to(MemoryStore()):
        await answer("lobby", "1", tokens())
        print((await message.get("lobby", "1")).text)

asyncio.run(main())
"""
    )

    assert await python("-c", script, cwd=project) == "tobecontinued\n"


async def test_the_shell_commands_of_the_tour_work(
    project: Path, nats: NatsServer, connection: Connection, namespace: Namespace
):
    block = next(block for block in SHELL_BLOCKS if "streams set" in block)
    commands = [shlex.split(line)[1:] for line in block.splitlines() if line.startswith("streams ")]
    where = ["--nats", nats.url, "--namespace", namespace.name]
    for stream in ("todo", "message"):
        await provision(connection, namespace, stream)

    listed, _, updated, got = [
        await python("-m", "streams", *command, *where, cwd=project) for command in commands
    ]

    assert "hello" not in listed
    assert "is updated" in updated
    assert json.loads(got)["value"] == {"id": "1", "author": "ann", "text": "hello!"}
    assert json.loads(got)["expires_at"] is not None


async def test_the_steps_of_the_tour_are_found(project: Path):
    script = (
        "from pathlib import Path\nfrom streams.discovery import discover\n"
        "found = discover(Path('functions'))\n"
        "print([s.name for s in found.streams], [str(t) for s in found.steps for t in s.config.triggers])"
    )

    assert await python("-c", script, cwd=project) == "['message', 'room'] ['POST /rooms/{room}/messages']\n"


async def test_the_types_of_the_tour_are_those_that_are_printed(project: Path):
    written = await python("-m", "streams", "types", cwd=project)

    (printed,) = re.findall(r"^```ts\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    for declaration in printed.strip().split("\n\n"):
        assert f"\n{declaration}\n" in written


def test_every_folder_and_file_that_the_readme_names_exists():
    named = re.findall(r"\]\((?!http)([^)]+)\)", README)
    tree = README.split("## Where things are")[1]
    folders = re.findall(r"^(\w+/)", tree, re.MULTILINE)
    inner = re.findall(r"(?:^  |  )(\w+/)  ", tree, re.MULTILINE)

    assert named
    assert len(folders) == 6
    for name in [*named, *folders]:
        assert (REPOSITORY / name).exists(), name
    for name in inner:
        assert (REPOSITORY / "streams" / name).exists() or (REPOSITORY / name).exists(), name
