"""Other programs that write to the same bucket, or to its subjects, whatever they like."""

from __future__ import annotations

import json

import pytest
import pytest_asyncio
from nats.js.kv import KeyValue

from streams.changes import ItemDeleted, ItemSet
from streams.gateway.group import Group
from streams.jetstream.connection import Connection
from streams.keys import Namespace
from tests.conftest import Backend
from tests.store.heard import listening, read
from tests.store.writes import address, content, put, value

NO_ITEMS = [b"", b"milk", b"[]", b'[{"id":"1"}]', b'"milk"', b"7", b"null", b"{", b"\xff\xfe", b'{"a":NaN}']


@pytest_asyncio.fixture
async def others(connection: Connection, namespace: Namespace, jetstream: Backend) -> KeyValue:
    """The bucket of `todo`, as any other program sees it."""
    client = await connection.client()
    return await client.jetstream().key_value(namespace.bucket("todo"))


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
    revision = (await put(store, "first")).revision

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
