"""`streams gateway --workers`: several processes on one port, as one gateway."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from streams import Stream
from streams.auth.configuration import ANONYMOUS_ONLY
from streams.cli import workers as supervision
from streams.cli.gateway_options import MIB, GatewayOptions
from streams.cli.serving_workers import internal_of
from streams.cli.shared_port import shared_port
from streams.cli.worker_numbers import WorkerNumbers
from streams.cli.workers import Workers, WorkersEnded
from streams.jetstream.connection import Connection
from streams.jetstream.credentials import NOBODY
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.store import bound_to
from tests.browser import SECONDS, Browser, Tab
from tests.cli.deployed import Deployed, Start, are_gone, is_there
from tests.cli.deployed import start as start
from tests.cli.deployed import tenants as tenants
from tests.cli.typed import Typed
from tests.clients.npm import left_out
from tests.core.written_app import App
from tests.gateway.inside import Inside, numbers_in

CLIENTS = 40
"""That one of two workers has none of them is as likely as heads forty times in a row, or tails."""

news = Stream("news", dict)


@pytest.fixture(autouse=True)
def ports_can_be_shared() -> None:
    if not hasattr(socket, "SO_REUSEPORT") or not Path("/proc/net/tcp").exists():
        left_out("processes can share a port on Linux only (SO_REUSEPORT)")


async def joined(gateway: Deployed, number: int) -> list[Tab]:
    """So many clients that have the group's state."""
    tabs = [await gateway.joined("news", "today") for _ in range(number)]
    for tab in tabs:
        assert (await tab.next_event())["type"] == "sync"
    return tabs


async def lost(tabs: list[Tab], number: int) -> list[Tab]:
    """Those whose line has ended, once they are so many."""
    async with asyncio.timeout(SECONDS):
        while len(found := [tab for tab in tabs if tab.socket.close_code is not None]) < number:
            await asyncio.sleep(0.02)
    return found


async def test_every_worker_has_clients_and_their_numbers_are_told_as_one(
    start: Start, connection: Connection, namespace: Namespace
):
    async with start("--workers", "2") as gateway:
        tabs = await joined(gateway, CLIENTS)
        with bound_to(KvStore(connection, namespace)):
            await news.set("today", "1", {"text": "Rain"})
        told = {(await tab.next_event())["type"] for tab in tabs}

        pids = await gateway.workers()
        shares = [gateway.sockets_of(pid) for pid in pids]
        open_files = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)
        found = await gateway.numbers()
        health = await gateway.internal.get("/healthz")

    assert (health.status_code, health.text) == (200, "ok\n")
    assert (told, sum(shares), min(shares) > 0) == ({"create"}, CLIENTS, True)
    assert (found["workers"], found["worker_restarts_total"]) == (2, 0)
    assert (found["connections"], found["connections_opened_total"]) == (CLIENTS, CLIENTS)
    assert (found["joined_rooms"], found["joins_total"], found["groups"]) == (CLIENTS, CLIENTS, 2)
    assert (found["frames_sent_total"], found["changes_total"]) == (2 * CLIENTS, 2)
    # What is not summed: each of them is ready, and all have the same memory.
    assert (found["ready"], found["nats_connected"]) == (1, 1)
    assert found["memory_limit_bytes"] <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # With those of the process that has the workers.
    assert found["process_open_fds"] > open_files


async def test_clients_of_a_killed_worker_come_back_to_the_others_and_another_one_is_started(start: Start):
    async with start("--workers", "2") as gateway:
        tabs = await joined(gateway, CLIENTS)
        killed, other = await gateway.workers()
        had = gateway.sockets_of(killed)
        before = await gateway.numbers()

        os.kill(killed, signal.SIGKILL)
        assert len(await lost(tabs, had)) == had
        await joined(gateway, had)
        after = await gateway.numbers()
        assert other in await gateway.workers(other_than=killed)
        later = await gateway.counted("connections", CLIENTS)

    assert (later["workers"], later["worker_restarts_total"], later["connections"]) == (2, 1, CLIENTS)
    assert later["connections_opened_total"] == CLIENTS + had
    for name in before:
        if name.split()[0].endswith(("_total", "_count", "_sum", "_bucket")):
            assert before[name] <= after[name] <= later[name], name


