"""Two tenants on one gateway: nothing of one is seen by the other, whatever it tries."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import orjson
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import Stream, bound_to
from streams.access import AuthRequest, Caller, Claims, Subscription
from streams.auth.rules import OwnRules
from streams.changes import Change
from streams.gateway.access import Access
from streams.gateway.guest import Guest
from streams.gateway.hub import Hub
from streams.gateway.server import listening
from streams.jetstream.connection import Connection
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace, encode
from streams.memory import MemoryStore
from streams.store import Delta, Position, Store
from tests.browser import SECONDS, Browser, Tab
from tests.core.names import names
from tests.everybody import NothingRevoked
from tests.guarded import guarded_gateway, provisioned
from tests.tokens import VERIFIER, token

THEIRS, OURS = "acme", "ac"
"""Two tenants, the name of one of which begins with that of the other."""

MARK = "known-to-acme-alone"

FOREIGN = [
    "acme:inbox",
    "acme:not-there",
    "acme:",
    "acme",
    "acme:*",
    "acme:>",
    "acme:a.b",
    "acme:a/b",
    "acme:ac:inbox",
    "acme/ac:inbox",
    "acme.inbox",
    "ac",
    "ac=3Ainbox",
    "*",
    ">",
    "a*",
    "ac*",
    ".",
    "..",
    "=",
    "_meta",
    "_event",
    " acme:inbox",
    " ac:inbox",
    "AC:inbox",
    "ａｃ:inbox",
    "ac：inbox",
    "acme%3Ainbox",
    encode("acme:inbox"),
    "\nac:inbox",
    "{ac:inbox}",
    '"ac:inbox"',
]
"""Groups that are not ours, or no groups of anybody."""

LOOKALIKES = [
    ("acme:inbox", "ac:inbox"),
    ("acme:inbox", "ac:me:inbox"),
    ("acme:inbox", "ac:acme:inbox"),
    ("acme:inbox", "ac:/../acme:inbox"),
    ("acme:inbox", "ac:" + encode("acme:inbox")),
    ("acme:inbox", "ac:*"),
    ("acme:inbox", "ac:>"),
    ("acme:a.b", "ac:a.b"),
    ("acme:a/b", "ac:a/b"),
    ("acme:*", "ac:inbox"),
    ("acme:>", "ac:inbox"),
    ("acme:*", "ac:*"),
    ("acme:ac:inbox", "ac:inbox"),
    ("acme:" + encode("ac:inbox"), "ac:inbox"),
    ("acme:.", "ac:."),
    ("acme:_event", "ac:_event"),
]
"""A group of theirs, and one of ours that is meant to be taken for it."""


def is_of_the_tenant(subscription: Subscription, context: Any) -> bool:
    return subscription.group.startswith(f"{context['tenant']}:")


todo = Stream("todo", dict, can_access=is_of_the_tenant, can_send=is_of_the_tenant)


class Walled:
    """A feed, and a place for events, that nobody may touch for what it is told to forbid."""

    def __init__(self, memory: MemoryStore) -> None:
        self.memory = memory
        self.forbids: Callable[[str | None], bool] = lambda _: False
        """Of a group; None: what is asked of a stream as a whole."""
        self.touched: list[str] = []

    def listening(
        self, stream: str, group: str, deliver: Callable[[Change], None], lost: Callable[[], None]
    ) -> AbstractAsyncContextManager[None]:
        self._touch("listening", group)
        return self.memory.listening(stream, group, deliver, lost)

    async def end(self, stream: str) -> Position:
        self._touch("end", None)
        return await self.memory.end(stream)

    async def is_guarded(self, stream: str) -> bool:
        self._touch("is_guarded", None)
        return await self.memory.is_guarded(stream)

    async def changes(self, stream: str, group: str, after: int, at_least: Position) -> Delta:
        self._touch("changes", group)
        return await self.memory.changes(stream, group, after, at_least)

    async def send(
        self, stream: str, group: str, item_id: str | None, event: bytes, *, is_awaited: bool = True
    ) -> None:
        self._touch("send", group)
        await self.memory.send(stream, group, item_id, event, is_awaited=is_awaited)

    def _touch(self, what: str, group: str | None) -> None:
        if self.forbids(group):
            self.touched.append(f"{what} {group}")
            raise AssertionError(f"{what} of {group!r} was touched")


@asynccontextmanager
async def walled_hub(walled: Walled) -> AsyncIterator[Hub]:
    async with (
        OwnRules.running([todo], None) as rules,
        Hub.running(
            walled,
            Access(VERIFIER, rules, NothingRevoked(), walled),
            walled,  # Of a store, a gateway uses `send` alone
        ) as hub,
    ):
        yield hub


@pytest.fixture
def walled() -> Walled:
    return Walled(MemoryStore(["todo"]))


@pytest_asyncio.fixture
async def behind_a_wall(walled: Walled, opened: AsyncExitStack) -> Browser:
    """A gateway on a store that tells when it is touched."""
    sock = socket.create_server(("127.0.0.1", 0))
    hub = await opened.enter_async_context(walled_hub(walled))
    await opened.enter_async_context(listening(hub, sock))
    return Browser(f"ws://127.0.0.1:{sock.getsockname()[1]}/", opened)


@pytest_asyncio.fixture
async def store(connection: Connection, namespace: Namespace) -> Store:
    await provisioned(connection, namespace, [todo])
    return KvStore(connection, namespace)


@pytest_asyncio.fixture
async def shared(
    store: Store, connection: Connection, namespace: Namespace, opened: AsyncExitStack
) -> Browser:
    """A gateway on NATS that both tenants use."""
    gateway = await opened.enter_async_context(guarded_gateway(connection, namespace, [todo]))
    return Browser(gateway.url, opened)


async def of(tenant: str | None, browser: Browser, *, is_extended: bool = True) -> Tab:
    """A member of a tenant; None: somebody without a token."""
    proof = [] if tenant is None else ["Authorization", token(f"{MARK} {tenant}", tenant=tenant)]
    tab = await browser.open(subprotocols=[*(["streams.v2"] if is_extended else []), *proof] or None)
    if is_extended:
        await tab.next()
    return tab


async def watching(tenant: str, browser: Browser, group: str, item_id: str | None = None) -> Tab:
    """A member of a tenant who has a room."""
    tab = await of(tenant, browser)
    await tab.join("todo", group, item_id)
    assert (await tab.next_event())["type"] == "sync"
    return tab


def sent(group: str, item_id: str | None = None, *, ref: int | None = 1, data: object = MARK) -> object:
    room = {"streamName": "todo", "groupId": group, "id": item_id}
    return {"type": "send", "ref": ref, "data": {**room, "event": {"type": "said", "data": data}}}


async def busy_with(store: Store, group: str, item_id: str = "1") -> None:
    """Everything that can happen to a group."""
    with bound_to(store):
        await todo.set(group, item_id, {"text": MARK})
        await todo.update(group, item_id, [{"type": "set", "path": "more", "value": MARK}])
        await todo.set(group, MARK, {"text": MARK})
        await todo.send(group, {"type": "said", "data": MARK})
        await todo.send({"groupId": group, "id": item_id}, {"type": "said", "data": MARK})
        await todo.delete(group, item_id)
        await todo.set(group, item_id, {"text": MARK})
        await todo.delete_group(group)


# Behind a wall: a refusal says nothing, because nothing is known when it is said.


@pytest.mark.parametrize("item_id", [None, "1"], ids=["group", "item"])
@pytest.mark.parametrize("tenant", [OURS, None])
async def test_a_refused_join_touches_nothing_that_is_stored(
    walled: Walled, behind_a_wall: Browser, tenant: str | None, item_id: str | None
):
    await busy_with(walled.memory, "acme:inbox")
    tab = await of(tenant, behind_a_wall)
    walled.forbids = lambda _: True

    for group in FOREIGN:
        await tab.join("todo", group, item_id)
        frame = await tab.next()
        assert (frame["streamName"], frame["groupId"], frame["id"]) == ("todo", group, item_id)
        assert (frame["event"]["type"], frame["event"]["code"]) == ("unauthorized", "STREAM_ACCESS_DENIED")

    assert await tab.nothing_came()
    assert walled.touched == []


@pytest.mark.parametrize("item_id", [None, "1"], ids=["group", "item"])
@pytest.mark.parametrize("tenant", [OURS, None])
async def test_a_refused_event_touches_nothing_either(
    walled: Walled, behind_a_wall: Browser, tenant: str | None, item_id: str | None
):
    tab = await of(tenant, behind_a_wall)
    walled.forbids = lambda _: True

    for number, group in enumerate(FOREIGN):
        await tab.say(sent(group, item_id, ref=number))
        answer = await tab.next()
        assert (answer["type"], answer["code"], answer["ref"]) == ("error", "SEND_DENIED", number)

    assert walled.touched == []


@pytest.mark.parametrize("is_extended", [True, False], ids=["extended", "plain"])
@pytest.mark.parametrize("watched", [True, False], ids=["watched", "unwatched"])
async def test_a_refusal_is_the_same_whatever_there_is(
    walled: Walled, behind_a_wall: Browser, is_extended: bool, watched: bool
):
    with bound_to(walled.memory):
        await todo.set("acme:busy", "here", {"text": MARK})
    if watched:
        await watching(THEIRS, behind_a_wall, "acme:busy")
    tab = await of(OURS, behind_a_wall, is_extended=is_extended)

    refusals = set()
    for group in ("acme:busy", "acme:void"):
        for item_id in (None, "here", "nope"):
            await tab.join("todo", group, item_id)
            said = b"\n".join([await tab.next_frame() for _ in range(1 if is_extended else 2)])
            own = orjson.dumps(group), b'"id":' + orjson.dumps(item_id)
            assert all(name in said for name in own)
            refusals.add(said.replace(own[0], b"GROUP").replace(own[1], b"ID"))

    assert len(refusals) == 1
    assert await tab.nothing_came()


async def test_the_answer_to_a_refused_event_is_the_same_whatever_there_is(
    walled: Walled, behind_a_wall: Browser
):
    with bound_to(walled.memory):
        await todo.set("acme:busy", "here", {"text": MARK})
    them, tab = await watching(THEIRS, behind_a_wall, "acme:busy"), await of(OURS, behind_a_wall)

    answers = set()
    for group in ("acme:busy", "acme:void", "nobody:void"):
        for item_id in (None, "here", "nope"):
            await tab.say(sent(group, item_id))
            answers.add(await tab.next_frame())

    assert len(answers) == 1
    assert await them.nothing_came()


async def test_asking_again_after_a_refusal_is_refused_the_same(walled: Walled, behind_a_wall: Browser):
    await busy_with(walled.memory, "acme:inbox")
    tab = await of(OURS, behind_a_wall)
    walled.forbids = lambda _: True

    for subscription in ("s", "s", "other"):
        await tab.join("todo", "acme:inbox", subscription=subscription)
        await tab.next_frame()

    assert len(set(tab.frames[1:])) == 1
    assert walled.touched == []


async def test_a_subscription_of_ours_that_is_turned_to_a_room_of_theirs_hears_of_neither(
    walled: Walled, behind_a_wall: Browser
):
    tab = await of(OURS, behind_a_wall)
    await tab.join("todo", "ac:inbox", subscription="s")
    await tab.next()
    await tab.join("todo", "acme:inbox", subscription="s")
    assert (await tab.next_event())["type"] == "unauthorized"

    await busy_with(walled.memory, "acme:inbox")
    await busy_with(walled.memory, "ac:inbox")

    assert await tab.nothing_came()


async def test_a_room_of_ours_stays_when_one_of_theirs_is_refused(walled: Walled, behind_a_wall: Browser):
    tab = await watching(OURS, behind_a_wall, "ac:inbox")
    await tab.join("todo", "acme:inbox")
    assert (await tab.next_event())["type"] == "unauthorized"

    with bound_to(walled.memory):
        await todo.set("acme:inbox", "1", {"text": MARK})
        await todo.set("ac:inbox", "1", {"text": "ours"})

    assert (await tab.next_event())["data"] == {"id": "1", "text": "ours"}
    assert await tab.nothing_came()


# On NATS, where a name is part of a subject.


@pytest.mark.parametrize(("theirs", "ours"), LOOKALIKES, ids=lambda name: repr(name))
async def test_nothing_of_their_group_is_seen_in_ours_that_looks_like_it(
    shared: Browser, store: Store, theirs: str, ours: str
):
    them, us = await watching(THEIRS, shared, theirs), await watching(OURS, shared, ours)
    items = await watching(OURS, shared, ours, "1")

    await busy_with(store, theirs)
    await (await of(THEIRS, shared)).say(sent(theirs, "1", ref=None))
    while (await them.next_event()).get("event", {}).get("from") is None:
        pass

    assert await us.nothing_came()
    assert await items.nothing_came()
    with bound_to(store):
        await todo.set(ours, "1", {"text": "ours"})
    for tab in (us, items):
        assert (await tab.next_event())["data"]["text"] == "ours"
    assert await them.nothing_came()


@pytest.mark.parametrize(("theirs", "ours"), LOOKALIKES, ids=lambda name: repr(name))
async def test_a_state_has_nothing_of_a_group_that_looks_like_it(
    shared: Browser, store: Store, theirs: str, ours: str
):
    with bound_to(store):
        await todo.set(theirs, "1", {"text": MARK})

    us, item = await watching(OURS, shared, ours), await watching(OURS, shared, ours, "1")

    assert orjson.loads(us.frames[-1])["event"]["data"] == []
    assert orjson.loads(item.frames[-1])["event"]["data"] is None


async def test_items_of_the_same_id_are_two(shared: Browser, store: Store):
    tabs = [await watching(tenant, shared, f"{tenant}:inbox", "1") for tenant in (THEIRS, OURS)]

    with bound_to(store):
        for tenant in (THEIRS, OURS):
            await todo.set(f"{tenant}:inbox", "1", {"text": tenant})
            await todo.delete(f"{tenant}:inbox", "1")

    for tab, tenant in zip(tabs, (THEIRS, OURS), strict=True):
        for kind in ("create", "delete"):
            assert await tab.next_event() == {"type": kind, "data": {"id": "1", "text": tenant}}
        assert await tab.nothing_came()


async def test_events_of_one_tenant_reach_nobody_of_the_other(shared: Browser):
    them, us = await watching(THEIRS, shared, "acme:inbox"), await watching(OURS, shared, "ac:inbox")
    speakers = [await of(THEIRS, shared), await of(OURS, shared)]

    for speaker in speakers:
        for group in ("acme:inbox", "ac:inbox"):
            for item_id in (None, "1"):
                await speaker.say(sent(group, item_id, data=group))
    answers = [[(await speaker.next()).get("code", "ack") for _ in range(4)] for speaker in speakers]

    assert answers == [["ack", "ack", "SEND_DENIED", "SEND_DENIED"], ["SEND_DENIED"] * 2 + ["ack"] * 2]
    for tab, group in ((them, "acme:inbox"), (us, "ac:inbox")):
        assert [(await tab.next_event())["event"]["data"] for _ in range(2)] == [group] * 2
        assert await tab.nothing_came()


async def test_who_is_refused_a_group_that_is_watched_hears_nothing_of_it(shared: Browser, store: Store):
    them, us = await watching(THEIRS, shared, "acme:inbox"), await of(OURS, shared)
    for item_id in (None, "1", MARK):
        await us.join("todo", "acme:inbox", item_id)
        assert (await us.next_event())["type"] == "unauthorized"

    await busy_with(store, "acme:inbox")

    assert (await them.next_event())["type"] == "create"
    assert await us.nothing_came()


# Whatever one tries.

ids = st.one_of(st.none(), st.sampled_from(["1", "*", ">", "", "="]), names)
groups = st.one_of(
    st.sampled_from([*FOREIGN, *(name for pair in LOOKALIKES for name in pair)]),
    names,
    names.map(lambda name: f"ac:{name}"[:80]),
)
rooms = st.fixed_dictionaries(
    {"streamName": st.sampled_from(["todo", "todo", "todo", "revoked", "todos", ""]), "groupId": groups},
    optional={"id": ids},
)
subscriptions = st.sampled_from(["s1", "s2"])
joins = st.builds(lambda room, name: {**room, "subscriptionId": name}, rooms, subscriptions)
leaves = st.builds(lambda name: {"subscriptionId": name}, subscriptions)
sends = st.builds(lambda room: {**room, "event": {"type": "said"}}, rooms)
tries = st.one_of(
    st.builds(lambda data: {"type": "join", "data": data}, joins),
    st.builds(lambda data: {"type": "leave", "data": data}, leaves),
    st.builds(
        lambda data, ref: {"type": "send", "ref": ref, "data": data}, sends, st.none() | st.integers(0, 9)
    ),
)
happenings = st.sampled_from([theirs for theirs, _ in LOOKALIKES])


class Ear:
    """A line to a client, which keeps what goes over it."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def write(self, frames: bytes) -> None:
        self.heard.append(frames)

    def close(self, code: int, reason: str) -> None:
        raise AssertionError(f"closed: {code} {reason}")

    def hold(self) -> None: ...

    def go_on(self) -> None: ...


