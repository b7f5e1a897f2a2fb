"""Defects of Motia's own servers: none of them is here. Each has a test that shows it.

F-B7   first state dropped for a newer change   a_state_read_while_others_write_is_not_dropped
F-B8   first state hides a newer change         a_state_read_while_others_write_hides_nothing
F-B9   changes of one millisecond dropped       test_watching: a_burst_of_writes_..., every_write_of_...
F-B10  events hide changes and each other       test_events: no_event_and_no_write_..., a_thousand_events_...
F-B11  told in another order than stored,       writers_at_once_are_shown_in_the_order_of_the_store,
       or not at all                            what_is_stored_is_shown_whoever_wrote_it
F-B12  states of a server with a slow clock     test_reconnecting: the_state_of_a_gateway_whose_clock_...,
       dropped                                  test_many_gateways
F-B13  updates of unknown items lost, old       a_late_change_of_a_deleted_item_does_not_bring_it_back,
       creates bring items back                 test_watching: deletes_and_creates_by_turns_...
F-B14  a delete takes all items without an id   test_watching: an_item_without_an_id_of_its_own_...
F-B15  n subscriptions, n times each event      test_subscriptions: every_listener_is_called_once_...
F-B16  one slow client stops all others         a_client_that_does_not_read_stops_nobody_else,
                                                gateway/test_limits: a_client_that_reads_too_slowly_...
F-B17  broken connections kept for ever         nothing_is_left_of_a_connection_that_ends_amid_a_frame,
                                                gateway/test_sockets: nothing_is_left_of_a_connection_...
F-B18  a join that fails waits for ever         a_join_that_cannot_be_read_now_is_tried_until_it_can,
                                                a_join_that_breaks_ends_the_connection_and_works_on_the_next
F-B19  deaf after the broker was away           test_reconnecting: clients_stay_and_end_right_when_nats_...,
                                                gateway/test_consistency: sockets_stay_open_while_nats_...
F-B20  leaving what was never joined, joins     leaving_what_was_not_joined_changes_nothing,
       without end                              gateway/test_limits: the_thousand_and_first_subscription_...
F-B21  names with `:` merge streams             test_names: names_that_are_alike_are_different_groups
F-B22  an item is found in any group            test_names: an_item_is_that_of_its_group_alone
F-B23  changes lost while joining, a bad        changes_made_while_a_client_joins_are_not_lost,
       message ends the server                  test_refusals: what_is_no_message_is_answered_...
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack

import pytest

from streams import Stream, bound_to
from streams.changes import ItemSet
from streams.dev.nats_server import NatsServer
from streams.errors import StoreUnavailable
from streams.gateway.server import listening
from streams.jetstream.connection import Connection, connected_to
from streams.jetstream.kv_store import KvStore
from streams.keys import Address, Namespace
from streams.messages import CLOSE_INTERNAL_ERROR
from tests.browser import Browser
from tests.clients.disturbed import Disturbed
from tests.clients.driver import Client, Generation, Node
from tests.conftest import Backend, Gateway, gateway_on
from tests.everybody import open_hub
from tests.gateway.rooms import INBOX
from tests.gateway.waiting import until

todo = Stream("todo", dict)

pytestmark = pytest.mark.node


@pytest.fixture
def disturbed(jetstream: Backend) -> Disturbed:
    return Disturbed(jetstream.feed)


@pytest.fixture
async def on_disturbed(
    disturbed: Disturbed, node: Node, generation: Generation, opened: AsyncExitStack
) -> Client:
    """A client of each generation in turn, on a gateway with that feed."""
    gateway = await opened.enter_async_context(gateway_on(disturbed))
    return node.open(generation, gateway.url)


async def test_a_state_read_while_others_write_is_not_dropped(
    jetstream: Backend, disturbed: Disturbed, on_disturbed: Client
):
    """F-B7"""
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})
        await todo.set("inbox", "b", {"v": 1})
        disturbed.may_read.clear()
        inbox, item = on_disturbed.group("inbox"), on_disturbed.item("inbox", "b")
        await until(disturbed.reading.is_set)

        await todo.set("inbox", "a", {"v": 2})
        await until(lambda: bool(disturbed.heard))
        disturbed.may_read.set()

        await inbox.shows([{"id": "a", "v": 2}, {"id": "b", "v": 1}])
        await item.shows({"id": "b", "v": 1})


async def test_a_state_read_while_others_write_hides_nothing(
    jetstream: Backend, disturbed: Disturbed, on_disturbed: Client
):
    """F-B8"""
    with bound_to(jetstream.store):
        await todo.set("inbox", "gone", {"v": 1})
        disturbed.may_read.clear()
        inbox, item = on_disturbed.group("inbox"), on_disturbed.item("inbox", "new")
        await until(disturbed.reading.is_set)

        await todo.set("inbox", "new", {"v": 1})
        await todo.delete("inbox", "gone")
        await until(lambda: len(disturbed.heard) == 2)
        disturbed.may_read.set()

        await inbox.shows([{"id": "new", "v": 1}])
        await item.shows({"id": "new", "v": 1})


async def test_changes_made_while_a_client_joins_are_not_lost(jetstream: Backend, motia: Client):
    """F-B23"""

    async def write() -> None:
        for v in range(100):
            await todo.set("inbox", str(v % 7), {"v": v})
            await todo.delete("inbox", str((v + 3) % 7))

    with bound_to(jetstream.store):
        writing = asyncio.create_task(write())
        groups = []
        while not writing.done():
            groups.append(motia.group("inbox"))
            await groups[-1].comes_to(lambda _: True)
        await writing
        stored = await todo.get_group("inbox")

    for group in groups:
        await group.shows(stored)


async def test_writers_at_once_are_shown_in_the_order_of_the_store(
    jetstream: Backend, nats: NatsServer, namespace: Namespace, motia: Client, opened: AsyncExitStack
):
    """F-B11"""
    stores = [KvStore(await opened.enter_async_context(connected_to(nats.url)), namespace) for _ in range(3)]
    item = motia.item("inbox", "a")
    await item.shows(None)
    revisions: dict[int, int] = {}

    async def write(number: int) -> None:
        for v in range(20):
            with bound_to(stores[number]):
                result = await todo.set("inbox", "a", {"mark": 20 * number + v})
            revisions[20 * number + v] = result.revision

    await asyncio.gather(*map(write, range(3)))

    newest = max(revisions, key=lambda mark: revisions[mark])
    await item.shows({"id": "a", "mark": newest})
    shown = [revisions[state["mark"]] for state in item.states[1:]]
    assert shown == sorted(revisions.values())


async def test_what_is_stored_is_shown_whoever_wrote_it(
    connection: Connection, namespace: Namespace, jetstream: Backend, motia: Client
):
    """F-B11: nothing that a writer does after the write is needed for it to be seen."""
    inbox = motia.group("inbox")
    await inbox.shows([])

    await connection.request(namespace.item(Address("todo", "inbox", "a")), b'{"by":"another program"}')

    await inbox.shows([{"id": "a", "by": "another program"}])


async def test_a_late_change_of_a_deleted_item_does_not_bring_it_back(
    jetstream: Backend, disturbed: Disturbed, on_disturbed: Client
):
    """F-B13"""
    inbox, item = on_disturbed.group("inbox"), on_disturbed.item("inbox", "a")
    await inbox.shows([])
    await item.shows(None)
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})
        await todo.set("inbox", "a", {"v": 2})
        await todo.delete("inbox", "a")
    await inbox.shows([])
    await until(lambda: len(disturbed.heard) == 3)

    for change in disturbed.heard[:2]:
        assert isinstance(change, ItemSet)
        disturbed.deliver(change)
    with bound_to(jetstream.store):
        await todo.set("inbox", "z", {"last": True})

    await inbox.shows([{"id": "z", "last": True}])
    await item.shows(None)


async def test_a_client_that_does_not_read_stops_nobody_else(
    jetstream: Backend, browser: Browser, motia: Client
):
    """F-B16"""
    silent = await browser.join("todo", "inbox")
    inbox = motia.group("inbox")
    await inbox.shows([])
    silent.socket.transport.pause_reading()

    with bound_to(jetstream.store):
        for v in range(30):
            await todo.set("inbox", "a", {"v": v, "filler": "x" * 300_000})
            await inbox.comes_to(lambda items, v=v: [item["v"] for item in items] == [v])

    silent.socket.transport.abort()


async def test_nothing_is_left_of_a_connection_that_ends_amid_a_frame(
    jetstream: Backend, opened: AsyncExitStack
):
    """F-B17"""
    sock = socket.create_server(("127.0.0.1", 0))
    hub = await opened.enter_async_context(open_hub(jetstream.feed, linger_seconds=0))
    await opened.enter_async_context(listening(hub, sock))
    tab = await Browser(f"ws://127.0.0.1:{sock.getsockname()[1]}/", opened).join("todo", "inbox")
    assert hub.watched_groups == 1

    text_of_unknown_length = b"\x81\xfe\x01"
    tab.socket.transport.write(text_of_unknown_length)
    tab.socket.transport.abort()

    await until(lambda: not hub.watched_groups)


async def test_a_join_that_cannot_be_read_now_is_tried_until_it_can(
    jetstream: Backend, disturbed: Disturbed, on_disturbed: Client
):
    """F-B18"""
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})
    disturbed.failures = [StoreUnavailable("nobody answers")] * 3

    inbox, item = on_disturbed.group("inbox"), on_disturbed.item("inbox", "a")

    await inbox.shows([{"id": "a", "v": 1}])
    await item.shows({"id": "a", "v": 1})
    assert len(on_disturbed.opened) == 1


async def test_a_join_that_breaks_ends_the_connection_and_works_on_the_next(
    jetstream: Backend, disturbed: Disturbed, on_disturbed: Client
):
    """F-B18"""
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})
    disturbed.failures = [RuntimeError("nobody thought of this")]

    inbox = on_disturbed.group("inbox")

    await inbox.shows([{"id": "a", "v": 1}])
    assert on_disturbed.closed == [CLOSE_INTERNAL_ERROR]


async def test_leaving_what_was_not_joined_changes_nothing(
    jetstream: Backend, node: Node, motia: Client, gateway: Gateway
):
    """F-B20"""
    room = {"streamName": "todo", "groupId": "inbox"}
    other = node.open("node-0.17", gateway.url)
    await other.is_open()
    other.say({"type": "join", "data": {**room, "subscriptionId": "of the other"}})
    others, mine = other.group("inbox"), motia.group("inbox")
    await other.gets_frames(2)
    await mine.shows([])

    for forged in ({**room, "subscriptionId": "of the other"}, {**room, "subscriptionId": "of nobody"}):
        motia.say({"type": "leave", "data": forged})
    await motia.settled()
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})

    await mine.shows([{"id": "a", "v": 1}])
    await others.shows([{"id": "a", "v": 1}])
    assert len(gateway.hub.audiences.get(INBOX).watchers()) == 2