async def test_all_of_them_end_in_order_when_it_is_told_to(start: Start):
    async with start("--workers", "2") as gateway:
        tabs = await joined(gateway, CLIENTS)
        pids = await gateway.workers()

        gateway.command.process.send_signal(signal.SIGTERM)

        assert {(await tab.closed())[0] for tab in tabs} == {1012}
        assert await gateway.command.ends() == 0
        assert not any(map(is_there, pids))


async def test_they_end_in_order_when_it_is_killed(start: Start):
    async with start("--workers", "2") as gateway:
        tabs = await joined(gateway, 2)
        pids = await gateway.workers()

        gateway.command.process.kill()

        assert {(await tab.closed())[0] for tab in tabs} == {1012}
        assert await are_gone(pids)
        socket.create_server(("127.0.0.1", gateway.port)).close()


async def test_nobody_else_can_have_their_port(start: Start, streams: Typed):
    async with start("--workers", "2", "--no-metrics") as gateway:
        taken = ("gateway", "--port", gateway.port, "--metrics-port", "0")

        for options in ((), ("--workers", "2")):
            said = await streams.inside(*taken, *options)
            assert said.refusal.startswith(
                f"127.0.0.1:{gateway.port} cannot be listened on (Address already in"
            )


def test_a_port_of_somebody_else_is_not_shared_with_them(streams: Typed):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        said = streams("gateway", "--workers", "2", "--port", port, "--metrics-port", "0")

    assert said.refusal.startswith(f"127.0.0.1:{port} cannot be listened on (Address already in use")
    assert said.refusal.endswith("; choose another --host or --port")


def test_what_is_wrong_with_the_settings_is_said_once(
    streams: Typed, app: App, capfd: pytest.CaptureFixture[str]
):
    app.write("todo_stream.py", "import nowhere_to_be_found\n")

    said = streams("gateway", app.folder, "--workers", "3", "--port", "0", "--metrics-port", "0")

    # By the first of them, in a process of its own.
    assert (said.code, said.out, said.err) == (1, "", "")
    assert capfd.readouterr().err.count("nowhere_to_be_found") == 1


async def ready(workers: Workers, number: int) -> None:
    async with asyncio.timeout(2 * SECONDS):
        await workers.until_ready(number)


@asynccontextmanager
async def inside_of(workers: Workers) -> AsyncIterator[Inside]:
    transport = httpx.ASGITransport(app=internal_of(workers))
    async with httpx.AsyncClient(transport=transport, base_url="http://workers") as http:
        yield Inside(http)


def test_numbers_are_summed_or_not_by_what_they_mean_and_counters_never_fall():
    def told(ready: int, age: float, joins: int, codes: str) -> str:
        return (
            f"# TYPE streams_gateway_ready gauge\nstreams_gateway_ready {ready}\n"
            "# TYPE streams_gateway_comparison_age_seconds gauge\n"
            f"streams_gateway_comparison_age_seconds {age}\n"
            f"# TYPE streams_gateway_joins_total counter\nstreams_gateway_joins_total {joins}\n"
            f"# TYPE streams_gateway_rooms_refused_total counter\n{codes}"
        )

    numbers = WorkerNumbers()
    numbers.tell(1, told(1, 4, 10, 'streams_gateway_rooms_refused_total{code="A"} 1\n'))
    numbers.tell(2, told(0, 7, 20, 'streams_gateway_rooms_refused_total{code="B"} 2\n'))

    both = numbers_in(numbers.text([1, 2]).decode())
    one = numbers_in(numbers.text([1]).decode())
    numbers.end(2)
    numbers.tell(2, told(1, 1, 5, 'streams_gateway_rooms_refused_total{code="B"} 3\n'))
    other = numbers_in(numbers.text([1, 2]).decode())

    assert (both["ready"], both["comparison_age_seconds"], both["joins_total"]) == (0, 7, 30)
    assert (both["rooms_refused_total A"], both["rooms_refused_total B"]) == (1, 2)
    assert (one["ready"], one["comparison_age_seconds"], one["joins_total"]) == (1, 4, 30)
    assert (other["joins_total"], other["rooms_refused_total B"], other["workers"]) == (35, 5, 2)


