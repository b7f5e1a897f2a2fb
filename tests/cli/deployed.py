"""`streams gateway` as it is deployed, and its processes."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser import SECONDS, Browser, Tab
from tests.cli.typed import Typed
from tests.core.written_app import App
from tests.dev.commands import Command, free_port, running
from tests.gateway.inside import Numbers, numbers_in

Start = Callable[..., AbstractAsyncContextManager["Deployed"]]


@dataclass
class Deployed:
    """A gateway of its own process, or of several."""

    command: Command
    url: str
    browser: Browser
    internal: httpx.AsyncClient
    """Asks its internal listener."""

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    async def joined(self, stream: str, group: str, **options: object) -> Tab:
        """A socket that has asked for a group; what it is told is next."""
        tab = await self.browser.open(**options)
        await tab.join(stream, group)
        return tab

    async def numbers(self) -> Numbers:
        return numbers_in((await self.internal.get("/metrics")).text)

    async def counted(self, name: str, least: float) -> Numbers:
        """All numbers, once one of them is as high."""
        return await self.told(lambda numbers: numbers[name] >= least)

    async def told(self, is_so: Callable[[Numbers], bool]) -> Numbers:
        """All numbers, once they are so."""
        async with asyncio.timeout(SECONDS):
            while not is_so(numbers := await self.numbers()):
                await asyncio.sleep(0.05)
        return numbers

    async def readiness(self) -> dict[str, Any]:
        told: dict[str, Any] = (await self.internal.get("/readyz")).json()
        return told

    async def workers(self, *, other_than: int = 0) -> list[int]:
        """The pids of two workers that are ready, once there are two."""
        async with asyncio.timeout(2 * SECONDS):
            while True:
                told = await self.readiness()
                found = sorted(each["pid"] for each in told["each"] if each["ready"])
                if len(found) == 2 and other_than not in found:
                    return found
                await asyncio.sleep(0.05)

    def sockets_of(self, pid: int) -> int:
        """How many clients a process of it has."""
        return len(_sockets(pid) & _connected_to(self.port))


@pytest.fixture
def tenants(app: App) -> App:
    """An application with an open stream, and one in which everybody sees a group of their own."""
    app.write("news_stream.py", 'from streams import Stream\n\nnews = Stream("news", dict, public=True)\n')
    app.write(
        "mail_stream.py",
        """
        from streams import Stream

        def is_own(subscription, user):
            return user is not None and subscription.group == user["name"]

        mail = Stream("mail", dict, can_access=is_own)
        """,
    )
    app.write(
        "stream_auth.py",
        """
        async def authenticate(request, claims):
            return None if claims is None else {"name": claims.sub.upper()}
        """,
    )
    return app


@pytest.fixture
def start(streams: Typed, tenants: App, opened: AsyncExitStack, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts gateways where the streams are provisioned."""
    assert streams("provision", tenants.folder).code == 0
    for name, value in streams.env.items():
        monkeypatch.setenv(name, value)

    @asynccontextmanager
    async def started(*options: str) -> AsyncIterator[Deployed]:
        port = free_port()
        async with running(
            "gateway", *options, "--port", str(port), "--metrics-port", "0", cwd=tenants.folder.parent
        ) as command:
            if "--workers" in options:
                # Two waits: three Pythons take their time to start on a machine that does other things.
                await command.says("a worker takes clients")
            said = await command.says(f"gateway at ws://127.0.0.1:{port}")
            internal = re.search(r"metrics at (http://[\d.:]+)/metrics", said)
            async with httpx.AsyncClient(base_url=internal[1] if internal else "", trust_env=False) as http:
                url = f"ws://127.0.0.1:{port}/"
                yield Deployed(command, url, Browser(url, opened), http)

    return started


async def are_gone(pids: list[int]) -> bool:
    """Whether all of these processes end, in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SECONDS):
            while any(map(is_there, pids)):
                await asyncio.sleep(0.02)
            return True
    return False


def is_there(pid: int) -> bool:
    try:
        # One that has ended, and that nobody has asked how, is not there any more.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _sockets(pid: int) -> set[str]:
    found = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.add(os.readlink(file).removeprefix("socket:[").removesuffix("]"))
    return found


def _connected_to(port: int) -> set[str]:
    """The inodes of sockets at the server's end of connections to a port."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[3] == "01" and row[1].endswith(f":{port:04X}")}
