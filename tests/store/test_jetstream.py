"""What only the NATS store has to do with: other writers, buckets, and their epochs."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from nats.js.kv import KeyValue

from streams import BucketNotUsable, Contention, Stream, UnknownStream, connected
from streams.changes import Change, EventSent, ItemDeleted, ItemSet
from streams.dev.nats_server import NatsServer
from streams.gateway.group import Group
from streams.jetstream.bucket import Provisioned, provision, read_meta, stream_info
from streams.jetstream.connection import Connection, connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import ATTEMPTS, KvStore
from streams.keys import LAYOUT_VERSION, Address, Namespace
from streams.store import EpochChanged, Feed, Position, Store
from tests.conftest import Backend

SECONDS = 10.0
"""How long a test waits for something that should happen."""

NO_ITEMS = [b"", b"milk", b"[]", b'[{"id":"1"}]', b'"milk"', b"7", b"null", b"{", b"\xff\xfe", b'{"a":NaN}']


@pytest.fixture
def store(jetstream: Backend) -> Store:
    return jetstream.store


@pytest.fixture
def feed(jetstream: Backend) -> Feed:
    return jetstream.feed


@pytest_asyncio.fixture
async def others(connection: Connection, namespace: Namespace, jetstream: Backend) -> KeyValue:
    """The bucket of `todo`, as any other program sees it."""
    client = await connection.client()
    return await client.jetstream().key_value(namespace.bucket("todo"))


def address(item_id: str = "1", group: str = "inbox") -> Address:
    return Address("todo", group, item_id)


def value(content: Any) -> bytes:
    return json.dumps({"value": content}).encode()


def content(item: ItemSet | None) -> Any:
    return None if item is None else json.loads(item.value)["value"]


async def put(store: Store, what: Any, at: Address | None = None) -> int:
    revision = (await store.write(at or address(), lambda _: value(what))).revision
    assert revision is not None
    return revision


async def read(feed: Feed, after: int = 0) -> list[Change]:
    return [*(await feed.changes("todo", "inbox", after, await feed.end("todo"))).changes]


class Heard:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.changes: asyncio.Queue[Change] = asyncio.Queue()

    async def next(self) -> Change:
        return await asyncio.wait_for(self.changes.get(), SECONDS)

    async def all(self) -> list[Change]:
        """Everything that was written or sent before this call: an event comes behind it."""
        last = EventSent(None, b'{"type":"last"}')
        await self.store.send("todo", "inbox", None, last.event)
        came: list[Change] = []
        while (change := await self.next()) != last:
            came.append(change)
        return came


@asynccontextmanager
async def listening(store: Store, feed: Feed) -> AsyncIterator[Heard]:
    heard = Heard(store)
    async with feed.listening("todo", "inbox", heard.changes.put_nowait, lambda: None):
        yield heard


async def api(connection: Connection, what: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = await connection.request(f"$JS.API.{what}", json.dumps(request or {}).encode())
    found: dict[str, Any] = json.loads(answer.data)
    assert "error" not in found, found
    return found


async def delete_bucket(connection: Connection, namespace: Namespace) -> None:
    await api(connection, f"STREAM.DELETE.{namespace.bucket_stream('todo')}")


async def config_of(connection: Connection, namespace: Namespace) -> dict[str, Any]:
    found: dict[str, Any] = (await stream_info(connection, namespace, "todo"))["config"]
    return found


async def change_config(connection: Connection, namespace: Namespace, **changed: Any) -> None:
    config = await config_of(connection, namespace)
    await api(connection, f"STREAM.UPDATE.{config['name']}", {**config, **changed})


async def write_meta(connection: Connection, namespace: Namespace, meta: object) -> None:
    answer = await connection.request(namespace.meta("todo"), json.dumps(meta).encode())
    assert "error" not in json.loads(answer.data)


class Rival:
    """Another program that writes in the middle of what we do. Its calls return when the server has them."""

    def __init__(self, url: str, subject: str) -> None:
        self._subject = subject
        self._socket = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=5)
        self._lines = self._socket.makefile("rb")
        self._lines.readline()
        self._socket.sendall(b'CONNECT {"verbose":false}\r\n')

    def put(self, text: bytes) -> None:
        self._socket.sendall(b"PUB %s %d\r\n%s\r\nPING\r\n" % (self._subject.encode(), len(text), text))
        while self._lines.readline() != b"PONG\r\n":
            pass

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


@pytest.fixture
def rival(nats: NatsServer, namespace: Namespace) -> Iterator[Rival]:
    rival = Rival(nats.url, namespace.item(address()))
    yield rival
    rival.close()


# Other writers of the same bucket.


async def test_an_item_that_another_program_puts_is_relayed_byte_for_byte(store, feed, others):
    async with listening(store, feed) as heard:
        revision = await others.put("inbox.1", b' {"text":\t1.50} ')
        change = await heard.next()

    assert (change.id, change.revision, change.value) == ("1", revision, b' {"text":\t1.50} ')
    assert change == await store.get(address())
    assert [change] == await store.get_group("todo", "inbox") == await read(feed)


async def test_an_item_of_ours_can_be_read_by_another_program(store, others):
    await store.write(address("a.b", "日本"), lambda _: b'{"text":"Milk"}')

    assert (await others.get("=E6=97=A5=E6=9C=AC.a=2Eb")).value == b'{"text":"Milk"}'


async def test_a_delete_by_another_program_is_a_delete(store, feed, others):
    await put(store, "first", address("a"))
    await put(store, "first", address("b"))

    async with listening(store, feed) as heard:
        await others.delete("inbox.a")
        await others.purge("inbox.b")
        changes = [await heard.next(), await heard.next()]

    assert [(type(change), change.id) for change in changes] == [(ItemDeleted, "a"), (ItemDeleted, "b")]
    assert await store.get_group("todo", "inbox") == []


@pytest.mark.parametrize("text", NO_ITEMS, ids=repr)
async def test_what_is_no_json_object_is_left_out_and_disturbs_nobody(store, feed, others, text):
    await put(store, "first", address("good"))
    group = Group()

    async with listening(store, feed) as heard:
        await others.put("inbox.bad", text)
        await put(store, "second", address("good"))
        shown = [group.apply(change) for change in await heard.all()]

    assert [seen.id for seen in shown if seen] == ["good"]
    assert await store.get(address("bad")) is None
    assert await store.get_group("todo", "inbox") == [await store.get(address("good"))]
    assert [change.id for change in await read(feed) if isinstance(change, ItemSet)] == ["good"]


@pytest.mark.parametrize("text", NO_ITEMS, ids=repr)
async def test_an_item_that_is_overwritten_with_garbage_is_gone(store, feed, others, text):
    revision = await put(store, "first")

    async with listening(store, feed) as heard:
        overwritten = await others.put("inbox.1", text)
        change = await heard.next()

    assert isinstance(change, ItemDeleted)
    assert (change.id, change.revision) == ("1", overwritten)
    assert await read(feed, revision) == [change]
    assert await store.get(address()) is None


async def test_garbage_can_be_written_over(store, feed, others):
    await put(store, "first")
    garbage = await others.put("inbox.1", b"milk")

    written = await store.write(address(), lambda old: value("again" if old is None else "kept"))

    assert written.old is None
    assert written.revision > garbage
    assert content(await store.get(address())) == "again"
    assert (await store.get(address())).created == written.revision


async def test_deleting_garbage_writes_nothing(store, others):
    await others.put("inbox.1", b"milk")

    assert (await store.write(address(), lambda _: None)).revision is None


@pytest.mark.parametrize(
    "key", ["lonely", "inbox.=zz", "inbox.=41", "inbox.=00", "inbox.a.b", "inbox.a._event", "inbox.=._event"]
)
async def test_a_key_that_no_item_has_is_left_out(store, feed, others, connection, namespace, key):
    await put(store, "first")

    async with listening(store, feed) as heard:
        answer = await connection.request(f"$KV.{namespace.bucket('todo')}.{key}", b'{"type":"typing"}')
        assert "seq" in json.loads(answer.data)

        assert await heard.all() == []

    assert await store.get_group("todo", "inbox") == [await store.get(address())]
    assert await read(feed) == [await store.get(address())]


@pytest.mark.parametrize("text", NO_ITEMS, ids=repr)
async def test_an_event_that_is_no_json_object_is_left_out(store, feed, connection, namespace, text):
    async with listening(store, feed) as heard:
        await connection.publish(namespace.event("todo", "inbox", None), text)

        assert await heard.all() == []


@pytest.mark.parametrize("text", [b"{}", b'{"data":1}', b'{"type":7}'], ids=repr)
async def test_an_event_without_a_type_is_left_out(store, feed, connection, namespace, text):
    async with listening(store, feed) as heard:
        await connection.publish(namespace.event("todo", "inbox", None), text)

        assert await heard.all() == []


async def test_what_was_never_committed_is_no_change(store, feed, connection, namespace):
    async with listening(store, feed) as heard:
        await connection.publish(f"{namespace.name}.live.todo.inbox.1", b'{"text":"forged"}')

        assert await heard.all() == []


async def test_an_item_that_expires_is_heard_and_read_as_a_delete(store, feed, connection, namespace):
    async with listening(store, feed) as heard:
        await connection.request(namespace.item(address()), b"{}", headers={"Nats-TTL": "1s"})
        created, gone = await heard.next(), await heard.next()

    assert isinstance(created, ItemSet)
    assert isinstance(gone, ItemDeleted)
    assert gone.id == "1"
    assert await read(feed, created.revision) == [gone]
    assert await store.get(address()) is None


# Other processes that write the same items.


async def test_a_write_that_lost_is_decided_again_on_the_newer_item(store, rival):
    await put(store, 0)
    seen: list[Any] = []

    def decide(old: ItemSet | None) -> bytes:
        seen.append(content(old))
        if len(seen) < 4:
            rival.put(value(len(seen)))
        return value("ours")

    written = await store.write(address(), decide)

    assert seen == [0, 1, 2, 3]
    assert content(written.old) == 3
    assert content(await store.get(address())) == "ours"


async def test_an_update_that_lost_is_called_again_and_returns_what_it_replaced(
    store, rival, nats, namespace
):
    counter = Stream("todo", dict)
    seen: list[int] = []

    def change(item: dict[str, Any] | None) -> dict[str, Any]:
        seen.append(item["n"] if item else 0)
        if len(seen) == 1:
            rival.put(b'{"n":10}')
        return {"n": seen[-1] + 1}

    async with connected(nats.url, namespace=namespace.name):
        result = await counter.update("inbox", "1", change)

    assert seen == [0, 10]
    assert (result.old_value["n"], result.new_value["n"]) == (10, 11)


async def test_an_update_of_an_item_that_went_meanwhile_may_leave_it_so(store, rival, nats, namespace):
    todo = Stream("todo", dict)
    await put(store, "first")

    def change(item: dict[str, Any] | None) -> dict[str, Any] | None:
        rival.put(b"")
        return None if item is None else {"n": 1}

    async with connected(nats.url, namespace=namespace.name):
        assert await todo.update("inbox", "1", change) is None

    assert await store.get(address()) is None


async def test_a_create_that_lost_finds_the_others_item(store, rival):
    def decide(old: ItemSet | None) -> bytes | None:
        if old is None:
            rival.put(value("theirs"))
            return value("ours")
        return old.value

    written = await store.write(address(), decide)

    assert content(written.old) == content(await store.get(address())) == "theirs"


async def test_a_delete_that_lost_deletes_the_newer_item(store, rival):
    await put(store, "first")
    calls: list[None] = []

    def decide(old: ItemSet | None) -> None:
        calls.append(None)
        if len(calls) == 1:
            rival.put(value("theirs"))

    written = await store.write(address(), decide)

    assert content(written.old) == "theirs"
    assert await store.get(address()) is None


async def test_a_write_that_loses_every_time_ends_in_a_clear_error_and_writes_nothing(store, rival):
    calls: list[None] = []

    def decide(_: ItemSet | None) -> bytes:
        calls.append(None)
        rival.put(value(len(calls)))
        return value("ours")

    with pytest.raises(Contention) as error:
        await store.write(address(), decide)

    assert str(error.value) == (
        "todo/inbox/1 was changed by other writers 30 times in a row; nothing was written, try again"
    )
    assert len(calls) == ATTEMPTS
    assert content(await store.get(address())) == ATTEMPTS


async def test_updates_from_several_processes_count_exactly(store, nats, namespace, connection):
    async def count(by: Store) -> int:
        written = await by.write(address(), lambda old: value((content(old) or 0) + 1))
        return content(written.old) or 0

    async with connected_to(nats.url) as another:
        stores = [store, KvStore(connection, namespace), KvStore(another, namespace)]
        seen = await asyncio.gather(*(count(stores[number % 3]) for number in range(21)))

    assert content(await store.get(address())) == 21
    assert sorted(seen) == list(range(21))


async def test_a_script_is_bound_to_its_store_for_the_length_of_a_block(jetstream, nats, namespace):
    todo = Stream("todo", dict)

    async with connected(nats.url, namespace=namespace.name) as store:
        await todo.set("inbox", "1", {"text": "Milk"})
        assert (await store.get(address())).value == b'{"text":"Milk"}'

    assert (await jetstream.store.get(address())).value == b'{"text":"Milk"}'


# Many long names.


async def test_a_large_group_of_the_longest_names_is_read_whole(store, feed):
    ids = [f"{number:04}".ljust(256, ".") for number in range(1100)]
    for start in range(0, 1100, 275):
        await asyncio.gather(*(put(store, n, address(n, ">" * 256)) for n in ids[start : start + 275]))
    end = await feed.end("todo")

    delta = await feed.changes("todo", ">" * 256, 0, end)

    assert sorted(change.id for change in delta.changes) == ids
    assert await store.get_group("todo", ">" * 256) == delta.changes


# Buckets.


async def test_a_bucket_is_made_once_and_then_left_as_it_is(connection, namespace):
    bucket = namespace.bucket("notes")

    assert await provision(connection, namespace, "notes") == Provisioned("notes", bucket, "created")
    made = await read_meta(connection, namespace, "notes")
    assert await provision(connection, namespace, "notes") == Provisioned("notes", bucket, "unchanged")
    assert await read_meta(connection, namespace, "notes") == made


async def test_several_who_make_a_bucket_at_once_make_one(connection, namespace):
    made = await asyncio.gather(*(provision(connection, namespace, "notes") for _ in range(8)))

    assert sorted(done.outcome for done in made) == ["created", *["unchanged"] * 7]


@pytest.mark.parametrize(
    "changed",
    [
        {"republish": None},
        {"max_msg_size": 1000},
        {"allow_direct": False},
        {"max_age": 3600 * 10**9, "duplicate_window": 60 * 10**9},
        {"description": "mine"},
    ],
    ids=lambda changed: next(iter(changed)),
)
async def test_a_bucket_that_was_changed_is_repaired(store, feed, connection, namespace, changed):
    await put(store, "first")
    config, meta = await config_of(connection, namespace), await read_meta(connection, namespace, "todo")
    await change_config(connection, namespace, **changed)
    assert await config_of(connection, namespace) != config

    repaired = await provision(connection, namespace, "todo")

    assert repaired.outcome == "updated"
    assert await config_of(connection, namespace) == config
    assert await read_meta(connection, namespace, "todo") == meta
    assert content(await store.get(address())) == "first"
    assert (await provision(connection, namespace, "todo")).outcome == "unchanged"


async def test_a_repair_does_not_end_the_epoch(store, feed, connection, namespace):
    before = await feed.end("todo")
    await change_config(connection, namespace, description="mine")

    await provision(connection, namespace, "todo")

    assert await feed.end("todo") == before
    assert await JetStreamFeed(connection, namespace).end("todo") == before


async def test_what_was_chosen_for_one_deployment_stays(jetstream, connection, namespace):
    await change_config(connection, namespace, max_bytes=10_000_000, description="mine")

    await provision(connection, namespace, "todo", replicas=1)

    assert (await config_of(connection, namespace))["max_bytes"] == 10_000_000


async def test_two_namespaces_do_not_see_each_other(store, connection):
    other = Namespace("another-stage")
    await provision(connection, other, "todo")
    await put(store, "ours")

    found = await KvStore(connection, other).get(address())

    assert found is None


async def test_a_bucket_that_was_made_anew_begins_a_new_epoch(store, feed, connection, namespace):
    await put(store, "old")
    before = await feed.end("todo")

    await delete_bucket(connection, namespace)
    await provision(connection, namespace, "todo")

    after = await feed.end("todo")
    assert after == await JetStreamFeed(connection, namespace).end("todo")
    assert after.epoch.name != before.epoch.name
    assert after.epoch.base_ms >= before.epoch.base_ms
    assert after.revision < before.revision
    with pytest.raises(EpochChanged):
        await feed.changes("todo", "inbox", 0, Position(before.epoch, after.revision))
    assert await read(feed) == []


async def test_a_feed_that_slept_through_a_new_bucket_notices_as_it_reads(store, feed, connection, namespace):
    await put(store, "old")
    before = await feed.end("todo")
    await delete_bucket(connection, namespace)
    await provision(connection, namespace, "todo")
    for number in range(3):
        await put(store, number)

    with pytest.raises(EpochChanged):
        await feed.changes("todo", "inbox", 0, before)


async def test_a_new_record_of_the_bucket_ends_the_epoch(store, feed, connection, namespace):
    revision = await put(store, "first")
    before = await feed.end("todo")
    await write_meta(
        connection, namespace, {"v": LAYOUT_VERSION, "epoch": "restored", "base": 1_800_000_000_000}
    )

    with pytest.raises(EpochChanged):
        await feed.changes("todo", "inbox", revision, await feed.end("todo"))

    after = await feed.end("todo")
    assert after.epoch != before.epoch
    assert after.epoch.base_ms == 1_800_000_000_000
    assert [content(item) for item in await read(feed)] == ["first"]


async def test_all_feeds_name_an_epoch_alike(feed, connection, namespace):
    assert await JetStreamFeed(connection, namespace).end("todo") == await feed.end("todo")


async def test_a_store_goes_on_with_a_bucket_that_was_made_anew(store, connection, namespace):
    for number in range(5):
        await put(store, number)
    await delete_bucket(connection, namespace)
    await provision(connection, namespace, "todo")

    await put(store, "new", address("2"))

    assert [content(item) for item in await store.get_group("todo", "inbox")] == ["new"]
    assert await store.get(address()) is None


async def test_a_bucket_that_is_gone_is_no_stream(store, feed, connection, namespace):
    await put(store, "first")
    end = await feed.end("todo")
    await delete_bucket(connection, namespace)

    for doing in (
        store.get(address()),
        store.get_group("todo", "inbox"),
        store.write(address(), lambda _: b"{}"),
        feed.end("todo"),
        feed.changes("todo", "inbox", 0, end),
    ):
        with pytest.raises(
            UnknownStream, match=r"^there is no stream 'todo'; it has no bucket yet: provision it first$"
        ):
            await asyncio.wait_for(doing, 3)


async def test_a_bucket_of_a_newer_layout_is_not_written_to(store, connection, namespace):
    await put(store, "first")
    newer = {"v": LAYOUT_VERSION + 1, "shape": "unknown"}
    await write_meta(connection, namespace, newer)
    config = await config_of(connection, namespace)
    fresh = KvStore(connection, namespace)

    for doing in (
        fresh.write(address(), lambda _: value("second")),
        fresh.write(address(), lambda _: None),
        fresh.send("todo", "inbox", None, b'{"type":"typing"}'),
        provision(connection, namespace, "todo"),
        JetStreamFeed(connection, namespace).end("todo"),
    ):
        with pytest.raises(BucketNotUsable) as refused:
            await doing
        assert str(refused.value) == (
            f"bucket '{namespace.bucket('todo')}' has layout 2, and this release knows 1; update the library"
        )

    assert content(await fresh.get(address())) == "first"
    assert await config_of(connection, namespace) == config


async def test_provisioning_leaves_the_config_of_a_newer_layout_alone(jetstream, connection, namespace):
    await write_meta(connection, namespace, {"v": LAYOUT_VERSION + 1, "epoch": "e", "base": 1})
    await change_config(connection, namespace, max_msg_size=2_000_000, allow_direct=False)
    config = await config_of(connection, namespace)

    with pytest.raises(BucketNotUsable, match=r"has layout 2, and this release knows 1; update the library$"):
        await provision(connection, namespace, "todo")

    assert await config_of(connection, namespace) == config


@pytest.mark.parametrize(
    "meta", [[], {}, {"v": "1", "epoch": "e", "base": 1}, {"v": 1, "epoch": "e"}], ids=repr
)
async def test_a_bucket_with_a_broken_record_says_so(jetstream, connection, namespace, meta):
    await write_meta(connection, namespace, meta)

    with pytest.raises(BucketNotUsable, match="has no usable `_meta` record; "):
        await KvStore(connection, namespace).write(address(), lambda _: b"{}")
    with pytest.raises(BucketNotUsable, match="has no usable `_meta` record; "):
        await provision(connection, namespace, "todo")
