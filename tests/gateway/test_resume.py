"""Coming back: a client that says what it has is told what changed, and can prove that it has all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from streams import Stream, bound_to
from streams.gateway import client_line
from streams.jetstream import records
from streams.jetstream.api import stream_info
from streams.jetstream.connection import Connection
from streams.keys import Namespace
from tests.browser import SECONDS
from tests.conftest import Backend, Gateway, gateway_on
from tests.gateway.returning import Returning

todo = Stream("todo", dict)


@pytest.fixture
def short_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_line, "PING_SECONDS", 0.1)


@pytest_asyncio.fixture
async def gateway(jetstream: Backend) -> AsyncIterator[Gateway]:
    async with gateway_on(jetstream.feed) as gateway:
        with bound_to(jetstream.store):
            yield gateway


@pytest_asyncio.fixture
async def another(jetstream: Backend, connection: Connection, namespace: Namespace) -> AsyncIterator[Gateway]:
    """A gateway that knows nothing yet."""
    async with gateway_on(jetstream.feed) as gateway:
        yield gateway


async def stored() -> list[dict[str, object]]:
    return [dict(item) for item in await todo.get_group("inbox")]


async def test_nothing_is_told_of_a_group_that_did_not_change(gateway: Gateway, opened: AsyncExitStack):
    await todo.set("inbox", "a", {"n": 1})
    client = Returning()
    await client.come(gateway.url, opened)
    await client.go()

    await todo.set("another", "x", {"n": 1})
    await client.come(gateway.url, opened)

    assert client.kinds == ["sync", "resumed"]
    assert client.held.items == [{"id": "a", "n": 1}]
    assert client.asked == []


async def test_what_changed_is_told_and_nothing_else(
    gateway: Gateway, another: Gateway, opened: AsyncExitStack
):
    for number in range(100):
        await todo.set("inbox", str(number), {"n": number, "text": "x" * 200})
    client = Returning()
    await client.come(gateway.url, opened)
    await client.go()
    whole = client.bytes

    await todo.set("inbox", "7", {"n": 700})
    await todo.set("inbox", "new", {"n": 1})
    await todo.delete("inbox", "8")
    await client.come(another.url, opened)

    assert client.kinds == ["sync", "resumed"]
    assert client.held.items == await stored()
    assert client.bytes - whole < whole / 40
    assert client.asked == []


async def test_what_comes_after_it_comes_as_ever(gateway: Gateway, opened: AsyncExitStack):
    await todo.set("inbox", "a", {"n": 1})
    client = Returning()
    await client.come(gateway.url, opened)
    await client.go()
    await client.come(gateway.url, opened)

    await todo.set("inbox", "a", {"n": 2})
    await todo.set("inbox", "b", {"n": 3})
    await todo.delete("inbox", "a")
    for _ in range(3):
        await client.next()

    assert client.kinds == ["sync", "resumed", "update", "create", "delete"]
    assert client.held.items == [{"id": "b", "n": 3}]


async def test_an_item_that_was_made_anew_meanwhile_is_the_last(gateway: Gateway, opened: AsyncExitStack):
    for item_id in "abc":
        await todo.set("inbox", item_id, {"n": 1})
    client = Returning()
    await client.come(gateway.url, opened)
    await client.go()

    await todo.delete("inbox", "a")
    await todo.set("inbox", "a", {"n": 2})
    await client.come(gateway.url, opened)

    assert [item["id"] for item in client.held.items] == ["b", "c", "a"]
    assert client.held.items == await stored()


async def test_deletes_that_left_no_trace_are_found_by_the_digest(
    gateway: Gateway,
    another: Gateway,
    opened: AsyncExitStack,
    connection: Connection,
    namespace: Namespace,
    monkeypatch: pytest.MonkeyPatch,
):
    for number in range(20):
        await todo.set("inbox", str(number), {"n": number})
    client = Returning()
    await client.come(gateway.url, opened)
    await client.go()

    monkeypatch.setattr(records, "MARKER_SECONDS", 1)
    for number in range(5):
        await todo.delete("inbox", str(number))
    # `_meta` and what is left.
    await records_are(connection, namespace, 1 + 15)
    await todo.set("inbox", "7", {"n": 700})
    await client.come(another.url, opened)

    assert client.kinds == ["sync", "resumed", "ids"]
    assert client.held.items == await stored()
    assert len(client.held.items) == 15


async def test_whoever_lost_a_change_lacks_it_until_the_next_heartbeat(
    gateway: Gateway, opened: AsyncExitStack, short_pings: None
):
    await todo.set("inbox", "a", {"n": 1})
    client = Returning()
    await client.come(gateway.url, opened)

    await todo.set("inbox", "a", {"n": 2})
    assert b'"update"' in await client.tab.next_frame()  # And is not told to the client.
    await client.until("heartbeat")
    await client.until("sync")

    assert client.asked == ["ids", "everything"]
    assert client.held.items == [{"id": "a", "n": 2}]


async def test_a_heartbeat_moves_the_position_of_a_client_that_has_all(
    gateway: Gateway, opened: AsyncExitStack, short_pings: None
):
    await todo.set("inbox", "a", {"n": 1})
    client = Returning()
    await client.come(gateway.url, opened)
    before = client.held.at

    await todo.set("inbox", "b", {"n": 2})
    await client.until("create")
    # Others join, so that it is looked how far the bucket has come.
    await Returning().come(gateway.url, opened)
    await todo.set("inbox", "b", {"n": 3})
    # The first one may be from before that.
    while client.held.at == before:
        await client.until("heartbeat")

    assert client.asked == []


async def records_are(connection: Connection, namespace: Namespace, count: int) -> None:
    """Wait until the bucket has so many records."""
    async with asyncio.timeout(SECONDS):
        while (await stream_info(connection, namespace, "todo"))["state"]["messages"] != count:
            await asyncio.sleep(0.05)
