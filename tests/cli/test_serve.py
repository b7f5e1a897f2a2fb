"""`streams serve` as it is deployed: one process with everything, whose data outlive it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from streams.cli.serving_everything import own_origins
from streams.dev.nats_server import USER, find_binary
from streams.errors import CredentialsRefused
from streams.jetstream.connection import connected_to
from streams.jetstream.credentials import Credentials
from tests.auth.issued import AUDIENCE, ISSUER, SECRET
from tests.browser import SECONDS, Browser
from tests.cli.typed import Typed
from tests.core.written_app import App
from tests.dev.commands import REPOSITORY, Command, free_port, processes, running
from tests.tokens import token

OPERATOR = "0123456789abcdef0123456789abcdef"
PAGE = "https://app.example.com"
WHOSE = ("--issuer", ISSUER, "--audience", AUDIENCE)

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="looks for nats-server in /proc")


@dataclass
class Served:
    """A process that serves everything."""

    command: Command
    http: httpx.AsyncClient
    browser: Browser
    folder: Path

    @property
    def nats_pids(self) -> list[int]:
        return processes("nats-server", self.folder)

    @property
    def nats_command(self) -> list[str]:
        """The command line of its nats-server: the program, `-c`, and the file with its settings."""
        (pid,) = self.nats_pids
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:3]

    @property
    def nats_url(self) -> str:
        """With its password."""
        return self.told.read_text().strip()

    @property
    def told(self) -> Path:
        return self.folder / "data/nats.url"

    def kill(self, *, all_at_once: bool) -> None:
        """End it as a crash would, alone or with everything that is below it."""
        (nats,) = self.nats_pids
        guard = int(Path(f"/proc/{nats}/stat").read_text().rpartition(")")[2].split()[1])
        for pid in (self.command.process.pid, *([guard, nats] if all_at_once else [])):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def until_ready(self) -> None:
        async with asyncio.timeout(2 * SECONDS):
            while (await self.http.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.02)

    async def descriptions(self) -> list[str]:
        """Of the todos in the inbox."""
        return [item["description"] for item in (await self.http.get("/streams/todo/inbox")).json()]


Start = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder outside of this repository, with the todo app in it."""
    folder = tmp_path / "project"
    shutil.copytree(
        REPOSITORY / "functions", folder / "functions", ignore=shutil.ignore_patterns("__pycache__")
    )
    (folder / "functions/slow_step.py").write_text(
        "import asyncio\nfrom streams import StepConfig, http\n"
        'config = StepConfig("Slow", [http("GET", "/slow")])\n'
        "async def handler():\n"
        '    print("slow has begun", flush=True)\n'
        "    await asyncio.sleep(0.5)\n"
        '    return "done"\n'
    )
    return folder


@pytest.fixture
def start(project: Path, opened: AsyncExitStack) -> Start:
    @asynccontextmanager
    async def started(*options: str) -> AsyncIterator[Served]:
        port = free_port()
        async with (
            running("serve", "--data", "data", "--port", str(port), *options, cwd=project) as command,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=SECONDS) as http,
        ):
            await command.says("STREAMS_NATS_URL=$(cat data/nats.url)")
            yield Served(command, http, Browser(f"ws://127.0.0.1:{port}/", opened), project)

    return started


def text_of(file: str) -> str:
    return Path(file).read_text()


async def test_page_steps_items_and_sockets_are_on_one_port(start: Start):
    async with start() as served:
        inbox = await served.browser.join("todo", "inbox")
        page = await served.http.get("/")
        await served.http.post("/todo", json={"description": "call mum"})

        assert (await inbox.next_event())["data"]["description"] == "call mum"
        assert await served.descriptions() == ["call mum"]
        assert page.text == (REPOSITORY / "functions/todo/web/index.html").read_text()
        assert (await served.http.get("/todo/")).text == page.text
        assert (await served.http.get("/healthz")).text == "ok\n"
        assert (await served.http.get("/readyz")).text == "ready\n"


