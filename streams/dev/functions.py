"""The functions process as its parent sees it: the one that runs, and the next one when a file is saved.

Requests that come while a new one starts wait for it, so that what answers
is always what was saved last. When the files cannot be loaded, every request
is answered with the reasons, until they are saved again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from streams.dev.handover import Handover, in_one_line

log = logging.getLogger(__name__)

START_SECONDS = 20.0
REPLACED_SECONDS = 3.0
"""How long a process that was replaced may go on with the requests that it has."""

END_SECONDS = 1.0
"""The same, when everything ends."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a functions process serves."""

    streams: list[dict[str, str]]
    """`{"name", "bucket"}` of each."""
    steps: list[dict[str, str]]
    """`{"name", "trigger", "file"}` of each."""
    has_auth: bool
    """Whether an `authenticate` says who callers are."""
    guarded: list[str]
    """Names of the streams with a `can_access`."""
    sendable: list[str]
    """Names of the streams with a `can_send`."""

    @property
    def has_rules(self) -> bool:
        """Whether it matters anywhere who a caller is."""
        return bool(self.has_auth or self.guarded or self.sendable)


class FunctionsBroken(Exception):
    """The functions cannot be loaded, or their process is gone. The sentence says why."""


class Functions:
    """The functions of one folder, served by a process of their own."""

    def __init__(self, folder: Path, handover: Handover, namespace: str, sockets: Path) -> None:
        self._folder, self._handover, self._namespace = folder, handover, namespace
        self._sockets = (sockets / f"{number}.sock" for number in count())
        self._process: _Running | None = None
        self._found: Found | None = None
        self._broken: str | None = None
        self._ready = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def running(cls, folder: Path, handover: Handover, namespace: str) -> AsyncIterator[Functions]:
        """The functions for the length of the block. Start them with `reload`."""
        # Unix sockets in a folder of our own: nobody else can talk past the gateway's checks.
        with tempfile.TemporaryDirectory(prefix="streams-") as sockets:
            functions = cls(folder, handover, namespace, Path(sockets))
            try:
                yield functions
            finally:
                if functions._process is not None:
                    await functions._process.stop(END_SECONDS)

    async def reload(self) -> Found:
        """Serve what the files say now.

        Raises:
            FunctionsBroken: They cannot be loaded; requests are told so too.
        """
        self._ready.clear()
        before, self._process = self._process, None
        try:
            self._process = await _start(
                self._folder, self._handover, self._namespace, next(self._sockets), self._ended
            )
            self._found, self._broken = self._process.found, None
        except FunctionsBroken as error:
            self._broken = str(error)
            raise
        finally:
            self._ready.set()
            if before is not None:
                await before.stop(REPLACED_SECONDS)
        return self._found

    @property
    def found(self) -> Found | None:
        """What was found when the files could be loaded last; None: they never could."""
        return self._found

    async def client(self) -> httpx.AsyncClient:
        """Talks to the process that serves. Waits for one that is starting.

        Raises:
            FunctionsBroken: There is none.
        """
        return (await self._serving()).client

    async def rules(self) -> tuple[httpx.AsyncClient, Found]:
        """Talks to its rules, on a socket of their own, and what was found there. Waits as `client` does.

        Raises:
            FunctionsBroken: There is none.
        """
        serving = await self._serving()
        return serving.rules, serving.found

    async def _serving(self) -> _Running:
        await self._ready.wait()
        if self._process is None:
            raise FunctionsBroken(self._broken or "the functions are not running")
        return self._process

    def _ended(self, process: _Running, code: int) -> None:
        if self._process is process:
            self._process = None
            self._broken = (
                f"the functions process ended by itself (exit code {code}); save a file to start it again"
            )
            log.error(self._broken)


@dataclass(eq=False)
class _Running:
    process: Process
    client: httpx.AsyncClient
    rules: httpx.AsyncClient
    found: Found
    watching: asyncio.Task[None]

    async def stop(self, seconds: float) -> None:
        self.watching.cancel()
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), seconds)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
        await self.client.aclose()
        await self.rules.aclose()


async def _start(
    folder: Path, handover: Handover, namespace: str, socket: Path, ended: Callable[[_Running, int], None]
) -> _Running:
    reading, writing = os.pipe()
    rules_socket = socket.with_suffix(".rules")
    try:
        # -P: a folder `streams` where the developer stands must not be taken for the library.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "streams.dev.functions_process", str(folder),
            "--namespace", namespace, "--socket", str(socket), "--rules-socket", str(rules_socket),
            "--report", str(writing),
            stdin=PIPE, pass_fds=(writing,), start_new_session=True,
        )  # fmt: skip
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    # Not as an argument: everyone on this machine can read those. It fits into the pipe at once.
    assert process.stdin is not None
    process.stdin.write(in_one_line(handover))
    try:
        report = await _report(process, reading)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if "broken" in report:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise FunctionsBroken(report["broken"])

    async def watch() -> None:
        ended(running, await process.wait())

    watching = asyncio.create_task(watch(), name="dev: watch the functions process")
    running = _Running(process, _client(socket), _client(rules_socket), Found(**report), watching)
    return running


def _client(socket: Path) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=str(socket)), base_url="http://functions", timeout=None
    )


async def _report(process: Process, descriptor: int) -> dict[str, Any]:
    """What the process says of itself when it is ready, or cannot be."""
    with os.fdopen(descriptor) as pipe:
        # A thread, not the loop: uvloop and Python would each close the descriptor, the second one
        # somebody else's by then. Ends in any case, because the pipe does when the process does.
        reading = asyncio.create_task(asyncio.to_thread(pipe.readline), name="dev: report of the functions")
        done, _ = await asyncio.wait([reading], timeout=START_SECONDS)
        if not done:
            process.kill()
            await reading
            return {"broken": f"the functions did not start within {START_SECONDS:.0f} s"}
        line = await reading
    if not line:
        return {"broken": "the functions process ended before it was ready; its last words are above"}
    report: dict[str, Any] = json.loads(line)
    return report
