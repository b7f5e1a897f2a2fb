"""A nats-server that ends by itself comes back, and one that does not stay is given up."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from streams.dev import nats_kept
from streams.dev.nats_kept import MAX_ENDS, kept_running
from streams.dev.nats_server import NatsServer, embedded, find_binary
from streams.errors import DevFailed
from tests.browser import SECONDS


@pytest.fixture(autouse=True)
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is in the log, all of it."""
    caplog.set_level(logging.INFO)
    return caplog


async def until_it_runs_again(said: pytest.LogCaptureFixture, times: int = 1) -> None:
    async with asyncio.timeout(2 * SECONDS):
        while said.text.count("nats-server runs again") < times:
            await asyncio.sleep(0.01)


async def cancelled() -> None:
    """Wait for the end of the block."""
    async with asyncio.timeout(2 * SECONDS):
        await asyncio.Event().wait()


async def test_a_server_that_ends_is_started_again_and_that_is_said(
    own_nats: NatsServer, said: pytest.LogCaptureFixture
):
    url, pid = own_nats.url, own_nats.pid
    async with kept_running(own_nats):
        own_nats.kill()
        await until_it_runs_again(said)

        assert (own_nats.url, own_nats.pid != pid) == (url, True)
    assert f"starting it again. Its log: {own_nats.log_path}" in said.text


async def test_a_server_that_does_not_stay_ends_the_block(
    own_nats: NatsServer, said: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(nats_kept, "FIRST_PAUSE_SECONDS", 0.001)

    async def killed_again_and_again() -> None:
        async with kept_running(own_nats):
            for times in range(MAX_ENDS + 1):
                await until_it_runs_again(said, times)
                own_nats.kill()
            await cancelled()

    with pytest.raises(DevFailed, match=f"ended by itself {MAX_ENDS + 1} times within a minute"):
        await killed_again_and_again()


async def test_a_server_that_cannot_be_started_again_ends_the_block(tmp_path: Path):
    program = tmp_path / "nats-server"

    async def killed_for_good() -> None:
        async with embedded(tmp_path / "nats", binary=program) as server, kept_running(server):
            program.unlink()
            program.write_text("#!/bin/sh\nexit 1\n")
            program.chmod(0o755)
            server.kill()
            await cancelled()

    program.symlink_to(find_binary())
    with pytest.raises(DevFailed, match="nats-server ended at once"):
        await killed_for_good()


async def test_what_the_block_raises_stays_as_it_is(own_nats: NatsServer):
    with pytest.raises(ZeroDivisionError):
        async with kept_running(own_nats):
            raise ZeroDivisionError