def options(streams: Typed, port: int, folder: Path | None = None) -> GatewayOptions:
    return GatewayOptions(
        folder=folder,
        host="127.0.0.1",
        port=port,
        origins=(),
        recheck_seconds=None,
        stall_seconds=30,
        unread_bytes=MIB,
        cache_bytes=MIB,
        grace_seconds=10,
        drain_delay_seconds=0,
        nats=streams.env["STREAMS_NATS_URL"],
        namespace=Namespace(streams.env["STREAMS_NAMESPACE"]),
        credentials=NOBODY,
        tokens=ANONYMOUS_ONLY,
    )


async def test_a_worker_that_hangs_is_left_out_and_after_a_while_another_one_takes_its_place(
    streams: Typed, tenants: App, opened: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
):
    assert (await streams.inside("provision", tenants.folder)).code == 0
    monkeypatch.setattr(supervision, "LOOK_SECONDS", 0.2)
    port = opened.enter_context(shared_port("127.0.0.1", 0))
    browser = Browser(f"ws://127.0.0.1:{port}/", opened)
    async with Workers.running(options(streams, port), 2) as workers, inside_of(workers) as inside:
        await ready(workers, 2)
        for _ in range(CLIENTS):
            await browser.join("news", "today")
        hanging, other = await workers.count_up()
        monkeypatch.setattr(supervision, "MAX_SILENCES", 1000)

        os.kill(hanging, signal.SIGSTOP)
        without = await inside.numbers()
        status, said = await inside.readiness()
        monkeypatch.setattr(supervision, "MAX_SILENCES", 3)
        assert await are_gone([hanging])
        async with asyncio.timeout(2 * SECONDS):
            while (later := await inside.numbers())["workers"] < 2:
                await asyncio.sleep(0.05)

    assert 0 < without["connections"] < CLIENTS
    assert (without["workers"], without["joins_total"]) == (1, CLIENTS)
    assert (status, said["workers"], said["reasons"]) == (200, "1 of 2 are ready", [])
    assert [each["pid"] for each in said["each"]] == [other]
    assert (later["joins_total"], later["worker_restarts_total"]) == (CLIENTS, 1)


async def test_where_no_worker_answers_nobody_should_come_and_one_that_does_not_end_is_killed(
    streams: Typed, tenants: App, opened: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
):
    assert (await streams.inside("provision", tenants.folder)).code == 0
    monkeypatch.setattr(supervision, "DRAIN_SECONDS", 0)
    monkeypatch.setattr(supervision, "KILL_SECONDS", 0.5)
    port = opened.enter_context(shared_port("127.0.0.1", 0))
    async with Workers.running(options(streams, port), 1) as workers, inside_of(workers) as inside:
        await ready(workers, 1)
        (pid,) = await workers.count_up()
        os.kill(pid, signal.SIGSTOP)
        status, said = await inside.readiness()

    assert (status, said["workers"], said["reasons"]) == (503, "0 of 1 are ready", ["no worker answers"])
    assert not is_there(pid)


async def test_workers_that_end_again_and_again_before_they_are_ready_end_all(
    streams: Typed, app: App, opened: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
):
    file = app.stream("todo_stream.py")
    assert (await streams.inside("provision", app.folder)).code == 0
    for name, value in (("PAUSE_SECONDS", (0.01, 0.02)), ("MAX_FAILURES", 1)):
        monkeypatch.setattr(supervision, name, value)
    port = opened.enter_context(shared_port("127.0.0.1", 0))

    async def served() -> None:
        async with Workers.running(options(streams, port, app.folder), 1) as workers:
            await ready(workers, 1)
            (pid,) = await workers.count_up()
            file.write_text("import nowhere_to_be_found\n")
            os.kill(pid, signal.SIGKILL)
            # It is ended from outside.
            await asyncio.wait_for(asyncio.Event().wait(), 4 * SECONDS)

    with pytest.raises(WorkersEnded) as ended:
        await served()

    assert (ended.value.status, ended.value.is_first) == (1, False)
