"""A page with Motia's React client, as an existing user would have it, in a real browser; and with ours."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import urlencode

import uvicorn
from playwright.async_api import Browser, Locator, Page, WebSocket, expect
from starlette.staticfiles import StaticFiles

from streams.gateway.server import serving
from tests.clients.npm import installed
from tests.clients.ours.package import prepared

FOLDER = Path(__file__).parent

Generation: TypeAlias = Literal["0.17", "0.2", "ours"]
"""Ours has the hooks of theirs under the same names."""

THEIRS: tuple[Generation, ...] = ("0.17", "0.2")
Build: TypeAlias = Literal["production", "development"]

THEIR_OWN: dict[Generation, tuple[str, ...]] = {
    # The client, at the first render of every group, before there is a connection.
    "0.17": ("useStreamGroup: streamName, groupId or stream is not defined",),
    "0.2": (),
    "ours": (),
}
TURNED_AWAY = "WebSocket connection to "
"""What is reported as an error where nothing is wrong, by how it begins: by the clients, and by
Chromium of a socket that could not be opened while a test kept the line down."""


def built(generation: Generation, build: Build, into: Path) -> None:
    """Bundle the page as its author would, in less time than it takes to look whether one is there."""
    modules = installed(FOLDER)
    client = f"motia-react-{generation}"
    if generation == "ours":
        client = str(prepared() / "src/react.ts")
    subprocess.run(
        [
            modules / ".bin" / "esbuild",
            "app.jsx",
            "--bundle",
            "--format=esm",
            "--jsx=automatic",
            "--log-level=warning",
            f"--alias:@motiadev/stream-client-react={client}",
            # One React for all: else ours would find the one that it is tested with.
            f"--alias:react={modules / 'react'}",
            f'--define:process.env.NODE_ENV="{build}"',
            f"--outfile={into / 'app.js'}",
        ],
        cwd=FOLDER,
        check=True,
    )
    (into / "index.html").write_bytes((FOLDER / "index.html").read_bytes())


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[int]:
    """The port of a server that knows nothing but files, as a frontend has one while it is developed."""
    sock = socket.create_server(("127.0.0.1", 0))
    files = StaticFiles(directory=folder, html=True)
    config = uvicorn.Config(files, ws="none", lifespan="off", log_config=None, access_log=False)
    async with serving(config, [sock]):
        yield sock.getsockname()[1]


@dataclass
class Window:
    """One open page."""

    page: Page
    known: tuple[str, ...]
    complaints: list[str] = field(default_factory=list)
    """Errors of the page and of its console, but for those that the client is known to cause.
    A test that expects some takes them out."""
    sockets: list[WebSocket] = field(default_factory=list)
    """Every one that the page opened."""
    frames: list[dict[str, Any]] = field(default_factory=list)
    """Every message that came on them."""

    @property
    def todos(self) -> Locator:
        return self.page.locator("li .description")

    @property
    def opened(self) -> Locator:
        """The one todo that the window shows below its list."""
        return self.page.get_by_label("Opened").locator("p")

    @property
    def said_to_group(self) -> Locator:
        return self.page.get_by_role("log", name="Said to the group").get_by_role("listitem")

    @property
    def said_to_todo(self) -> Locator:
        return self.page.get_by_role("log", name="Said to the todo").get_by_role("listitem")

    @property
    def problem(self) -> Locator:
        return self.page.get_by_role("alert")

    @property
    def is_away(self) -> bool:
        return all(socket.is_closed() for socket in self.sockets)

    def box(self, text: str) -> Locator:
        return self.page.get_by_role("checkbox", name=f"Done: {text}")

    async def shows(self, *texts: str) -> None:
        await expect(self.todos).to_have_text(list(texts))

    async def listens(self) -> None:
        """Wait until the handlers are there: what is sent earlier, nobody hears."""
        await expect(self.page.get_by_role("status")).to_have_text("Listening")

    async def add(self, text: str) -> None:
        await self.page.get_by_label("What is to be done").fill(text)
        await self.page.get_by_role("button", name="Add").click()

    async def delete(self, text: str) -> None:
        await self.page.get_by_role("button", name=f"Delete: {text}").click()

    async def open(self, text: str) -> None:
        await self.todos.get_by_text(text).click()
        await expect(self.opened).to_have_text(text)

    async def switch_to(self, group: str) -> None:
        await self.page.get_by_role("button", name=group).click()

    def watch(self, socket: WebSocket) -> None:
        self.sockets.append(socket)
        socket.on("framereceived", lambda message: self.frames.append(json.loads(message)))

    def note(self, complaint: str) -> None:
        if not complaint.startswith(self.known):
            self.complaints.append(complaint)


class Windows:
    """Opens windows, each in a browser context of its own."""

    def __init__(self, browser: Browser, port: int, opened: AsyncExitStack) -> None:
        self._browser, self._port, self._opened = browser, port, opened
        self.all: list[Window] = []

    async def blank(self, generation: Generation, **options: Any) -> Window:
        context = await self._opened.enter_async_context(await self._browser.new_context(**options))
        window = Window(await context.new_page(), (TURNED_AWAY, *THEIR_OWN[generation]))
        self.all.append(window)
        window.page.on("console", lambda said: window.note(said.text) if said.type == "error" else None)
        window.page.on("pageerror", lambda error: window.complaints.append(f"page error: {error}"))
        window.page.on("websocket", window.watch)
        return window

    async def open(
        self,
        generation: Generation,
        *,
        ws: str,
        api: str,
        build: Build = "production",
        host: str = "127.0.0.1",
        options: dict[str, Any] | None = None,
        **query: str,
    ) -> Window:
        """A window of the page, which talks to the sockets at `ws` and to the steps at `api`."""
        window = await self.blank(generation, **(options or {}))
        asked = urlencode({"ws": ws, "api": api, **query})
        await window.page.goto(f"http://{host}:{self._port}/{generation}/{build}/?{asked}")
        return window
