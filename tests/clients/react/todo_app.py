"""The todo app as the tests of pages use it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from functions.todo.todo_stream import Todo, todo
from streams.store import Store, bound_to
from tests.clients.front import Front
from tests.clients.react.pages import Window
from tests.gateway.waiting import until


@dataclass
class TodoApp:
    """The todo app: its steps at `url`, its sockets at the end of `line`."""

    url: str
    line: Front
    store: Store
    http: httpx.AsyncClient

    async def create(self, text: str) -> str:
        """Create a todo over HTTP. Its id."""
        answer = await self.http.post("/todo", json={"description": text})
        created: str = answer.raise_for_status().json()["new_value"]["id"]
        return created

    async def change(self, item_id: str, **changes: Any) -> None:
        (await self.http.patch(f"/todo/{item_id}", json=changes)).raise_for_status()

    async def delete(self, item_id: str) -> None:
        (await self.http.delete(f"/todo/{item_id}")).raise_for_status()

    async def texts(self) -> list[str]:
        """What the store holds in the inbox."""
        return [item["description"] for item in (await self.http.get("/todos")).raise_for_status().json()]

    async def put(self, group: str, item_id: str, text: str) -> None:
        """Write a todo as no step does."""
        with bound_to(self.store):
            await todo.set(group, item_id, Todo(id=item_id, description=text, created_at=datetime.now(UTC)))

    async def nudge(self, channel: Any, text: str) -> None:
        with bound_to(self.store):
            await todo.send(channel, {"type": "nudge", "data": {"text": text}})


@asynccontextmanager
async def line_down(app: TodoApp, *windows: Window) -> AsyncIterator[None]:
    """Cut the line of all windows. Nothing gets through before the end of the block."""
    targets = app.line.targets[:]
    app.line.targets.clear()
    await app.line.cut()
    # Chromium tells Playwright that a socket has ended a moment after it has.
    await until(lambda: all(window.is_away for window in windows))
    yield
    app.line.targets[:] = targets
