"""The todo app with a line that can be cut, and windows on it, each with one of Motia's React clients."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from playwright.async_api import Browser
from starlette.middleware.cors import CORSMiddleware

from streams.auth.origins import Origins
from streams.dev.nats_server import NatsServer
from streams.discovery import discover
from streams.faas.asgi import functions_app
from streams.gateway.server import listening
from streams.jetstream.bucket import provision
from streams.jetstream.connection import connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from tests.apps.conftest import FUNCTIONS, fixture
from tests.apps.conftest import chromium as chromium
from tests.clients.front import front_of
from tests.clients.react.pages import Build, Generation, Window, Windows, built, served
from tests.clients.react.todo_app import TodoApp
from tests.everybody import open_hub


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, bundled with each generation of the client for production and for development."""
    folder = tmp_path_factory.mktemp("pages")
    for generation in get_args(Generation):
        for build in get_args(Build):
            (into := folder / generation / build).mkdir(parents=True)
            built(generation, build, into)
    return folder


@fixture(scope="module")
async def page_port(pages: Path) -> AsyncIterator[int]:
    async with served(pages) as port:
        yield port


@fixture()
async def app(nats: NatsServer, namespace: Namespace) -> AsyncIterator[TodoApp]:
    async with AsyncExitStack() as opened:
        connection = await opened.enter_async_context(connected_to(nats.url))
        await provision(connection, namespace, "todo")
        store = KvStore(connection, namespace)
        # As `streams dev` has it.
        steps = CORSMiddleware(
            functions_app(discover(FUNCTIONS), store),
            allow_origin_regex=Origins().pattern,
            allow_methods=["*"],
            allow_headers=["*"],
        )
        sock = socket.create_server(("127.0.0.1", 0))
        # As uvloop does, which serves otherwise.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        at = f"127.0.0.1:{sock.getsockname()[1]}"
        hub = await opened.enter_async_context(open_hub(JetStreamFeed(connection, namespace)))
        await opened.enter_async_context(listening(hub, sock, steps))
        line = await opened.enter_async_context(front_of(f"ws://{at}/"))
        http = await opened.enter_async_context(httpx.AsyncClient(base_url=f"http://{at}", trust_env=False))
        yield TodoApp(f"http://{at}", line, store, http)


@fixture()
async def windows(chromium: Browser, page_port: int, app: TodoApp) -> AsyncIterator[Windows]:
    """Opens windows. At the end none of them may have complained, while the server is there still."""
    async with AsyncExitStack() as opened:
        windows = Windows(chromium, page_port, opened)
        yield windows
        assert [window.complaints for window in windows.all if window.complaints] == []


@pytest.fixture(params=get_args(Generation))
def generation(request: pytest.FixtureRequest) -> Generation:
    """Each generation of the client in turn."""
    found: Generation = request.param
    return found


@pytest.fixture
def opening(windows: Windows, app: TodoApp, generation: Generation) -> partial[Any]:
    """Opens a window that shows the app."""
    return partial(windows.open, generation, ws=app.line.url, api=app.url)


@fixture()
async def ann(opening: partial[Any]) -> Window:
    window: Window = await opening()
    return window


@fixture()
async def bob(opening: partial[Any]) -> Window:
    window: Window = await opening()
    return window
