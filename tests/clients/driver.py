"""Motia's own clients, in a Node process that tests drive."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any, Literal, TypeAlias, get_args

from tests.browser import SECONDS
from tests.clients.harness import Harness

Generation: TypeAlias = Literal["node-0.17", "browser-0.17", "browser-0.2.2"]
GENERATIONS: tuple[Generation, ...] = get_args(Generation)

LISTENED_TO = ("ping", "error")
"""The types of custom events that every subscription listens to."""

Json: TypeAlias = Any


class Subscription:
    """A subscription of a client: what its listeners were called with."""

    def __init__(self, node: Node, name: str) -> None:
        self._node, self.name = node, name
        self.states: list[Json] = []
        """Every state, oldest first. A group's `[]` before its first `sync` is told to nobody."""
        self.events: list[tuple[str, Json]] = []
        """Every custom event as (type, data)."""

    async def shows(self, state: Json) -> None:
        """Wait until the newest state is this one."""
        await self.comes_to(lambda newest: newest == state, str(state))

    async def comes_to(self, is_it: Callable[[Json], bool], wanted: str = "the one wanted") -> None:
        """Wait until the newest state is such a one."""
        await self._node.until(
            lambda: bool(self.states) and is_it(self.states[-1]),
            lambda: f"the newest of {len(self.states)} states is not {wanted}: {self.states[-1:]}",
        )

    async def heard(self, *events: tuple[str, Json]) -> None:
        """Wait until these are the events that came, no others, in this order."""
        await self._node.until(
            lambda: self.events == list(events), lambda: f"the events are not {list(events)}: {self.events}"
        )

    async def hears(self, times: int) -> None:
        """Wait until so many events came."""
        await self._node.until(
            lambda: len(self.events) >= times, lambda: f"only {len(self.events)} events: {self.events}"
        )

    def close(self) -> None:
        self._node.do("unsubscribe", subscription=self.name)

    def take(self, what: str, value: Json) -> None:
        match what:
            case "state":
                self.states.append(value)
            case "event":
                self.events.append((value[0], value[1]))


class Client:
    """One `Stream` of Motia's: a socket that comes back, and its subscriptions."""

    def __init__(self, node: Node, name: str, generation: Generation) -> None:
        self._node, self.name, self.generation = node, name, generation
        self.opened: list[str] = []
        """The subprotocol of every socket that was opened."""
        self.closed: list[int] = []
        """The close code of every socket that ended."""
        self.frames: list[dict[str, Any]] = []
        """Every message on the wire, except for the answers to `settled`."""
        self._pongs = 0

    def group(self, group: str, sort_key: str | None = None, *, stream: str = "todo") -> Subscription:
        return self._subscribe(stream=stream, group=group, sortKey=sort_key)

    def item(self, group: str, item_id: str, *, stream: str = "todo") -> Subscription:
        return self._subscribe(stream=stream, group=group, item=item_id)

    def say(self, message: object, *, binary: bool = False) -> None:
        """Send something on the client's socket that it would not send by itself."""
        self._node.do("say", client=self.name, text=json.dumps(message), binary=binary)

    def close(self) -> None:
        self._node.do("close", client=self.name)

    async def is_open(self, times: int = 1) -> None:
        """Wait until so many sockets were opened, one after the other."""
        await self._node.until(
            lambda: len(self.opened) >= times,
            lambda: f"opened {len(self.opened)} times, closed with {self.closed}",
        )

    async def is_closed(self, times: int = 1) -> None:
        await self._node.until(
            lambda: len(self.closed) >= times, lambda: f"closed {len(self.closed)} times only"
        )

    async def gets_frames(self, times: int) -> None:
        """Wait until so many frames came on all its sockets."""
        await self._node.until(
            lambda: len(self.frames) >= times, lambda: f"only {len(self.frames)} frames: {self.frames}"
        )

    async def settled(self) -> None:
        """Wait until the gateway has read what was sent, and what it had sent has come."""
        pongs = self._pongs
        self.say({"type": "ping"})
        await self._node.until(lambda: self._pongs > pongs, lambda: "no pong came")

    def take(self, what: str, value: Json) -> None:
        match what:
            case "opened":
                self.opened.append(value)
            case "closed":
                self.closed.append(value)
            case "frame":
                frame = json.loads(value)
                if frame == {"type": "pong"}:
                    self._pongs += 1
                else:
                    self.frames.append(frame)

    def _subscribe(self, **room: Json) -> Subscription:
        subscription = Subscription(self._node, self._node.name("subscription"))
        self._node.meet(subscription)
        self._node.do(
            "subscribe", client=self.name, subscription=subscription.name, events=LISTENED_TO, **room
        )
        return subscription


class Node:
    """A Node process with any number of clients in it, for the length of one test."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        self._numbers = count()
        self._news = asyncio.Condition()
        self._is_over = False
        self._known: dict[str, Client | Subscription] = {}

    @classmethod
    @asynccontextmanager
    async def driving(cls, harness: Harness, *, reconnect_ms: int) -> AsyncIterator[Node]:
        """That a client throws during the block, which ends a Node process, is an error."""
        node = cls(harness)
        async with harness.lines() as lines:
            listening = asyncio.create_task(node._listen(lines))
            node.do("begin", reconnectMs=reconnect_ms)
            try:
                yield node
            finally:
                with suppress(BrokenPipeError):
                    node.do("end")
                async with asyncio.timeout(SECONDS):
                    has_ended_well = await listening
        assert has_ended_well, f"the Node process ended: {harness.complaints()}"

    def open(self, generation: Generation, url: str, protocols: Sequence[str] | None = None) -> Client:
        """A client that connects, and goes on trying for as long as the test runs."""
        client = Client(self, self.name("client"), generation)
        self.meet(client)
        self.do("open", client=client.name, generation=generation, url=url, protocols=protocols)
        return client

    async def until(self, is_so: Callable[[], bool], otherwise: Callable[[], str]) -> None:
        """Wait until it is so. Fails with the sentence when it never is."""
        try:
            async with asyncio.timeout(SECONDS), self._news:
                await self._news.wait_for(lambda: is_so() or self._is_over)
        except TimeoutError:
            raise AssertionError(otherwise()) from None
        assert is_so(), f"{otherwise()}; the Node process ended: {self._harness.complaints()}"

    def do(self, what: str, **arguments: Json) -> None:
        self._harness.do(what, **arguments)

    def name(self, kind: str) -> str:
        return f"{kind} {next(self._numbers)}"

    def meet(self, somebody: Client | Subscription) -> None:
        """Tell somebody what the process says of them from now on."""
        self._known[somebody.name] = somebody

    async def _listen(self, lines: asyncio.StreamReader) -> bool:
        """Returns whether the process has lived to the test's end."""
        has_ended_well = False
        while not has_ended_well and (line := await lines.readline()):
            said = json.loads(line)
            has_ended_well = said["what"] == "ended"
            if not has_ended_well:
                self._known[said["of"]].take(said["what"], said.get("value"))
            await self._tell()
        self._is_over = True
        await self._tell()
        return has_ended_well

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()
