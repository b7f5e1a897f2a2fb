"""Two tenants on NATS, where a name is part of a subject: nothing of one is seen by the other."""

from __future__ import annotations

from contextlib import AsyncExitStack

import orjson
import pytest
import pytest_asyncio

from streams import bound_to
from streams.jetstream.connection import Connection
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.store import Store
from tests.browser import Browser
from tests.gateway.two_tenants import LOOKALIKES, MARK, OURS, THEIRS, busy_with, of, sent, todo, watching
from tests.guarded import guarded_gateway, provisioned


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
