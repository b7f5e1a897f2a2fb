"""The secret that tokens are signed with while an application is developed, and where neither is seen."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.browser import Browser
from tests.dev.commands import Dev, developing, free_port, running
from tests.dev.guarded_app import answer_to_join, bearer, opened_as, token, written
from tests.dev.guarded_app import project as project


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dev]:
    """`streams dev` with its data elsewhere, for the tests that only look."""
    async with developing(written(tmp_path_factory.mktemp("guarded")), "--data", "elsewhere/nats") as dev:
        yield dev


def test_the_screen_says_how_to_get_a_token(dev: Dev):
    assert re.search(r"token +streams token --sub ann *$", "".join(dev.command.said), re.MULTILINE)


async def test_the_secret_stands_where_no_one_commits_it_wherever_the_data_is(dev: Dev):
    ann = await token(dev.folder, "ann")

    assert (dev.folder / "elsewhere/nats").is_dir()
    assert (dev.folder / ".streams/.gitignore").read_text() == "*\n"
    assert (dev.folder / ".streams/jwt-secret").stat().st_mode & 0o077 == 0
    async with httpx.AsyncClient(base_url=dev.url, trust_env=False) as http:
        assert (await http.get("/who", headers=bearer(ann))).status_code == 200


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
def test_the_secret_is_in_no_arguments_and_no_environment(dev: Dev):
    secret = (dev.folder / ".streams/jwt-secret").read_bytes().strip()
    seen = [part for process in processes_in(dev.folder) for part in process]

    assert any(b"functions_process" in part for part in seen)
    assert not any(secret in part for part in seen)


async def test_the_screen_says_nothing_of_tokens_where_none_matters(project: Path):
    for name in ("stream_auth.py", "room_stream.py"):
        (project / "functions" / name).unlink()

    async with developing(project) as dev:
        assert "streams token" not in "".join(dev.command.said)


async def test_with_a_secret_of_ones_own_no_other_one_is_made_and_its_tokens_count(
    project: Path, monkeypatch: pytest.MonkeyPatch, opened: AsyncExitStack
):
    monkeypatch.setenv("STREAMS_JWT_SECRET", "a secret of one's own, long enough")
    async with developing(project) as dev:
        ann = await opened_as(Browser(dev.socket_url, opened), await token(project, "ann"))

        assert await answer_to_join(ann, "room", "ann") == "sync"
        assert not (project / ".streams/jwt-secret").exists()
        assert "streams token" not in "".join(dev.command.said)


async def test_keys_of_two_kinds_are_refused_before_anything_starts(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STREAMS_JWT_SECRET", "a secret of one's own, long enough")
    monkeypatch.setenv("STREAMS_JWT_JWKS_URL", "https://issuer.example/jwks.json")
    async with running("dev", "functions", "--port", str(free_port()), cwd=project) as command:
        await command.says("keep one of them")
        assert await command.ends() == 1


async def test_no_token_and_no_query_is_in_the_log(project: Path, opened: AsyncExitStack):
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        ann = await token(project, "ann")
        browser = Browser(f"{dev.socket_url}?authToken={ann}&secret=query", opened)
        assert await answer_to_join(await browser.open(), "room", "ann") == "sync"
        assert await answer_to_join(await browser.open(), "room", "bob") == "STREAM_ACCESS_DENIED"
        await http.get("/who", params={"secret": "query"}, headers=bearer(ann))
        await http.get("/nowhere", params={"secret": "query"}, headers=bearer(ann + "x"))
        await http.get("/streams/room/bob", params={"secret": "query"}, headers=bearer(ann))

        dev.command.process.terminate()
        await dev.command.ends()
        said = "".join(dev.command.said)

    assert "GET /who 200" in said
    assert "room/bob" in said
    assert "secret" not in said
    assert ann not in said
    assert ann.split(".")[1] not in said


def processes_in(folder: Path) -> list[tuple[bytes, bytes]]:
    """Arguments and environment of every process that runs there."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink() == folder:
                found.append(((entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()))
    return found
