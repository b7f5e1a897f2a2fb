"""Motia's clients lose their connection and come back, to the same gateway or another."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from streams import Stream, bound_to
from streams.dev.nats_server import NatsServer
from streams.jetstream.bucket import provision
from streams.jetstream.connection import Connection, connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.messages import CLOSE_SERVICE_RESTART
from tests.buckets import delete_bucket
from tests.clients.driver import GENERATIONS, Client, Generation, Node
from tests.clients.front import Front, front_of
from tests.clients.harness import Harness
from tests.conftest import Backend, Gateway, gateway_on

todo = Stream("todo", dict)

pytestmark = pytest.mark.node


async def test_what_was_written_and_deleted_meanwhile_is_right_when_the_line_is_back(
    jetstream: Backend, front: Front, gateway: Gateway, far_motia: Client
):
    with bound_to(jetstream.store):
        for name in ("kept", "changed", "gone"):
            await todo.set("inbox", name, {"v": 1})
    inbox = far_motia.group("inbox")
    items = {name: far_motia.item("inbox", name) for name in ("kept", "changed", "gone", "new")}
    await inbox.shows([{"id": name, "v": 1} for name in ("kept", "changed", "gone")])
    await items["gone"].shows({"id": "gone", "v": 1})
    await items["new"].shows(None)

    front.targets = []
    await front.cut()
    with bound_to(jetstream.store):
        await todo.set("inbox", "changed", {"v": 2})
        await todo.delete("inbox", "gone")
        await todo.set("inbox", "new", {"v": 2})
    await far_motia.is_closed(times=2)
    front.targets = [gateway.url]

    await inbox.shows([{"id": "kept", "v": 1}, {"id": "changed", "v": 2}, {"id": "new", "v": 2}])
    await items["kept"].shows({"id": "kept", "v": 1})
    await items["changed"].shows({"id": "changed", "v": 2})
    await items["gone"].shows(None)
    await items["new"].shows({"id": "new", "v": 2})


async def test_what_comes_after_the_reconnect_is_shown_as_before_it(
    jetstream: Backend, front: Front, far_motia: Client
):
    inbox, item = far_motia.group("inbox"), far_motia.item("inbox", "a")
    await inbox.shows([])
    await item.shows(None)

    with bound_to(jetstream.store):
        for v in range(5):
            await front.cut()
            await todo.set("inbox", "a", {"v": v})
            await inbox.shows([{"id": "a", "v": v}])
            await item.shows({"id": "a", "v": v})
            await todo.update("inbox", "a", lambda old: {**old, "updated": True})
            await inbox.shows([{"id": "a", "v": v, "updated": True}])
            await item.shows({"id": "a", "v": v, "updated": True})
            await todo.delete("inbox", "a")
            await inbox.shows([])
            await item.shows(None)


async def test_a_subscription_that_was_closed_while_the_line_was_cut_stays_closed(
    jetstream: Backend, front: Front, gateway: Gateway, far_motia: Client
):
    closed, kept = far_motia.group("closed"), far_motia.group("kept")
    await far_motia.gets_frames(2)

    front.targets = []
    await front.cut()
    await far_motia.is_closed()
    closed.close()
    front.targets = [gateway.url]
    await far_motia.gets_frames(3)
    with bound_to(jetstream.store):
        await todo.set("closed", "a", {"v": 1})
        await todo.set("kept", "a", {"v": 1})

    await kept.shows([{"id": "a", "v": 1}])
    assert closed.states == [[]]


async def test_clients_come_back_after_their_own_two_seconds(
    harness: Harness, jetstream: Backend, front: Front, gateway: Gateway
):
    async with Node.driving(harness, reconnect_ms=2000) as node:
        clients = [node.open(generation, front.url) for generation in GENERATIONS]
        groups = [client.group("inbox") for client in clients]
        for group in groups:
            await group.shows([])

        await front.cut()
        with bound_to(jetstream.store):
            await todo.set("inbox", "a", {"v": 1})

        for group in groups:
            await group.shows([{"id": "a", "v": 1}])


async def test_a_gateway_that_restarts_says_so_and_has_its_clients_back(
    jetstream: Backend, node: Node, generation: Generation, opened: AsyncExitStack
):
    front = await opened.enter_async_context(front_of())
    motia = node.open(generation, front.url)
    inbox, item = motia.group("inbox"), motia.item("inbox", "a")

    for v in range(3):
        async with gateway_on(jetstream.feed) as gateway:
            front.targets = [gateway.url]
            with bound_to(jetstream.store):
                await todo.set("inbox", "a", {"v": v})
            await inbox.shows([{"id": "a", "v": v}])
            await item.shows({"id": "a", "v": v})

    await motia.is_closed(times=3)
    assert motia.closed.count(CLOSE_SERVICE_RESTART) == 3


async def test_the_state_of_a_gateway_whose_clock_is_behind_is_not_thrown_away(
    connection: Connection,
    namespace: Namespace,
    jetstream: Backend,
    node: Node,
    generation: Generation,
    opened: AsyncExitStack,
    monkeypatch: pytest.MonkeyPatch,
):
    """F-B12: clients drop a state that looks older than what they have seen."""
    first = await opened.enter_async_context(gateway_on(jetstream.feed))
    front = await opened.enter_async_context(front_of(first.url))
    motia = node.open(generation, front.url)
    inbox, item = motia.group("inbox"), motia.item("inbox", "a")
    await item.shows(None)
    await inbox.shows([])
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})
        await inbox.shows([{"id": "a", "v": 1}])
        await todo.send({"groupId": "inbox", "id": "a"}, {"type": "ping"})
        await item.heard(("ping", None))

        hour = 3600
        now, now_ns = time.time, time.time_ns
        monkeypatch.setattr(time, "time", lambda: now() - hour)
        monkeypatch.setattr(time, "time_ns", lambda: now_ns() - hour * 10**9)
        behind = await opened.enter_async_context(gateway_on(JetStreamFeed(connection, namespace)))
        front.targets = []
        await front.cut()
        await todo.update("inbox", "a", lambda old: {**old, "v": 2})
        front.targets = [behind.url]

        await inbox.shows([{"id": "a", "v": 2}])
        await item.shows({"id": "a", "v": 2})
        await todo.delete("inbox", "a")
        await item.shows(None)
        await inbox.shows([])


async def test_a_bucket_made_anew_is_shown_although_it_counts_from_the_start(
    connection: Connection, namespace: Namespace, jetstream: Backend, node: Node, generation: Generation
):
    async with gateway_on(jetstream.feed, look_for_losses_seconds=0.1) as gateway:
        motia = node.open(generation, gateway.url)
        inbox, item = motia.group("inbox"), motia.item("inbox", "a")
        with bound_to(jetstream.store):
            for v in range(50):
                await todo.set("inbox", "a", {"v": v})
            await item.shows({"id": "a", "v": 49})

            await delete_bucket(connection, namespace)
            await provision(connection, namespace, "todo")
            await todo.set("inbox", "a", {"anew": True})

            await inbox.shows([{"id": "a", "anew": True}])
            await item.shows({"id": "a", "anew": True})


async def test_clients_stay_and_end_right_when_nats_is_killed_and_comes_back(
    own_nats: NatsServer, namespace: Namespace, node: Node, opened: AsyncExitStack
):
    """F-B19: a gateway that has lost NATS goes on where it was, and its clients notice nothing."""
    for_writer, for_gateway = [await opened.enter_async_context(connected_to(own_nats.url)) for _ in range(2)]
    await provision(for_writer, namespace, "todo")
    gateway = await opened.enter_async_context(gateway_on(JetStreamFeed(for_gateway, namespace)))
    clients = [node.open(generation, gateway.url) for generation in GENERATIONS]
    groups = [client.group("inbox") for client in clients]
    items = [client.item("inbox", "a") for client in clients]
    for item in items:
        await item.shows(None)

    with bound_to(KvStore(for_writer, namespace)):
        for v in range(2):
            own_nats.kill()
            await own_nats.restart()
            await asyncio.gather(*(todo.set("inbox", "a", {"v": v, "n": n}) for n in range(5)))
            newest = await todo.get("inbox", "a")

            for group, item in zip(groups, items, strict=True):
                await group.shows([newest])
                await item.shows(newest)
    assert [client.opened for client in clients] == [[""]] * len(clients)
