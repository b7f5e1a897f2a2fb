"""Clients that read when a test says so, over sockets whose buffers are small, and a gateway for them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any, cast
from urllib.parse import urlsplit

import orjson
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from streams import Stream
from streams.gateway.hub import Hub
from streams.gateway.server import listening
from streams.store import Feed, Store, bound_to
from tests.browser import SECONDS
from tests.everybody import open_hub
from tests.gateway.rooms import Rooms

RECEIVE_BYTES = 8192
"""What the kernel keeps for a client that does not read; little, so that tests need to write little."""

FILLING_BYTES = 30_000
"""Of an item that is written to fill what may wait for a client."""

todo = Stream("todo", dict)

_subscriptions = (f"s{number}" for number in count())


class Client(asyncio.Protocol):
    """One socket, which is read until the test says otherwise, and all that came over it."""

    def __init__(self, url: str, subprotocols: list[str]) -> None:
        self.rooms = Rooms()
        self.frames: list[bytes] = []
        """Every text frame as it came, in order."""
        self.bytes = 0
        """Of everything that came."""
        self.is_lost = False
        """Whether the line has ended."""
        self.pongs = 0
        self._wire = ClientProtocol(parse_uri(url), subprotocols=subprotocols or None, max_size=None)
        self._reads_once = False
        self._news, self._may_say_more = asyncio.Event(), asyncio.Event()
        self._may_say_more.set()

    @property
    def close_code(self) -> int | None:
        """What the gateway closed with; None: nothing was said."""
        return self._wire.close_rcvd.code if self._wire.close_rcvd else None

    # What a test does with it.

    async def join(self, group: str, item_id: str | None = None, *, stream: str = "todo") -> str:
        """Ask for a room, and wait for its state. Returns the subscription."""
        subscription = self.ask_for(group, item_id, stream=stream)
        await self.until(lambda: self.rooms.has(group, item_id))
        return subscription

    def ask_for(self, group: str, item_id: str | None = None, *, stream: str = "todo") -> str:
        subscription = next(_subscriptions)
        data = {"streamName": stream, "groupId": group, "subscriptionId": subscription}
        self.say({"type": "join", "data": data if item_id is None else {**data, "id": item_id}})
        return subscription

    def leave(self, subscription: str) -> None:
        self.say({"type": "leave", "data": {"subscriptionId": subscription}})

    def say(self, message: object) -> None:
        self.transport.write(frame_of(orjson.dumps(message)))

    async def say_without_end(self, words: bytes) -> None:
        """Say these frames as fast as they are taken, for as long as there is a line."""
        while not self.is_lost:
            self.transport.write(words * 500)
            # Also where all of it is taken: others want to do something, too.
            await asyncio.sleep(0)
            await self._may_say_more.wait()

    def stop(self) -> None:
        """Read nothing any more."""
        self.transport.pause_reading()

    def go_on(self) -> None:
        self._reads_once = False
        self.transport.resume_reading()

    async def read_once(self) -> None:
        """Read what has come, as much as one call gets, and then nothing any more."""
        before, self._reads_once = self.bytes, True
        self.transport.resume_reading()
        await self.until(lambda: self.bytes > before or self.is_lost)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until it is so; looked at whenever something came."""
        async with asyncio.timeout(SECONDS):
            while not is_so():
                self._news.clear()
                await self._news.wait()

    async def settled(self) -> None:
        """Wait until the gateway has heard what was said, and what it had said before has come."""
        pongs = self.pongs
        self.say({"type": "ping"})
        await self.until(lambda: self.pongs > pongs)

    async def ended(self) -> int | None:
        """Read on until the line has ended. What it was closed with."""
        self.go_on()
        await self.until(lambda: self.is_lost)
        return self.close_code

    async def shows(self, group: str, items: list[dict[str, Any]]) -> None:
        """Read on until a group is shown as it is, in its order, and nothing follows that changes it."""
        self.go_on()
        await self.until(lambda: self.rooms.items(group) == items)
        await self.settled()
        assert self.rooms.items(group) == items
        assert self.rooms.as_motia_shows_it(group) == items

    async def shows_item(self, group: str, item_id: str, item: dict[str, Any] | None) -> None:
        """The same of an item that was joined by itself."""
        self.go_on()
        await self.until(lambda: self.rooms.item(group, item_id) == item)
        await self.settled()
        assert self.rooms.item(group, item_id) == item
        assert self.rooms.as_motia_shows_it(group, item_id) == item

    # What the loop does with it.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are none by their class.
        self.transport = cast("asyncio.Transport", transport)
        self._wire.send_request(self._wire.connect())
        self._say_what_is_due()

    def data_received(self, data: bytes) -> None:
        if self._reads_once:
            self.transport.pause_reading()
        self.bytes += len(data)
        self._wire.receive_data(data)
        for event in self._wire.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._take(bytes(event.data))
        self._say_what_is_due()
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self._news.set()

    def pause_writing(self) -> None:
        self._may_say_more.clear()

    def resume_writing(self) -> None:
        self._may_say_more.set()

    async def opened(self) -> None:
        await self.until(lambda: self._wire.state is not State.CONNECTING or self.is_lost)
        assert self._wire.state is State.OPEN, self._wire.handshake_exc

    def _take(self, frame: bytes) -> None:
        self.frames.append(frame)
        if frame == b'{"type":"pong"}':
            self.pongs += 1
        else:
            self.rooms.take(frame)

    def _say_what_is_due(self) -> None:
        for data in self._wire.data_to_send():
            if data:
                self.transport.write(data)


