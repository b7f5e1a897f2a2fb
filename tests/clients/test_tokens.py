"""Motia's clients with a token, on a gateway as it is deployed."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from streams import bound_to
from streams.auth.revocations import Revocation, revoke
from streams.jetstream.connection import Connection
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.messages import CLOSE_UNAUTHORIZED
from streams.store import Store
from tests.clients import driver
from tests.clients.driver import GENERATIONS, Client, Generation, Node
from tests.clients.own_groups import gateway_of_own_groups, todo
from tests.conftest import Gateway
from tests.tokens import token

pytestmark = pytest.mark.node

NOT_OPENED = 1006
"""What a client is told of a socket that was refused. It comes from no gateway."""

MINUTE = 60.0


@pytest.fixture
def store(connection: Connection, namespace: Namespace) -> Store:
    return KvStore(connection, namespace)


@pytest_asyncio.fixture
async def guarded(connection: Connection, namespace: Namespace, opened: AsyncExitStack) -> Gateway:
    """A gateway where everybody may see the group of their own name, and no other."""
    return await opened.enter_async_context(gateway_of_own_groups(connection, namespace))


class Clients:
    """Opens Motia's clients with tokens, each as its generation sends them."""

    def __init__(self, node: Node, url: str) -> None:
        self._node, self._url = node, url

    def open(self, generation: Generation, token: str) -> Client:
        if generation == "browser-0.2.2":
            return self._node.open(generation, f"{self._url}?authToken={token}")
        return self._node.open(generation, self._url, protocols=["Authorization", token])

    def open_without(self, generation: Generation) -> Client:
        return self._node.open(generation, self._url)


@pytest.fixture
def clients(node: Node, guarded: Gateway) -> Clients:
    return Clients(node, guarded.url)


async def is_refused(subscription: driver.Subscription, code: str = "STREAM_ACCESS_DENIED") -> None:
    """Wait until the application has heard of one refusal, for this reason."""
    await subscription.hears(1)
    assert [(kind, data["code"]) for kind, data in subscription.events] == [("error", code)]


async def stays_out(client: Client, *, times: int) -> None:
    """Wait until the client was refused so many times more."""
    opened, closed = len(client.opened), len(client.closed)
    await client.is_closed(closed + times)
    assert len(client.opened) == opened
    assert client.closed[closed:] == [NOT_OPENED] * (len(client.closed) - closed)


async def test_a_user_sees_the_group_of_its_own_live(clients: Clients, generation: Generation, store: Store):
    ann = clients.open(generation, token("ann"))
    group, item = ann.group("ann"), ann.item("ann", "a")
    await group.shows([])
    await item.shows(None)

    with bound_to(store):
        await todo.set("ann", "a", {"v": 1})
        await item.shows({"id": "a", "v": 1})
        await group.shows([{"id": "a", "v": 1}])
        await todo.set("ann", "a", {"v": 2})
        await item.shows({"id": "a", "v": 2})
        await group.shows([{"id": "a", "v": 2}])
        await todo.send("ann", {"type": "ping", "data": "hello"})
        await todo.delete("ann", "a")

    await group.shows([])
    await item.shows(None)
    await group.heard(("ping", "hello"))


@pytest.mark.parametrize("kind", ["group", "item"])
async def test_what_belongs_to_somebody_else_is_refused_where_an_application_hears_it(
    clients: Clients, generation: Generation, store: Store, kind: str
):
    with bound_to(store):
        await todo.set("bob", "a", {"v": 1})
    ann = clients.open(generation, token("ann"))
    own, bobs = ann.group("ann"), ann.group("bob") if kind == "group" else ann.item("bob", "a")
    await own.shows([])
    await is_refused(bobs)

    with bound_to(store):
        await todo.set("bob", "a", {"v": 2})
        await todo.send("bob", {"type": "ping", "data": "for bob"})
        await todo.set("ann", "a", {"v": 1})
    await own.shows([{"id": "a", "v": 1}])
    await ann.settled()

    assert bobs.states == []
    await is_refused(bobs)
    assert [frame["event"]["type"] for frame in ann.frames if frame["groupId"] == "bob"] == [
        "event",
        "unauthorized",
    ]


