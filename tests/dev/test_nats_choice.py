"""`streams dev --nats`: which NATS it uses, and what it says where that cannot be."""

from __future__ import annotations

import asyncio
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from streams.dev.nats_container import contained
from streams.dev.nats_server import embedded
from streams.errors import DevFailed
from tests.browser import Browser
from tests.dev.commands import REPOSITORY, developing, free_port, running
from tests.store.jetstream.secrets import PASSWORD, creds_form, password_form


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder outside of this repository, with the todo app in it."""
    folder = tmp_path / "project"
    shutil.copytree(
        REPOSITORY / "functions", folder / "functions", ignore=shutil.ignore_patterns("__pycache__")
    )
    return folder


async def test_any_server_can_be_used_with_credentials(project: Path, tmp_path: Path, opened):
    form = creds_form(tmp_path)
    async with (
        embedded(tmp_path / "nats", settings=form.settings) as nats,
        developing(project, "--nats", nats.url, "--creds", str(form.right.creds)) as dev,
        httpx.AsyncClient(base_url=dev.url) as http,
    ):
        tab = await Browser(dev.socket_url, opened).join("todo", "inbox")

        await http.post("/todo", json={"description": "call mum"})

        assert (await tab.next_event())["data"]["description"] == "call mum"
        assert any(
            f"{nats.url}  nats-server {nats.version}, started by others" in said for said in dev.command.said
        )
        assert not (project / ".streams/nats").exists()


async def test_a_server_of_others_may_go_and_come_back(project: Path, tmp_path: Path, opened):
    form = password_form(tmp_path)
    async with embedded(tmp_path / "nats", settings=form.settings) as nats:
        url = nats.url.replace("//", f"//ann:{quote(PASSWORD, safe='')}@")
        async with developing(project, "--nats", url) as dev, httpx.AsyncClient(base_url=dev.url) as http:
            tab = await Browser(dev.socket_url, opened).join("todo", "inbox")

            nats.kill()
            await nats.restart()
            await http.post("/todo", json={"description": "call mum"}, timeout=20)

            assert (await tab.next_event())["data"]["description"] == "call mum"


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for arguments in /proc")
async def test_a_password_is_neither_on_the_screen_nor_given_on_in_arguments(project: Path, tmp_path: Path):
    form = password_form(tmp_path)
    async with embedded(tmp_path / "nats", settings=form.settings) as nats:
        password = quote(PASSWORD, safe="")
        url = nats.url.replace("//", f"//ann:{password}@")
        async with developing(project, "--nats", url) as dev:
            told = b"".join(arguments_of(pid) for pid in children_of(dev.command.process.pid)).decode()
            dev.command.process.terminate()
            await dev.command.ends()

    assert "functions_process" in told
    assert [secret for secret in (PASSWORD, password) if secret in told + "".join(dev.command.said)] == []


async def test_credentials_that_are_refused_are_said_at_once(project: Path, tmp_path: Path):
    form = password_form(tmp_path)
    async with embedded(tmp_path / "nats", settings=form.settings) as nats:
        url = nats.url.replace("//", "//ann:guessed@")
        async with running(
            "dev", "functions", "--port", str(free_port()), "--nats", url, cwd=project
        ) as command:
            await command.says(f"NATS at {nats.url} refuses the user 'ann' with a password")
            assert await command.ends() == 1


async def test_credentials_for_others_do_not_disturb_the_embedded_one(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STREAMS_NATS_TOKEN", "t")
    monkeypatch.setenv("STREAMS_NATS_URL", "nats://127.0.0.1:1")

    async with developing(project) as dev:
        assert any("the credentials for NATS are not used" in said for said in dev.command.said)


@pytest.mark.parametrize(
    ("nats", "shown"), [("embeded", "embeded"), ("docker://x", "docker://x"), ("ann:pw@h:x", "***@h:x")]
)
async def test_what_is_no_nats_is_refused_with_what_there_is(project: Path, nats: str, shown: str):
    async with running("dev", "functions", "--nats", nats, cwd=project) as command:
        await command.says(f"--nats '{shown}' is not one of embedded, container, or the address of a server")
        assert await command.ends() == 1


async def test_without_a_container_engine_it_is_said_where_one_was_looked_for(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")

    async with running("dev", "functions", "--nats", "container", cwd=project) as command:
        said = await command.says("no container engine answers at unix:///nowhere/docker.sock")
        assert await command.ends() == 1
    assert "start Docker" in said + "".join(command.said)


async def test_without_the_package_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "docker.errors", None)

    with pytest.raises(DevFailed, match=r"pip install 'realtime-streams\[dev\]'"):
        async with contained(tmp_path):
            pass


async def test_ctrl_c_while_it_starts_ends_it_without_a_word(project: Path, tmp_path: Path):
    greeted = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeted.set()
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    url = f"nats://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
    async with silent, running("dev", "functions", "--nats", url, cwd=project) as command:
        await asyncio.wait_for(greeted.wait(), 20)

        command.process.terminate()

        assert await command.ends() == 0
        assert "".join(command.said) == ""


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, IndexError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
    return found


def arguments_of(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    return b""
