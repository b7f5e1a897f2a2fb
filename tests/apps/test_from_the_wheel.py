"""The first minutes of a newcomer: an empty folder, the wheel, three commands, and a page that is live."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, expect

from tests.browser import SECONDS
from tests.dev.commands import REPOSITORY, Command

INSTALL_SECONDS = 150.0
QUIETLY = ("-q", "--disable-pip-version-check", "--retries", "1")

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


class Newcomer:
    """Somebody with a fresh Python of their own, who types commands in a folder."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.folder, self._programs = folder, python.parent
        self.took: list[str] = []
        """What was timed, with its seconds."""

    async def types(self, *words: str, within: float = 2 * SECONDS) -> str:
        """What a command says, which must succeed. How long it took is noted."""
        began = time.perf_counter()
        process = await self._started(*words)
        try:
            said = (await asyncio.wait_for(process.communicate(), within))[0].decode()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
        skip_where_offline(said)
        assert process.returncode == 0, said
        self.notes(words, began)
        return said

    def notes(self, words: tuple[str, ...], began: float) -> None:
        self.took.append(f"{' '.join(words[:2])}: {time.perf_counter() - began:.1f} s")

    @asynccontextmanager
    async def runs(self, *words: str) -> AsyncIterator[Command]:
        """A command for the length of the block."""
        process = await self._started(*words)
        try:
            yield Command(process)
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await asyncio.wait_for(process.communicate(), SECONDS)

    async def _started(self, *words: str) -> Process:
        # Nothing of this repository's Python is known to them, only what they installed.
        theirs = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        theirs |= {"PATH": f"{self._programs}:{theirs['PATH']}", "COLUMNS": "200"}
        return await asyncio.create_subprocess_exec(
            *words, cwd=self.folder, env=theirs, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
        )


def skip_where_offline(said: str) -> None:
    """On a train, everything but this is tested. `STREAMS_TEST_ALL` takes no excuse."""
    if "connection broken by" in said and "STREAMS_TEST_ALL" not in os.environ:
        pytest.skip("the package index cannot be reached")


def done(*words: str | Path) -> None:
    process = subprocess.run(words, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    skip_where_offline(process.stdout + process.stderr)
    assert process.returncode == 0, process.stdout + process.stderr


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """What would be published now."""
    done(sys.executable, "-m", "pip", "wheel", *QUIETLY, "--no-deps", "-w", tmp_path / "wheels", REPOSITORY)
    (wheel,) = (tmp_path / "wheels").glob("*.whl")
    return wheel


@pytest.fixture
def ann(tmp_path: Path) -> Newcomer:
    """Somebody who has nothing but Python."""
    done(sys.executable, "-m", "venv", tmp_path / "venv")
    (tmp_path / "empty").mkdir()
    return Newcomer(tmp_path / "venv/bin/python", tmp_path / "empty")


async def test_from_an_empty_folder_to_a_live_page(ann: Newcomer, wheel: Path, chromium: Browser):
    pinned = str(REPOSITORY / "constraints.txt")
    await ann.types(
        "pip", "install", *QUIETLY, "-c", pinned, f"{wheel}[dev]", "pytest", within=INSTALL_SECONDS
    )
    await ann.types("streams", "new", "hello")
    ann.folder /= "hello"
    assert "2 passed" in await ann.types("pytest", ".")

    began = time.perf_counter()
    async with ann.runs("streams", "dev") as dev:
        url = re.search(r"http://[\d.:]+", await dev.says("Streams runs functions"))
        assert url is not None
        await dev.says("Ctrl-C ends everything")
        ann.notes(("streams", "dev"), began)
        page = await chromium.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(url[0])
        await expect(page.get_by_role("status")).to_have_text("Live")

        async with httpx.AsyncClient(base_url=url[0], trust_env=False) as http:
            await http.post("/votes", json={"choice": "Soup"})
            await http.post("/votes", json={"choice": "Soup"})
        await expect(page.get_by_role("listitem")).to_have_text(["Soup2"])

        await page.get_by_label("Your choice").fill("Ramen")
        await page.get_by_label("Your choice").press("Enter")
        await expect(page.get_by_role("listitem")).to_have_text(["Soup2", "Ramen1"])
        await page.get_by_role("button", name="Ramen").click()
        await expect(page.get_by_role("listitem")).to_have_text(["Soup2", "Ramen2"])
        await page.close()

    assert complaints == []
    print(*ann.took, sep="\n")
