"""A client of the extended dialect that goes and comes back, and what its line carries."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from streams.client.held import Held, Wanted
from tests.browser import Browser, Tab


class Returning:
    """A client of a group that keeps what it holds from one socket to the next."""

    def __init__(self, group: str = "inbox", *, stream: str = "todo", last: int | None = None) -> None:
        self.held, self.stream, self.group, self.last = Held(), stream, group, last
        self.kinds: list[str] = []
        """Of every frame of the group, in order."""
        self.bytes = self.ids_bytes = 0
        """Of all frames of the group, and of those of them that say which items there are."""
        self.reason: str | None = None
        """Why it was sent all, if it was told."""
        self.asked: list[str] = []
        """What it had to ask for."""
        self.is_in_parts = False
        """Whether the frame before was a part of a state, and not the last."""
        self.tab: Tab

    async def come(self, url: str, opened: AsyncExitStack) -> None:
        """Open a socket and join; return when it holds what there is."""
        self.tab = await Browser(url, opened).open(subprotocols=["streams.v2"])
        assert (await self.tab.next())["type"] == "hello"
        await self.join()
        asked = len(self.asked)
        while await self.next() not in ("sync", "resumed") or self.is_in_parts:
            pass
        while len(self.asked) > asked and self.kinds[-1] not in ("sync", "ids"):
            await self.next()

    async def join(self, since: str | None = None) -> None:
        data: dict[str, Any] = {"streamName": self.stream, "groupId": self.group, "subscriptionId": "s"}
        data |= {"since": since or self.held.at, "last": self.last}
        await self.tab.say({"type": "join", "data": data})

    async def next(self) -> str:
        """Take in the next frame of the group, and ask for what it lacks. The frame's kind."""
        while (message := await self.tab.next())["type"] != "stream":
            pass
        return await self.take(message)

    async def take(self, message: dict[str, Any]) -> str:
        """Take in a frame, and ask for what it lacks. Its kind."""
        if message["type"] != "stream":
            return str(message["type"])
        text, event = self.tab.frames[-1], message["event"]
        self.kinds.append(event["type"])
        self.is_in_parts = event["type"] == "sync" and event.get("part", 1) < event.get("parts", 1)
        self.bytes += len(text)
        self.ids_bytes += len(text) * (self.kinds[-1] == "ids")
        self.reason = message.get("reason", self.reason)
        match self.held.take(message):
            case Wanted.IDS:
                self.asked.append("ids")
                await self.tab.say({"type": "ids", "data": {"subscriptionId": "s"}})
            case Wanted.EVERYTHING:
                self.asked.append("everything")
                self.held = Held()
                await self.join()
        return self.kinds[-1]

    async def page(self, count: int) -> None:
        """Get the items before those that it holds."""
        before = self.held.items[0]["id"]
        await self.tab.say({"type": "page", "data": {"subscriptionId": "s", "before": before, "last": count}})
        await self.until("page")

    async def until(self, kind: str) -> None:
        while await self.next() != kind:
            pass

    async def go(self) -> None:
        await self.tab.close()
