"""The configurations of NATS that are shipped: who may do what, and what a cluster survives."""

from __future__ import annotations

import asyncio
from pathlib import Path

import nats
import pytest
import pytest_asyncio

from streams.auth.revocations import Revocation, revoke
from streams.changes import ItemSet
from streams.errors import CredentialsRefused, OutcomeUnknown, StoreUnavailable
from streams.jetstream.api import existing
from streams.jetstream.barriers import barrier
from streams.jetstream.bucket import provision
from streams.jetstream.connection import connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.jetstream.provisioning import provision_application
from streams.keys import Namespace
from streams.store import Feed, Store
from streams.stream import Stream
from tests.browser import SECONDS
from tests.buckets import config_of
from tests.store.heard import listening, read
from tests.store.jetstream.shipped import ROLES, Node, cluster, role, single
from tests.store.writes import address, content, content_of, delete, put

STREAMS = Namespace("streams")
TODO = Stream("todo", dict)

ITEM = "$KV.streams_todo.inbox.1"
LIVE = "streams.live.todo.inbox.1"
REVOCATION = "$KV.streams_revoked.all.1"
API = "$JS.API"


@pytest_asyncio.fixture
async def server(tmp_path: Path):
    """server.conf, and what `streams provision` makes."""
    async with single(tmp_path) as node:
        async with connected_to(node.url, credentials=role("admin")) as admin:
            assert [done.outcome async for done in provision_application(admin, STREAMS, [TODO])] == [
                "created",
                "created",
            ]
            assert (await provision(admin, STREAMS, "todo")).outcome == "unchanged"
        yield node


async def test_every_role_can_do_its_work(server: Node):
    async with (
        connected_to(server.url, credentials=role("functions")) as functions,
        connected_to(server.url, credentials=role("gateway")) as gateway,
        connected_to(server.url, credentials=role("operator")) as operator,
    ):
        store, feed = KvStore(functions, STREAMS), JetStreamFeed(gateway, STREAMS)
        async with listening(KvStore(gateway, STREAMS), feed) as heard:
            await put(store, "milk")
            await store.send("todo", "inbox", None, b'{"type":"wave"}')
            await KvStore(operator, STREAMS).send("todo", "inbox", "1", b'{"type":"wave"}')
            came = await heard.all()

        assert len(came) == 3
        assert [content(item) for item in await KvStore(gateway, STREAMS).get_group("todo", "inbox")] == [
            "milk"
        ]
        assert await held(feed) == ["milk"]
        await put(KvStore(operator, STREAMS), "bread")
        assert content(await store.get(address())) == "bread"
        await delete(store)
        assert await store.list_groups("todo") == []
        assert [bucket.stream for bucket in await existing(operator, STREAMS)] == ["todo"]
        await revoke(KvStore(operator, STREAMS), Revocation("ann", None, None, 1.0))


FORBIDDEN = {
    "admin": [ITEM, LIVE, f"{API}.STREAM.DELETE.KV_streams_todo", f"{API}.STREAM.PURGE.KV_streams_todo"],
    "functions": [
        LIVE,
        REVOCATION,
        "$KV.streams_todo._meta",
        f"{API}.STREAM.CREATE.KV_streams_more",
        f"{API}.STREAM.UPDATE.KV_streams_todo",
        f"{API}.STREAM.DELETE.KV_streams_todo",
        f"{API}.STREAM.PURGE.KV_streams_todo",
        f"{API}.STREAM.MSG.DELETE.KV_streams_todo",
        f"{API}.CONSUMER.CREATE.KV_streams_todo.all",
    ],
    "gateway": [
        ITEM,
        LIVE,
        REVOCATION,
        "$KV.streams_todo._meta",
        f"{API}.STREAM.DELETE.KV_streams_todo",
        f"{API}.STREAM.PURGE.KV_streams_todo",
        f"{API}.STREAM.NAMES",
    ],
    "operator": [
        LIVE,
        "$KV.streams_todo._meta",
        f"{API}.STREAM.DELETE.KV_streams_todo",
        f"{API}.STREAM.PURGE.KV_streams_todo",
    ],
}
UNHEARD = {
    "admin": [">", "$KV.>", "streams.live.>"],
    "functions": [">", "$KV.>", "streams.live.>"],
    "gateway": [">", "$KV.>", "$JS.>"],
    "operator": [">", "$KV.>"],
}


@pytest.mark.parametrize("name", ROLES)
async def test_no_role_can_do_the_work_of_another_one(server: Node, name: str):
    refused: list[str] = []

    async def on_error(error: Exception) -> None:
        refused.append(str(error).lower())

    credentials = role(name)
    client = await nats.connect(
        server.url, user=credentials.user, password=credentials.password, error_cb=on_error
    )
    for subject in FORBIDDEN[name]:
        await client.publish(subject, b"{}")
    for subject in UNHEARD[name]:
        await client.subscribe(subject)
    await barrier(client, SECONDS)
    await client.close()

    for subject in FORBIDDEN[name]:
        assert any(f'publish to "{subject.lower()}"' in each for each in refused), subject
    for subject in UNHEARD[name]:
        assert any(f'subscription to "{subject.lower()}"' in each for each in refused), subject


async def test_nobody_without_a_password_is_let_in(server: Node):
    with pytest.raises(CredentialsRefused):
        async with connected_to(server.url):
            pass


async def test_one_server_of_three_may_die_and_nothing_is_lost(tmp_path: Path):
    async with cluster(tmp_path) as nodes:
        async with connected_to(nodes[0].url, credentials=role("admin")) as admin:
            async for _ in provision_application(admin, STREAMS, [TODO], replicas=3):
                pass
            assert (await config_of(admin, STREAMS))["num_replicas"] == 3
        async with connected_to(nodes[0].url, credentials=role("functions")) as functions:
            store = KvStore(functions, STREAMS)
            await put(store, "before")

            # The one that we are connected to. Whether it leads is by chance.
            await nodes[0].kill()
            await put_in_the_end(store, "while it is away")

            await nodes[0].start()
            await nodes[0].is_well()
        # It may be behind, and a read of one's own process only never is.
        async with connected_to(nodes[0].url, credentials=role("gateway")) as gateway:
            feed = JetStreamFeed(gateway, STREAMS)
            assert await held(feed) == ["while it is away"]


async def held(feed: Feed) -> list[object]:
    """What the items hold that a gateway would show."""
    return [content_of(change.value) for change in await read(feed) if isinstance(change, ItemSet)]


async def put_in_the_end(store: Store, what: str) -> None:
    """Write, as often as it takes: while a new leader is chosen, a write is refused."""
    async with asyncio.timeout(3 * SECONDS):
        while True:
            try:
                await put(store, what)
                return
            except (StoreUnavailable, OutcomeUnknown):
                await asyncio.sleep(0.1)
