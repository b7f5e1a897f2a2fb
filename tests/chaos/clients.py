"""Clients that come back whenever they are cut off, and notice when they are told what cannot be."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from streams.client.held import Held, Wanted
from tests.gateway.rooms import Rooms

AWAY_SECONDS = (0.02, 0.5)
"""How long a client waits before it comes back, at random between these."""

STATE_SECONDS = 15.0
"""How long it waits for the state of a group that it has joined, before it tries elsewhere."""

SILENT_SECONDS = 65.0
"""After so long without a frame it takes its line for dead: two and a half of the gateway's pings."""


class Client:
    """One client of some groups of `todo`, on whichever gateway lets it in."""

    is_extended: bool

    def __init__(self, urls: Callable[[], Sequence[str]], groups: Sequence[str], seed: int) -> None:
        self.groups = groups
        self.faults: list[str] = []
        """What it was told that cannot be."""
        self.blind: list[float] = []
        """How long it was, each time, without the state of some group."""
        self.comings = 0
        self._urls, self._random = urls, random.Random(seed)
        self._values: dict[tuple[str, str], int] = {}
        """The highest `v` of every item that was shown."""
        self._blind_since = time.monotonic()
        self._missing = set(groups)

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                url = self._random.choice(self._urls())
                async with connect(
                    url,
                    subprotocols=["streams.v2"] if self.is_extended else None,
                    max_size=None,
                    compression=None,
                    proxy=None,
                    ping_interval=None,
                    open_timeout=5,
                    close_timeout=0.2,
                ) as socket:
                    self.comings += 1
                    await self._follow(socket)
            except (OSError, TimeoutError, WebSocketException):
                pass
            self._is_blind()
            await asyncio.sleep(self._random.uniform(*AWAY_SECONDS))

    def shows(self, group: str) -> list[Any] | None:
        """The items of a group in their order; None: it has no state at present."""
        raise NotImplementedError

    async def _follow(self, socket: ClientConnection) -> None:
        self._begin()
        for group in self.groups:
            await self._join(socket, group)
        while True:
            async with asyncio.timeout(STATE_SECONDS if self._missing else SILENT_SECONDS):
                frame = await socket.recv(decode=False)
            message = orjson.loads(frame)
            if message["type"] == "stream":
                await self._take(socket, message, frame)

    async def _join(self, socket: ClientConnection, group: str, since: str | None = None) -> None:
        data = {"streamName": "todo", "groupId": group, "subscriptionId": group, "since": since}
        await socket.send(orjson.dumps({"type": "join", "data": data}).decode())

    def _begin(self) -> None:
        """It has a new line."""

    async def _take(self, socket: ClientConnection, message: dict[str, Any], frame: bytes) -> None:
        raise NotImplementedError

    def _is_blind(self) -> None:
        if not self._missing:
            self._blind_since = time.monotonic()
        self._missing = set(self.groups)

    def _sees(self, group: str) -> None:
        if group in self._missing:
            self._missing.discard(group)
            if not self._missing:
                self.blind.append(time.monotonic() - self._blind_since)

    def _check(self, group: str, items: Sequence[Any]) -> None:
        """No item may ever go back, whichever gateway shows it."""
        for item in items:
            known = self._values.get((group, item["id"]), 0)
            if item["v"] < known:
                self.faults.append(f"{group}/{item['id']} went back from {known} to {item['v']}")
            self._values[group, item["id"]] = max(known, item["v"])


class Ours(Client):
    """In the extended dialect, with what it holds over all its lines."""

    is_extended = True

    def __init__(self, urls: Callable[[], Sequence[str]], groups: Sequence[str], seed: int) -> None:
        super().__init__(urls, groups, seed)
        self._held = {group: Held() for group in groups}
        self.asked = {"ids": 0, "everything": 0, "resumed": 0}
        """What it asked for, and how often a position of its was enough."""

    def shows(self, group: str) -> list[Any] | None:
        return None if group in self._missing else self._held[group].items

    async def _join(self, socket: ClientConnection, group: str, since: str | None = None) -> None:
        await super()._join(socket, group, self._held[group].at)

    async def _take(self, socket: ClientConnection, message: dict[str, Any], frame: bytes) -> None:
        group, kind = message["groupId"], message["event"]["type"]
        if kind == "unauthorized":
            self.faults.append(f"{group} was refused: {message['event']['code']}")
            return
        held = self._held[group]
        wanted = held.take(message)
        self._check(group, held.items)
        if wanted is Wanted.NOTHING:
            if kind in ("sync", "resumed", "ids") and "part" not in message["event"]:
                self.asked["resumed"] += kind == "resumed"
                self._sees(group)
        elif wanted is Wanted.IDS:
            self.asked["ids"] += 1
            await socket.send(orjson.dumps({"type": "ids", "data": {"subscriptionId": group}}).decode())
        else:
            self.asked["everything"] += 1
            self._held[group] = Held()
            await self._join(socket, group)


class Motias(Client):
    """In the plain dialect, as a strict reader and as Motia's clients have it."""

    is_extended = False

    def shows(self, group: str) -> list[Any] | None:
        if group in self._missing:
            return None
        items = self._rooms.items(group)
        if items != self._rooms.as_motia_shows_it(group):
            self.faults.append(f"Motia's clients show something else of {group}")
        return items

    def _begin(self) -> None:
        self._rooms = Rooms()

    async def _take(self, socket: ClientConnection, message: dict[str, Any], frame: bytes) -> None:
        try:
            self._rooms.take(frame)
        except AssertionError as error:
            self.faults.append(str(error))
        if self._rooms.has(message["groupId"]):
            self._check(message["groupId"], self._rooms.items(message["groupId"]) or [])
            self._sees(message["groupId"])