@pytest.mark.parametrize("all_at_once", [False, True], ids=["process", "container"])
async def test_what_was_answered_is_there_after_it_was_killed(start: Start, all_at_once: bool):
    async with start() as served:
        await served.http.post("/todo", json={"description": "call mum"})
        served.kill(all_at_once=all_at_once)
        await served.command.process.wait()

    async with start() as again:
        inbox = await again.browser.join("todo", "inbox")

        assert await again.descriptions() == ["call mum"]
        assert "call mum" in inbox.frames[0].decode()


async def test_nobody_else_on_the_machine_gets_into_its_nats(start: Start):
    async with start() as served:
        url = f"nats://{served.nats_url.rpartition('@')[2]}"
        for credentials in (Credentials(), Credentials(user=USER, password="guessed")):
            with pytest.raises(CredentialsRefused):
                async with connected_to(url, credentials=credentials):
                    pass
        password = served.nats_url.rpartition("@")[0].rpartition(":")[2]

        assert len(password) == 64
        assert password not in "".join(served.nats_command)
        assert not any(password in line for line in served.command.said)
        for file in (served.told, served.nats_command[-1]):
            assert stat.S_IMODE(os.stat(file).st_mode) == 0o600


async def test_whoever_may_read_the_data_runs_commands_on_them(
    start: Start, streams: Typed, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STREAMS_JWT_SECRET", SECRET)
    async with start(*WHOSE) as served:
        streams.env |= {"STREAMS_NATS_URL": served.nats_url, "STREAMS_NAMESPACE": "streams"}
        tab = await served.browser.open(subprotocols=["Authorization", token("ann")])

        assert (await streams.run("revoke", "--sub", "ann")).code == 0

        assert (await tab.closed())[0] == 4401
    assert not served.told.exists()


async def test_nats_server_is_told_to_sync_every_write_before_it_is_answered(start: Start):
    async with start() as served:
        *_, config = served.nats_command
        checked = await asyncio.create_subprocess_exec(find_binary(), "-t", "-c", config)

        assert await checked.wait() == 0
        assert "sync_interval: always" in text_of(config)


async def test_a_second_one_on_the_same_data_is_refused(start: Start, project: Path):
    async with (
        start() as served,
        running("serve", "--data", "data", "--port", "0", cwd=project) as second,
    ):
        said = await second.says("uses the store data")

        assert f"process {served.command.process.pid} uses the store" in said
        assert await second.ends() == 1
        assert (await served.http.get("/readyz")).status_code == 200


async def test_it_ends_in_order(start: Start):
    async with start() as served:
        inbox = await served.browser.join("todo", "inbox")
        asked = asyncio.create_task(served.http.get("/slow"))
        await served.command.says("slow has begun")
        served.command.process.send_signal(signal.SIGTERM)

        assert (await asked).json() == "done"
        assert (await inbox.closed())[0] == 1012
        assert await served.command.ends() == 0
        assert served.nats_pids == []


async def test_a_nats_server_that_ends_is_started_again_and_sockets_stay_open(start: Start):
    async with start() as served:
        inbox = await served.browser.join("todo", "inbox")
        (nats,) = served.nats_pids
        os.kill(nats, signal.SIGKILL)
        await served.command.says("starting it again")
        await served.until_ready()
        await served.http.post("/todo", json={"description": "call mum"})

        assert (await inbox.next_event())["data"]["description"] == "call mum"


async def test_bad_tokens_are_refused_and_good_ones_are_not(start: Start, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STREAMS_JWT_SECRET", SECRET)
    bad = {"Authorization": "Bearer x"}
    async with start(*WHOSE) as served:
        with pytest.raises(InvalidStatus) as refused:
            await served.browser.open(subprotocols=["Authorization", "x"])
        await served.browser.open(subprotocols=["Authorization", token("ann")])

        assert refused.value.response.status_code == 401
        assert (await served.http.get("/streams/todo/inbox", headers=bad)).status_code == 401
        good = {"Authorization": f"Bearer {token('ann')}"}
        assert (await served.http.get("/streams/todo/inbox", headers=good)).status_code == 200


async def test_items_are_written_over_http_by_the_operator_and_by_nobody_where_there_is_none(
    start: Start, monkeypatch: pytest.MonkeyPatch
):
    todo, mine = (
        {"id": "1", "description": "x", "created_at": "2026-01-01T00:00:00Z"},
        {"Authorization": f"Bearer {OPERATOR}"},
    )
    async with start() as served:
        nobody = await served.http.put("/streams/todo/inbox/1", json=todo)
        listed = await served.http.get("/streams")
    monkeypatch.setenv("STREAMS_OPERATOR_TOKEN", OPERATOR)
    async with start() as served:
        others = await served.http.put("/streams/todo/inbox/1", json=todo)
        operator = await served.http.put("/streams/todo/inbox/1", json=todo, headers=mine)

    assert (nobody.status_code, listed.status_code, others.status_code) == (401, 401, 401)
    assert operator.status_code == 201


async def test_pages_of_its_own_and_listed_ones_may_open_sockets_and_no_others(start: Start):
    async with start("--origin", PAGE) as served:
        port = served.http.base_url.port
        for origin in (f"http://127.0.0.1:{port}", f"http://localhost:{port}", PAGE):
            await served.browser.open(origin=origin)
        for origin in ("http://localhost:1", "https://evil.example", f"https://localhost:{port}"):
            with pytest.raises(InvalidStatus) as refused:
                await served.browser.open(origin=origin)
            assert refused.value.response.status_code == 403
        asked = {"Access-Control-Request-Method": "POST"}
        listed = await served.http.options("/todo", headers={**asked, "Origin": PAGE})
        other = await served.http.options("/todo", headers={**asked, "Origin": "https://evil.example"})

        assert listed.headers["Access-Control-Allow-Origin"] == PAGE
        assert "Access-Control-Allow-Origin" not in other.headers


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--nats-server", sys.executable), "nats-server ended at once"),
        (("--origin", "*"), "is not the origin of a page"),
        (("--trust-proxy", "here"), "is not the address of a proxy"),
        (("--trust-proxy", "*", "--trust-proxy", "10.0.0.7"), "--trust-proxy * is whoever connects"),
    ],
)
async def test_what_cannot_be_is_said_at_start(project: Path, options: tuple[str, ...], sentence: str):
    async with running("serve", "--data", "data", "--port", "0", *options, cwd=project) as command:
        await command.says(sentence)

        assert await command.ends() == 1


