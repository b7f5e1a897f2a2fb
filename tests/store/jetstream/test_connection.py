"""One connection that outlives what happens to it."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from nats.aio.transport import TcpTransport

from streams import OutcomeUnknown, StoreUnavailable, Stream, bound_to, connected
from streams.dev.nats_server import NatsServer, embedded
from streams.jetstream import connection as module
from streams.jetstream.bucket import provision
from streams.jetstream.connection import Connection, NobodyAnswers, connected_to
from streams.jetstream.kv_store import KvStore
from streams.jetstream.received import Message
from streams.keys import Address, Namespace
from streams.store import Present
from tests.browser import SECONDS
from tests.store.jetstream.proxy import line_to

todo = Stream("todo", dict)


async def test_a_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.3)

    with pytest.raises(StoreUnavailable, match="does not answer"):
        async with connected_to("nats://127.0.0.1:1"):
            pass


async def test_a_cancellation_that_is_lost_on_the_way_ends_the_attempt_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
):
    is_lost = False

    async def refused(*_: object, **__: object) -> None:
        # As `wait_for` before Python 3.12 where both come in the same turn of the loop.
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            nonlocal is_lost
            is_lost = True
            raise ConnectionRefusedError from None

    monkeypatch.setattr(TcpTransport, "connect", refused)
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.1)

    with pytest.raises(StoreUnavailable, match="does not answer"):
        async with connected_to("nats://127.0.0.1:1"):
            pass

    assert is_lost


async def test_a_subscription_goes_on_after_the_server_was_killed_and_says_that_something_may_be_missing(
    own_nats: NatsServer,
):
    seen: asyncio.Queue[bytes] = asyncio.Queue()
    lost = asyncio.Event()
    async with (
        connected_to(own_nats.url) as connection,
        connection.subscribed("news", lambda message: seen.put_nowait(message.data), lost.set),
    ):
        own_nats.kill()
        await own_nats.restart()

        async with asyncio.timeout(SECONDS):
            await lost.wait()
            await connection.publish("news", b"hello")
            assert await seen.get() == b"hello"


async def test_a_line_that_is_reset_while_something_waits_to_be_written_leaves_nothing_behind(
    nats: NatsServer,
):
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what["message"]))
    lost = asyncio.Event()
    async with (
        line_to(nats.url) as line,
        connected_to(line.url) as connection,
        connection.subscribed("news", lambda _: None, lost.set),
    ):
        for _ in range(8):
            client = await connection.client()
            # As a burst leaves it when the flusher has not had its turn yet.
            client._pending.append(10 * b"PUB news 1\r\nx\r\n")
            client._pending_data_size += 150
            line.reset()
            async with asyncio.timeout(SECONDS):
                await lost.wait()
            lost.clear()
    del client
    gc.collect()
    await asyncio.sleep(0)

    assert complaints == []


async def test_a_client_that_closed_for_good_is_replaced(own_nats: NatsServer):
    seen: asyncio.Queue[bytes] = asyncio.Queue()
    lost = asyncio.Event()
    async with (
        connected_to(own_nats.url) as connection,
        connection.subscribed("news", lambda message: seen.put_nowait(message.data), lost.set),
    ):
        before = await connection.client()
        # Longer than the server's control line: it answers with an error and closes, and nats-py gives up.
        await before.publish("x" * 5000, b"")

        async with asyncio.timeout(SECONDS):
            await lost.wait()
            await connection.publish("news", b"hello")
            assert await seen.get() == b"hello"
        assert await connection.client() is not before


async def test_what_is_asked_while_the_server_is_away_is_answered_when_it_is_back(own_nats: NatsServer):
    namespace = Namespace()
    async with connected_to(own_nats.url) as connection:
        await provision(connection, namespace, "todo")
        with bound_to(KvStore(connection, namespace)):
            await todo.set("inbox", "a", {"v": 1})
            await own_nats.stop()
            reading = asyncio.create_task(todo.get("inbox", "a"))

            await own_nats.restart()

            assert await reading == {"id": "a", "v": 1}


async def test_a_write_while_the_server_is_away_says_that_nothing_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.3)
    namespace = Namespace()
    async with embedded(tmp_path) as nats, connected_to(nats.url) as connection:
        await provision(connection, namespace, "todo")
        with bound_to(KvStore(connection, namespace)):
            await nats.stop()
            async with asyncio.timeout(SECONDS):
                while await _is_connected(connection):
                    await asyncio.sleep(0.01)

            with pytest.raises(StoreUnavailable, match="nothing was written"):
                await todo.set("inbox", "a", {"v": 1})

            await nats.restart()
            monkeypatch.setattr(module, "CONNECT_SECONDS", 5.0)
            assert await todo.get("inbox", "a") is None


def freeze(pid: int) -> None:
    """Stop a process, and return when every thread of it stands: one that runs on could still answer."""
    os.kill(pid, signal.SIGSTOP)
    threads = Path(f"/proc/{pid}/task")
    for _ in range(100_000):
        states = [(thread / "stat").read_text().rpartition(")")[2].split()[0] for thread in threads.iterdir()]
        if set(states) == {"T"}:
            return
    raise AssertionError(f"the process does not stop: {states}")


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for stopped threads in /proc")
async def test_a_write_whose_answer_is_lost_says_that_nobody_knows(own_nats: NatsServer):
    namespace = Namespace()
    async with connected_to(own_nats.url) as connection:
        await provision(connection, namespace, "todo")
        store = KvStore(connection, namespace)

        def frozen_meanwhile(_: Present | None) -> bytes:
            # Between the read that it is decided upon and the write itself.
            freeze(own_nats.pid)
            return b'{"v":1}'

        with pytest.raises(OutcomeUnknown, match="todo/inbox/a"):
            await store.write(Address("todo", "inbox", "a"), frozen_meanwhile)

        os.kill(own_nats.pid, signal.SIGCONT)
        async with asyncio.timeout(SECONDS):
            while await store.get(Address("todo", "inbox", "a")) is None:
                await asyncio.sleep(0.01)


async def test_nobody_behind_a_subject_is_not_a_lost_answer(connection: Connection):
    with pytest.raises(NobodyAnswers):
        await connection.request("nobody.here")


async def test_a_process_that_is_too_slow_is_cut_off_and_learns_that_it_missed_something(tmp_path: Path):
    sent, heard, lost = 400, 0, asyncio.Event()

    def flooded(_: Message) -> None:
        nonlocal heard
        if heard == 0:
            # Nothing is read meanwhile. It is more than the server and the system hold for us.
            publish(nats.url, "flood", b"x" * 100_000, sent)
        heard += 1

    async with (
        embedded(tmp_path, settings="max_pending: 1048576") as nats,
        connected_to(nats.url) as connection,
        connection.subscribed("flood", flooded, lost.set),
    ):
        await connection.post("flood", b"begin")
        async with asyncio.timeout(SECONDS):
            await lost.wait()
        told = await asyncio.to_thread(urlopen, f"{nats.monitoring_url}/varz")
        before = heard
        await connection.publish("flood", b"end")

        assert json.load(told)["slow_consumers"] == 1
        assert 0 < before <= sent
        assert heard == before + 1


async def test_a_message_that_cannot_be_taken_is_one_that_was_missed(
    connection: Connection, caplog: pytest.LogCaptureFixture
):
    heard: list[int] = []
    lost = asyncio.Event()

    def take(message: Message) -> None:
        heard.append(int(message.data))

    async with connection.subscribed("numbers", take, lost.set):
        for data in (b"1", b"one", b"2"):
            await connection.publish("numbers", data)
        async with asyncio.timeout(SECONDS):
            await lost.wait()

    assert heard == [1, 2]
    assert [record.getMessage() for record in caplog.records] == [
        "a message could not be taken subject=numbers"
    ]


async def test_whoever_listens_no_more_hears_nothing(connection: Connection):
    heard: list[bytes] = []
    async with connection.subscribed("news", lambda message: heard.append(message.data)):
        await connection.publish("news", b"first")

    await connection.publish("news", b"second")

    assert heard == [b"first"]


def publish(url: str, subject: str, data: bytes, times: int) -> None:
    """As a program does that has nothing else to do: return when the server has taken all of it."""
    parts = urlsplit(url)
    with (
        socket.create_connection((parts.hostname, parts.port)) as line,
        line.makefile("rb") as answers,
    ):
        line.sendall(b'CONNECT {"verbose":false}\r\n')
        for _ in range(times):
            line.sendall(b"PUB %s %d\r\n%s\r\n" % (subject.encode(), len(data), data))
        line.sendall(b"PING\r\n")
        while answers.readline() != b"PONG\r\n":
            pass


async def test_a_script_is_bound_to_its_store_for_the_length_of_a_block(jetstream, nats, namespace):
    async with connected(nats.url, namespace=namespace.name) as store:
        await todo.set("inbox", "1", {"text": "Milk"})
        assert (await store.get(Address("todo", "inbox", "1"))).value == b'{"text":"Milk"}'

    assert (await jetstream.store.get(Address("todo", "inbox", "1"))).value == b'{"text":"Milk"}'


async def _is_connected(connection: Connection) -> bool:
    return bool(connection._client.is_connected)