def a_guest(hub: Hub, ear: Ear, tenant: str) -> Guest:
    claims = Claims({"sub": f"of {tenant}", "iat": 0.0, "exp": 9e9, "tenant": tenant})
    guest = Guest(hub, ear, Caller(claims, claims), AuthRequest("websocket", "/"), is_extended=True)
    guest.welcome(25.0)
    return guest


@settings(deadline=None)
@given(st.lists(st.one_of(tries, happenings), max_size=20), st.booleans())
def test_whatever_rooms_one_tenant_tries_it_hears_nothing_of_the_other(
    steps: list[dict[str, Any] | str], they_watch: bool
):
    asyncio.run(_goes_through(steps, they_watch=they_watch))


async def _goes_through(steps: list[dict[str, Any] | str], *, they_watch: bool) -> None:
    walled = Walled(MemoryStore(["todo"]))
    async with walled_hub(walled) as hub, asyncio.timeout(SECONDS):
        theirs, ours = Ear(), Ear()
        if they_watch:
            them = a_guest(hub, theirs, THEIRS)
            for number, (group, _) in enumerate(LOOKALIKES):
                room = {"streamName": "todo", "groupId": group, "subscriptionId": str(number)}
                them.hear(orjson.dumps({"type": "join", "data": room}))
            await _all_is_done()
        else:
            walled.forbids = lambda group: group is not None and not group.startswith("ac:")
        us = a_guest(hub, ours, OURS)
        for step in steps:
            if isinstance(step, str):
                await busy_with(walled.memory, step)
            else:
                us.hear(orjson.dumps(step))
        await _all_is_done()

    assert walled.touched == []
    assert not [frames for frames in ours.heard if MARK.encode() in frames]
    if they_watch and any(isinstance(step, str) for step in steps):
        assert [frames for frames in theirs.heard if MARK.encode() in frames]


async def _all_is_done() -> None:
    """Every join and event of before was answered, and what waited was flushed."""
    while any(task.get_name().startswith(("gateway: join", "gateway: send")) for task in asyncio.all_tasks()):
        await asyncio.sleep(0)
    await asyncio.sleep(0)
