"""The resource API on a real HTTP server, over both stores."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx
import pytest_asyncio
import uvicorn
from pydantic import BaseModel

from streams import Stream
from streams.auth.callers import Doorkeeper, NobodyKnown
from streams.auth.operator import Operator
from streams.gateway.server import serving
from streams.resources.app import resources_app
from tests.browser import SECONDS
from tests.conftest import Backend

HOST = "127.0.0.1"


class Todo(BaseModel):
    id: str
    text: str
    done: bool = False


todo = Stream("todo", Todo)


class Api:
    """Asks for addresses exactly as they are given: no library may tidy them up on the way."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def ask(self, method: str, target: str, **options: Any) -> httpx.Response:
        url = self.client.base_url.copy_with(raw_path=target.encode())
        return await self.client.send(self.client.build_request(method, url, **options))

    async def get(self, target: str, **headers: str) -> httpx.Response:
        return await self.ask("GET", target, headers=_named(headers))

    async def put(self, target: str, item: object, **headers: str) -> httpx.Response:
        return await self.ask("PUT", target, json=item, headers=_named(headers))

    async def patch(self, target: str, ops: object, **headers: str) -> httpx.Response:
        return await self.ask("PATCH", target, json=ops, headers=_named(headers))

    async def delete(self, target: str, **headers: str) -> httpx.Response:
        return await self.ask("DELETE", target, headers=_named(headers))

    async def post(self, target: str, event: object) -> httpx.Response:
        return await self.ask("POST", target, json=event)


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def at(group: str, item_id: str | None = None) -> str:
    """The path of a group or an item."""
    names = [group] if item_id is None else [group, item_id]
    # Dots too: `..` as it is would be a step between folders, for the client that sends it.
    return "/".join(["/streams/todo", *(quote(name, safe="").replace(".", "%2E") for name in names)])


@asynccontextmanager
async def serving_resources(backend: Backend) -> AsyncIterator[Api]:
    """As in development: nobody is known, and everybody is let in."""
    sock = socket.create_server((HOST, 0))
    # As uvloop does, which serves otherwise.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    app = resources_app([todo], backend.store, backend.feed, operator=None, doorkeeper=NobodyKnown([todo]))
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    base_url = f"http://{HOST}:{sock.getsockname()[1]}"
    async with (
        serving(config, [sock]),
        httpx.AsyncClient(base_url=base_url, trust_env=False, timeout=2 * SECONDS) as client,
    ):
        yield Api(client)


@asynccontextmanager
async def asked_in_process(
    backend: Backend,
    operator: Operator | None = None,
    doorkeeper: Doorkeeper | None = None,
    streams: Iterable[Stream[Any]] = (todo,),
) -> AsyncIterator[Api]:
    """The same without a socket, for what is decided before any store is asked."""
    known = doorkeeper or NobodyKnown(streams)
    app = resources_app(streams, backend.store, backend.feed, operator=operator, doorkeeper=known)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield Api(client)


@pytest_asyncio.fixture
async def api(backend: Backend) -> AsyncIterator[Api]:
    async with serving_resources(backend) as api:
        yield api
