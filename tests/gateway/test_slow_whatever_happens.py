"""Whatever is written, and whoever reads when: in the end everybody is right, and nobody was told nonsense.

The sockets are ours, over a transport that lets through as much as the test
says: so a failure can be had again.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeAlias

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.auth.origins import Origins
from streams.client.held import Held, Wanted
from streams.gateway import behind, cache, catching_up, client_line, outbox, states
from streams.gateway.hub import Hub
from streams.gateway.socket import Socket
from streams.memory import MemoryStore
from streams.store import bound_to
from tests.everybody import open_hub
from tests.gateway.rooms import Place
from tests.gateway.stalling import Client, todo

CLIENTS = 4
EXTENDED = 2
"""So many of them speak the extended dialect."""
GROUPS = ("one", "two")
ITEMS = ("a", "b", "c", "d")
ROOMS: list[Place] = [("one", None), ("two", None), ("one", "a"), ("one", "b")]
TICKS = 40
"""More turns of the loop than anything takes that nobody waits for."""


class Line(asyncio.Transport):
    """Between a socket of ours and a client: what is written waits until it is let through."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client, self._waiting, self._is_paused, self._is_closing = client, b"", False, False
        self._high = self._low = 0
        self._protocol: Any = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    @property
    def server(self) -> Socket:
        assert isinstance(self._protocol, Socket)
        return self._protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None
        assert low is not None
        self._high, self._low = high, low

    def get_write_buffer_size(self) -> int:
        return len(self._waiting)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._waiting += data
        if not self._is_paused and len(self._waiting) > self._high:
            self._is_paused = True
            self._protocol.pause_writing()

    def let_through(self, most_bytes: int) -> None:
        came, self._waiting = self._waiting[:most_bytes], self._waiting[most_bytes:]
        if came:
            self._client.data_received(came)
        if self._is_paused and len(self._waiting) <= self._low:
            self._is_paused = False
            self._protocol.resume_writing()

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    def abort(self) -> None:
        self._is_closing = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Mouth(asyncio.Transport):
    """What a client says comes at once."""

    def __init__(self, server: Socket) -> None:
        super().__init__()
        self._server = server

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._server.data_received(bytes(data))


class Member(Client):
    """A client that joins and leaves rooms, each with one subscription."""

    line: Line

    def __init__(self, *, is_extended: bool) -> None:
        super().__init__("ws://nowhere/", ["streams.v2"] if is_extended else [])
        self.held = {group: Held() for group in GROUPS} if is_extended else None
        """What a client of ours makes of what it is told."""
        self.wanted: set[Place] = set()
        self._leaving: list[Place] = []

    def wish(self, place: Place, *, is_wanted: bool) -> None:
        group, item_id = place
        if is_wanted:
            data = {"streamName": "todo", "groupId": group, "id": item_id, "subscriptionId": str(place)}
            self.say({"type": "join", "data": data})
            self.wanted.add(place)
        elif place in self.wanted:
            self.wanted.remove(place)
            self._leaving.append(place)
            self.leave(str(place))
            self.say({"type": "ping"})

    def _take(self, frame: bytes) -> None:
        pongs = self.pongs
        super()._take(frame)
        message = orjson.loads(frame)
        is_change = message.get("event", {}).get("type") in ("create", "update", "delete")
        # Of items, also where their group was left: then it holds nothing of it any more.
        is_held = message.get("id") is None or (is_change and self.rooms.has(message["groupId"]))
        if self.held and message["type"] == "stream" and is_held:
            assert self.held[message["groupId"]].take(message) is Wanted.NOTHING
        if self.pongs > pongs:
            # It was left before this was said: from here on nothing may come of it.
            place = self._leaving.pop(0)
            if self.rooms.has(*place):
                self.rooms.drop(*place)


@dataclass(frozen=True)
class Write:
    group: str
    item: str
    size: int


@dataclass(frozen=True)
class Delete:
    group: str
    item: str


@dataclass(frozen=True)
class Say:
    group: str


@dataclass(frozen=True)
class Ask:
    """Something that is answered at once, however little of what was told before has been read."""

    client: int
    times: int


@dataclass(frozen=True)
class Read:
    client: int
    most_bytes: int


@dataclass(frozen=True)
class Wish:
    client: int
    place: Place
    is_wanted: bool


@dataclass(frozen=True)
class Wait:
    ticks: int


Step: TypeAlias = Write | Delete | Say | Ask | Read | Wish | Wait

