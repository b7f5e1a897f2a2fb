"""`streams` commands as processes, and what they say."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.browser import SECONDS

REPOSITORY = Path(__file__).parents[2]
STREAMS = Path(sys.executable).with_name("streams")


@dataclass
class Command:
    """A running `streams` command, and what it has said."""

    process: asyncio.subprocess.Process
    said: list[str] = field(default_factory=list)

    async def says(self, text: str) -> str:
        """Wait for a line with `text` in it."""
        try:
            async with asyncio.timeout(2 * SECONDS):
                while True:
                    assert self.process.stdout is not None
                    line = (await self.process.stdout.readline()).decode()
                    if not line:
                        raise AssertionError(f"it ended without saying {text!r}:\n{''.join(self.said)}")
                    self.said.append(line)
                    if text in line:
                        return line
        except TimeoutError:
            raise AssertionError(f"it does not say {text!r}:\n{''.join(self.said)}") from None

    async def ends(self) -> int:
        async with asyncio.timeout(SECONDS):
            assert self.process.stdout is not None
            self.said += [(await self.process.stdout.read()).decode()]
            return await self.process.wait()


@asynccontextmanager
async def running(*arguments: str, cwd: Path) -> AsyncIterator[Command]:
    process = await asyncio.create_subprocess_exec(
        str(STREAMS),
        *arguments,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    command = Command(process)
    try:
        yield command
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.communicate(), SECONDS)
        except TimeoutError:
            process.kill()
            await process.communicate()


@dataclass
class Dev:
    """`streams dev`, ready."""

    command: Command
    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"


@asynccontextmanager
async def developing(folder: Path, *options: str) -> AsyncIterator[Dev]:
    port = free_port()
    async with running("dev", "functions", "--port", str(port), *options, cwd=folder) as command:
        await command.says("Ctrl-C ends everything")
        yield Dev(command, port, folder)


def processes(name: str, folder: Path) -> list[int]:
    """Pids of the processes of that name that run in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if (entry / "comm").read_text().strip() == name and (entry / "cwd").readlink() == folder:
                found.append(int(entry.name))
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port
