"""A pretend browser: a real WebSocket that joins rooms and keeps every frame it gets."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from itertools import count
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

SECONDS = 10.0
"""How long a test waits for something that should happen."""

_subscriptions = (f"s{number}" for number in count())


class Tab:
    """One open socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[bytes] = []
        """Every text frame as it came, in order."""

    async def join(
        self, stream: str, group: str, item_id: str | None = None, *, subscription: str | None = None
    ) -> str:
        """Ask for a room. Returns the subscription's id; the `sync` is the next frame."""
        subscription = subscription or next(_subscriptions)
        data = {"streamName": stream, "groupId": group, "subscriptionId": subscription}
        if item_id is not None:
            data["id"] = item_id
        await self.say({"type": "join", "data": data})
        return subscription

    async def leave(self, subscription: str) -> None:
        await self.say({"type": "leave", "data": {"subscriptionId": subscription}})

    async def say(self, message: object) -> None:
        await self.socket.send(
            message if isinstance(message, str | bytes) else orjson.dumps(message).decode()
        )

    async def next_frame(self) -> bytes:
        async with asyncio.timeout(SECONDS):
            frame = await self.socket.recv(decode=False)
        self.frames.append(frame)
        return frame

    async def next(self) -> dict[str, Any]:
        """The next frame, read."""
        frame: dict[str, Any] = orjson.loads(await self.next_frame())
        return frame

    async def next_about_a_room(self) -> dict[str, Any]:
        """The next frame that does not say whether NATS is away."""
        while (frame := await self.next())["type"] == "stale":
            pass
        return frame

    async def next_event(self) -> dict[str, Any]:
        """What that says happened."""
        event: dict[str, Any] = (await self.next_about_a_room())["event"]
        return event

    async def nothing_came(self) -> bool:
        """Whether nothing waits beside that: a ping is answered after everything that was sent before it."""
        await self.say({"type": "ping"})
        return await self.next_about_a_room() == {"type": "pong"}

    @property
    def told(self) -> int:
        """How many frames about rooms came."""
        return sum(frame.startswith(b'{"type":"stream"') for frame in self.frames)

    async def closed(self) -> tuple[int, str]:
        """Read on until the server has closed. Code and reason."""
        async with asyncio.timeout(SECONDS):
            with suppress(ConnectionClosed):
                while True:
                    self.frames.append(await self.socket.recv(decode=False))
        return self.socket.close_code or 0, self.socket.close_reason or ""

    async def close(self) -> None:
        await self.socket.close()


class Browser:
    """Opens tabs on one address."""

    def __init__(self, url: str, opened: AsyncExitStack) -> None:
        self.url, self._opened = url, opened

    async def open(self, path: str = "", **options: Any) -> Tab:
        socket = await self._opened.enter_async_context(
            connect(
                self.url + path,
                max_size=None,
                compression=None,
                proxy=None,
                ping_interval=None,
                close_timeout=1,
                **options,
            )
        )
        return Tab(socket)

    async def join(self, stream: str, group: str, item_id: str | None = None) -> Tab:
        """A new tab that has joined a room and has its state: `tab.frames[0]` is the `sync`."""
        tab = await self.open()
        await tab.join(stream, group, item_id)
        await tab.next_frame()
        return tab