groups, items, clients = st.sampled_from(GROUPS), st.sampled_from(ITEMS), st.integers(0, CLIENTS - 1)
steps = st.one_of(
    st.builds(Write, groups, items, st.sampled_from([1, 400, 1500])),
    st.builds(Write, groups, items, st.sampled_from([1, 400, 1500])),
    st.builds(Delete, groups, items),
    st.builds(Say, groups),
    st.builds(Ask, clients, st.integers(1, 10)),
    st.builds(Read, clients, st.sampled_from([1, 700, 3000, 100_000])),
    st.builds(Wish, clients, st.sampled_from(ROOMS), st.booleans()),
    st.builds(Wait, st.sampled_from([1, 1, 2, 10])),
)


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few writes are too many."""
    monkeypatch.setattr(client_line, "MAX_WAITING_BYTES", 2000)
    monkeypatch.setattr(client_line, "FEW_WAITING_BYTES", 500)
    monkeypatch.setattr(catching_up, "SINGLE_BYTES", 1000)
    monkeypatch.setattr(behind, "SMALLEST_BACKLOG", 5)
    monkeypatch.setattr(states, "PART_BYTES", 1200)
    # Turns of the loop are counted here, and not time: on a slow machine every flush is a long one.
    monkeypatch.setattr(cache, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(outbox, "QUIET_FROM_SECONDS", math.inf)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=20, max_size=100), st.sampled_from([10**9, 3000, 0]))
def test_everybody_is_right_in_the_end_and_was_told_nothing_that_does_not_fit(
    small_limits: None, happenings: list[Step], cache_bytes: int
):
    asyncio.run(go_through(happenings, cache_bytes))


async def go_through(happenings: list[Step], cache_bytes: int) -> None:
    store = MemoryStore(["todo"])
    with bound_to(store):
        # What is left is let go at once, so that items are followed alone now, and with their group then.
        async with open_hub(store, store, linger_seconds=0.0, cache_bytes=cache_bytes) as hub:
            members = [await entered(hub, is_extended=number < EXTENDED) for number in range(CLIENTS)]
            for number, member in enumerate(members):
                for place in ROOMS if number % 2 else ROOMS[::-1]:
                    member.wish(place, is_wanted=True)
            await ticks(TICKS)
            for number, step in enumerate(happenings):
                await do(step, number + 1, members)

            for _ in range(TICKS):
                for member in members:
                    member.line.let_through(1_000_000)
                await ticks(1)
            await all_is_right(hub, members)
            for member in members:
                # Whoever holds something else than there is would ask for it now.
                member.line.server.alarm()
                member.line.let_through(1_000_000)


async def do(step: Step, number: int, members: list[Member]) -> None:
    match step:
        case Write():
            await todo.set(step.group, step.item, {"v": number, "filling": "x" * step.size})
        case Delete():
            await todo.delete(step.group, step.item)
        case Say():
            await todo.send(step.group, {"type": "said"})
        case Ask():
            for _ in range(step.times):
                members[step.client].say({"type": "nonsense"})
        case Read():
            members[step.client].line.let_through(step.most_bytes)
        case Wish():
            members[step.client].wish(step.place, is_wanted=step.is_wanted)
        case Wait():
            await ticks(step.ticks)


async def all_is_right(hub: Hub, members: list[Member]) -> None:
    for member in members:
        for group, item_id in member.wanted:
            stored: Any = await (todo.get_group(group) if item_id is None else todo.get(group, item_id))
            rooms = member.rooms
            assert rooms.has(group, item_id)
            shown = rooms.items(group) if item_id is None else rooms.item(group, item_id)
            assert shown == stored
            assert rooms.as_motia_shows_it(group, item_id) == stored
            if member.held and item_id is None:
                assert member.held[group].items == stored
        assert {place for place in ROOMS if member.rooms.has(*place)} == member.wanted
    assert (hub.behind, hub.unread_bytes) == (0, 0)
    assert hub.cache.bytes == sum(audience.held_bytes for audience in hub.audiences)
    assert not any(len(audience._behind.backlog) for audience in hub.audiences)


async def entered(hub: Hub, *, is_extended: bool) -> Member:
    state: Any = {"hub": hub, "origins": Origins()}
    member, server = Member(is_extended=is_extended), Socket(None, SimpleNamespace(connections=set()), state)
    member.line = Line(member)
    member.line.set_protocol(server)
    server.connection_made(member.line)
    member.connection_made(Mouth(server))
    await ticks(TICKS)
    member.line.let_through(1_000_000)
    await member.opened()
    return member


async def ticks(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)