async def test_who_brings_no_token_is_refused(clients: Clients, generation: Generation):
    anonymous = clients.open_without(generation)

    own = anonymous.group("ann")

    await is_refused(own)
    assert own.states == []
    assert anonymous.opened == [""]


@pytest.mark.parametrize(
    "bad",
    [
        token("ann", made=time.time() - 2 * MINUTE, lasts=MINUTE),
        token("ann", aud="somebody-else"),
        token("ann")[:-4] + "AAAA",
        "undefined",
    ],
    ids=["ended", "for another audience", "of another signature", "a frontend's mistake"],
)
async def test_a_client_with_a_bad_token_keeps_trying_and_never_gets_in(
    clients: Clients, generation: Generation, bad: str
):
    ann = clients.open(generation, bad)
    own, others = ann.group("ann"), ann.group("bob")

    await stays_out(ann, times=3)

    assert ann.frames == []
    assert [*own.states, *own.events, *others.states, *others.events] == []


async def test_an_address_that_announces_a_token_and_has_none_is_not_taken_for_nobodys(clients: Clients):
    ann = clients.open("browser-0.2.2", "")

    await stays_out(ann, times=3)


async def test_at_the_end_of_its_token_a_client_is_out_until_somebody_gives_it_another(
    clients: Clients, store: Store
):
    ending = token("ann", lasts=2)
    tabs = [clients.open(generation, ending) for generation in GENERATIONS]
    groups = [tab.group("ann") for tab in tabs]
    for group in groups:
        await group.shows([])

    for tab in tabs:
        await tab.is_closed()
        assert tab.closed[0] == CLOSE_UNAUTHORIZED
        await stays_out(tab, times=2)
    with bound_to(store):
        await todo.set("ann", "a", {"v": 1})
    fresh = [clients.open(generation, token("ann")).group("ann") for generation in GENERATIONS]

    for group in fresh:
        await group.shows([{"id": "a", "v": 1}])
    assert [group.states for group in groups] == [[[]]] * len(groups)


async def test_a_user_who_is_revoked_is_out_at_once_and_nobody_else(
    clients: Clients, generation: Generation, store: Store
):
    now = time.time()
    ann, bob = [clients.open(generation, token(sub, made=now - MINUTE)) for sub in ("ann", "bob")]
    anns, bobs = ann.group("ann"), bob.group("bob")
    await anns.shows([])
    await bobs.shows([])

    await revoke(store, Revocation("ann", None, None, now - MINUTE / 2))
    await ann.is_closed()
    await stays_out(ann, times=2)
    with bound_to(store):
        await todo.set("ann", "a", {"v": 1})
        await todo.set("bob", "a", {"v": 1})
    again = clients.open(generation, token("ann", made=now)).group("ann")

    await again.shows([{"id": "a", "v": 1}])
    await bobs.shows([{"id": "a", "v": 1}])
    assert anns.states == [[]]
    assert ann.closed[0] == CLOSE_UNAUTHORIZED
    assert bob.closed == []


async def test_a_group_that_is_revoked_puts_everybody_out_of_it_and_they_hear_of_it(
    clients: Clients, generation: Generation, store: Store
):
    now = time.time()
    tabs = [clients.open(generation, token("ann", made=now - MINUTE)) for _ in range(3)]
    groups = [tab.group("ann") for tab in tabs[:2]]
    item = tabs[2].item("ann", "a")
    bobs = clients.open(generation, token("bob", made=now - MINUTE)).group("bob")
    for group in (*groups, bobs):
        await group.shows([])
    await item.shows(None)

    await revoke(store, Revocation(None, "todo", "ann", now - MINUTE / 2))
    for taken in (*groups, item):
        await is_refused(taken, "TOKEN_REVOKED")
    with bound_to(store):
        await todo.set("ann", "a", {"v": 1})
        await todo.set("bob", "a", {"v": 1})
    again = clients.open(generation, token("ann", made=now)).group("ann")

    await again.shows([{"id": "a", "v": 1}])
    await bobs.shows([{"id": "a", "v": 1}])
    for tab in tabs:
        await tab.settled()
        assert tab.closed == []
    assert [group.states for group in groups] == [[[]], [[]]]
    assert item.states == [None]
    assert bobs.events == []
