"""Real browsers on what `streams dev` serves: the page, the sockets and the steps on one port."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, async_playwright, expect
from starlette.types import Receive, Scope, Send

from streams.dev.nats_server import NatsServer
from streams.discovery import discover
from streams.faas.asgi import functions_app
from streams.gateway.server import App, listening
from streams.jetstream.bucket import provision
from streams.jetstream.connection import connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.store import Store
from tests.everybody import open_hub

fixture = partial(pytest_asyncio.fixture, loop_scope="module")

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
PAGE = FUNCTIONS / "todo" / "web" / "index.html"
PICTURE = os.environ.get("STREAMS_SCREENSHOT")
"""Where to save the picture for the README. The page is then served on port 3000, which the picture shows."""

SECONDS = 10.0
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@fixture()
async def dev_url(nats: NatsServer, namespace: Namespace) -> AsyncIterator[str]:
    """What `streams dev` serves on one port: the page, the sockets, the steps and their documentation."""
    async with AsyncExitStack() as opened:
        connection = await opened.enter_async_context(connected_to(nats.url))
        await provision(connection, namespace, "todo")
        sock = socket.create_server(("127.0.0.1", 3000 if PICTURE else 0))
        hub = await opened.enter_async_context(open_hub(JetStreamFeed(connection, namespace)))
        await opened.enter_async_context(listening(hub, sock, page_and_steps(KvStore(connection, namespace))))
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"


def page_and_steps(store: Store) -> App:
    steps = functions_app(discover(FUNCTIONS), store)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/":
            await steps(scope, receive, send)
            return
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PAGE.read_bytes()})

    return app


@fixture()
async def http(dev_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=dev_url, trust_env=False) as client:
        yield client


@fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    expect.set_options(timeout=SECONDS * 1000)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        await browser.close()


@dataclass
class Screen:
    """One person's browser with the page open."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """What the browser's console said at level error. A test that expects some takes them out."""
    asked: list[str] = field(default_factory=list)
    """Every address that the page loaded something from."""

    @property
    def texts(self) -> Locator:
        return self.page.locator("#todos .text")

    @property
    def status(self) -> Locator:
        return self.page.get_by_role("status")

    @property
    def problem(self) -> Locator:
        return self.page.get_by_role("alert")

    @property
    def field(self) -> Locator:
        return self.page.get_by_label("What is to be done")

    def box(self, text: str) -> Locator:
        return self.page.get_by_role("checkbox", name=f"Done: {text}")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name)

    async def add(self, text: str) -> None:
        await self.field.fill(text)
        await self.field.press("Enter")

    async def shows(self, *texts: str) -> None:
        await expect(self.texts).to_have_text(list(texts))


@fixture()
async def people(chromium: Browser, dev_url: str) -> AsyncIterator[People]:
    """Opens screens. At the end none of them may have complained, while the server is there still."""
    async with AsyncExitStack() as opened:
        people = People(chromium, dev_url, opened)
        yield people
        assert [screen.complaints for screen in people.screens if screen.complaints] == []


class People:
    """Opens screens, each in a browser context of its own."""

    def __init__(self, browser: Browser, url: str, opened: AsyncExitStack) -> None:
        self.browser, self._url, self._opened = browser, url, opened
        self.screens: list[Screen] = []

    async def screen(self, **options: Any) -> Screen:
        """A screen that shows nothing yet."""
        context = await self._opened.enter_async_context(await self.browser.new_context(**options))
        screen = Screen(await context.new_page())
        self.screens.append(screen)
        screen.page.on(
            "console", lambda said: screen.complaints.append(said.text) if said.type == "error" else None
        )
        screen.page.on("pageerror", lambda error: screen.complaints.append(str(error)))
        screen.page.on("request", lambda request: screen.asked.append(request.url))
        return screen

    async def open(self, **options: Any) -> Screen:
        """A screen that is live."""
        screen = await self.screen(**options)
        await screen.page.goto(self._url)
        await expect(screen.status).to_have_text("Live")
        return screen


@fixture()
async def ann(people: People) -> Screen:
    return await people.open()


@fixture()
async def bob(people: People) -> Screen:
    return await people.open()