def frame_of(message: bytes, opcode: Opcode = Opcode.TEXT) -> bytes:
    return Frame(opcode, message).serialize(mask=True)


class Site:
    """A store, a gateway for it, and its clients."""

    def __init__(
        self, store: Store, hub: Hub, port: int, opened: AsyncExitStack, *, proof: str | None = None
    ) -> None:
        self.store, self.hub, self._opened, self._proof = store, hub, opened, proof
        self.url = f"ws://127.0.0.1:{port}/"
        self.watchful: Client | None = None
        """A client that reads all the time and has joined what is written. Writes are as fast as it reads."""
        self.revisions: list[int] = []
        """Of everything that was written, in order."""
        self._numbers = count(1)

    async def client(self, *groups: str, is_extended: bool = False, proof: str | None = None) -> Client:
        """A client on a socket with small buffers, which has these groups."""
        offered = [*(["streams.v2"] if is_extended else []), *(["Authorization", proof] if proof else [])]
        client = await connected(self.url, self._opened, offered)
        for group in groups:
            await client.join(group)
        return client

    async def watched(self, *groups: str) -> Client:
        """Have a client that reads all the time."""
        self.watchful = await self.client(*groups, proof=self._proof)
        return self.watchful

    async def set(self, group: str, item_id: str, size: int = 10) -> None:
        """Write a value that was never there before, and wait until it is heard."""
        await self.written(group, item_id, size)
        await self._is_heard()

    async def written(self, group: str, item_id: str, size: int = 10) -> None:
        """Write it, whoever hears it."""
        value = {"v": next(self._numbers), "filling": "x" * size}
        with bound_to(self.store):
            self.revisions.append((await todo.set(group, item_id, value)).revision)

    async def delete(self, group: str, item_id: str) -> None:
        with bound_to(self.store):
            await todo.delete(group, item_id)
        # The result of a delete has no revision; it is the next one, as nobody else writes.
        self.revisions.append(self.revisions[-1] + 1)
        await self._is_heard()

    async def items(self, group: str) -> list[dict[str, Any]]:
        """What there is, in the order of creation."""
        with bound_to(self.store):
            return [dict(item) for item in await todo.get_group(group)]

    async def item(self, group: str, item_id: str) -> dict[str, Any] | None:
        with bound_to(self.store):
            return await todo.get(group, item_id)

    async def fall_behind(self, client: Client, group: str = "inbox", item_id: str = "filling") -> None:
        """Stop reading, and write one item until more waits for the client than may."""
        behind = self.hub.behind
        client.stop()
        for _ in range(200):
            await self.set(group, item_id, FILLING_BYTES)
            if self.hub.behind > behind:
                return
        raise AssertionError("the client is never behind")

    async def _is_heard(self) -> None:
        assert self.watchful is not None, "without somebody who reads, writes have no pace"
        await self.watchful.until(lambda: self.watchful_has(self.revisions[-1]))

    def watchful_has(self, revision: int) -> bool:
        assert self.watchful is not None
        return self.watchful.rooms.newest >= revision


async def connected(
    url: str,
    opened: AsyncExitStack,
    subprotocols: list[str] | None = None,
    *,
    receive_bytes: int = RECEIVE_BYTES,
) -> Client:
    """A socket that is open until the test ends."""
    loop, sock = asyncio.get_running_loop(), socket.socket()
    # Before it is connected: the window that the other side is told of follows from it.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.setblocking(False)
    await loop.sock_connect(sock, ("127.0.0.1", urlsplit(url).port or 0))
    _, client = await loop.create_connection(lambda: Client(url, subprotocols or []), sock=sock)
    opened.callback(client.transport.abort)
    await client.opened()
    return client


@asynccontextmanager
async def site_on(store: Store, feed: Feed, **options: Any) -> AsyncIterator[Site]:
    """A gateway that everybody may use, for the length of the block; `options` are those of `Hub.running`."""
    async with AsyncExitStack() as opened:
        sock = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        # As uvloop does, which serves otherwise.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        hub = await opened.enter_async_context(open_hub(feed, store, **options))
        await opened.enter_async_context(listening(hub, sock))
        clients = await opened.enter_async_context(AsyncExitStack())
        yield Site(store, hub, sock.getsockname()[1], clients)
