"""Other processes that write the same items at the same time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from streams import Contention, Stream, connected
from streams.dev.nats_server import NatsServer
from streams.jetstream import writing
from streams.jetstream.connection import connected_to
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.store import Present, Store
from tests.store.writes import address, content, content_of, put, value


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


async def test_a_write_that_lost_is_decided_again_on_the_newer_item(store, rival):
    await put(store, 0)
    seen: list[Any] = []

    def decide(old: Present | None) -> bytes:
        seen.append(content(old))
        if len(seen) < 4:
            rival.put(value(len(seen)))
        return value("ours")

    written = await store.write(address(), decide)

    assert seen == [0, 1, 2, 3]
    assert content_of(written.old) == 3
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
        result = await todo.update("inbox", "1", change)

        assert (result.new_value, result.changed) == (None, False)

    assert await store.get(address()) is None


async def test_a_create_that_lost_finds_the_others_item(store, rival):
    def decide(old: Present | None) -> bytes | None:
        if old is None:
            rival.put(value("theirs"))
            return value("ours")
        return old.value

    written = await store.write(address(), decide)

    assert content_of(written.old) == content(await store.get(address())) == "theirs"


async def test_a_delete_that_lost_deletes_the_newer_item(store, rival):
    await put(store, "first")
    calls: list[None] = []

    def decide(old: Present | None) -> None:
        calls.append(None)
        if len(calls) == 1:
            rival.put(value("theirs"))

    written = await store.write(address(), decide)

    assert content_of(written.old) == "theirs"
    assert await store.get(address()) is None


async def test_a_write_that_loses_every_time_ends_in_a_clear_error_and_writes_nothing(
    store, rival, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(writing, "PATIENCE_SECONDS", 0.2)
    calls: list[None] = []

    def decide(_: Present | None) -> bytes:
        calls.append(None)
        rival.put(value(len(calls)))
        return value("ours")

    with pytest.raises(Contention) as error:
        await store.write(address(), decide)

    assert error.value.attempts >= writing.ATTEMPTS
    assert str(error.value) == (
        f"todo/inbox/1 was changed by other writers {error.value.attempts} times in a row; "
        "nothing was written, try again"
    )
    assert content(await store.get(address())) == len(calls)


async def test_updates_from_several_processes_count_exactly(store, nats, namespace, connection):
    async def count(by: Store) -> int:
        written = await by.write(address(), lambda old: value((content(old) or 0) + 1))
        return content_of(written.old) or 0

    async with connected_to(nats.url) as another:
        stores = [store, KvStore(connection, namespace), KvStore(another, namespace)]
        seen = await asyncio.gather(*(count(stores[number % 3]) for number in range(21)))

    assert content(await store.get(address())) == 21
    assert sorted(seen) == list(range(21))