@pytest.mark.parametrize(
    ("host", "names"), [("127.0.0.1", ["127.0.0.1", "localhost"]), ("0.0.0.0", ["127.0.0.1", "localhost"])]
)
def test_its_own_pages_are_those_at_the_address_that_it_listens_on(host: str, names: list[str]):
    with socket.create_server((host, 0)) as sock:
        port = sock.getsockname()[1]

        assert own_origins(sock) == tuple(f"http://{name}:{port}" for name in names)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_step_cannot_have_a_path_that_says_how_the_process_is(
    streams: Typed, app: App, tmp_path: Path, path: str
):
    app.step("health_step.py", "Health", "GET", path)

    assert f"{path} is taken" in streams("serve", app.folder, "--data", tmp_path / "data").err
    assert not (tmp_path / "data").exists()


def test_tokens_of_nobody_in_particular_are_not_accepted(streams: Typed, app: App, tmp_path: Path):
    said = streams("serve", app.folder, "--data", tmp_path / "data", STREAMS_JWT_SECRET=SECRET)

    assert "nobody says who makes the tokens" in said.refusal


def test_data_that_are_kept_have_a_place_that_was_named(streams: Typed, app: App):
    said = streams("serve", app.folder)

    assert (said.code, "--data" in said.err) == (2, True)
