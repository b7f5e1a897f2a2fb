"""Event streams as an `EventSource` has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from tests.browser import SECONDS

ACCEPT = {"Accept": "text/event-stream"}


@dataclass
class Event:
    """One, as a browser takes it."""

    data: Any
    id: str | None


class Source:
    """What an `EventSource` does."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()
        self.text: list[str] = []
        """Every line as it came."""
        self.last_id: str | None = None

    async def next(self) -> Event:
        data, event_id = list[str](), None
        async with asyncio.timeout(SECONDS):
            async for line in self._lines:
                self.text.append(line)
                name, _, value = line.partition(": ")
                if name == "data":
                    data.append(value)
                elif name == "id":
                    event_id = self.last_id = value
                elif not line and data:
                    return Event(orjson.loads("\n".join(data)), event_id)
        raise EOFError

    async def kind(self) -> str:
        """Of the next event about a room."""
        while (event := await self.next()).data["type"] != "stream":
            pass
        return str(event.data["event"]["type"])


class Door:
    """Opens event streams on one gateway."""

    def __init__(self, url: str, opened: AsyncExitStack) -> None:
        self.url, self._opened = url.replace("ws://", "http://").rstrip("/"), opened

    async def get(self, path: str, **headers: str) -> httpx.Response:
        http = await self._opened.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=SECONDS))
        return await self._opened.enter_async_context(
            http.stream("GET", self.url + path, headers={**ACCEPT, **headers})
        )

    async def open(self, path: str, **headers: str) -> Source:
        response = await self.get(path, **headers)
        assert response.status_code == 200, await response.aread()
        source = Source(response)
        assert (await source.next()).data["type"] == "hello"
        return source

    @asynccontextmanager
    async def at(self, path: str, **headers: str) -> AsyncIterator[Source]:
        """One that is closed at the end of the block."""
        async with AsyncExitStack() as opened:
            yield await Door(self.url, opened).open(path, **headers)
