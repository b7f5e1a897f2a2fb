"""What a gateway tells those who run it: numbers, and whether it is ready."""

from __future__ import annotations

import re
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import InvalidStatus

from streams import Stream
from streams.dev.nats_server import NatsServer
from streams.jetstream.connection import Connection
from streams.keys import Namespace
from tests.browser import Browser
from tests.conftest import Backend, Gateway, gateway_on
from tests.dev.commands import free_port, running
from tests.gateway.house import House, of
from tests.gateway.inside import Inside, inside_of, numbers_in
from tests.gateway.inside import inside as inside
from tests.gateway.waiting import until
from tests.guarded import provisioned


async def test_open_sockets_are_counted_one_by_one(inside: Inside, browser: Browser):
    tabs = [await browser.open() for _ in range(3)]
    three = await inside.numbers()
    await tabs[0].close()
    two = await inside.numbers()

    assert (three["connections"], three["connections_opened_total"]) == (3, 3)
    assert (two["connections"], two["connections_opened_total"]) == (2, 3)


async def test_a_room_counts_once_for_every_client_and_a_group_once(inside: Inside, browser: Browser):
    await browser.join("todo", "inbox")
    ann = await browser.join("todo", "inbox")
    await ann.join("todo", "inbox", "a")
    await ann.join("todo", "inbox")
    assert {(await ann.next_event())["type"] for _ in range(2)} == {"sync"}

    found = await inside.numbers()

    assert (found["joined_rooms"], found["groups"]) == (3, 1)


async def test_who_leaves_a_room_is_not_counted_in_it(inside: Inside, browser: Browser):
    tab = await browser.open()
    subscription = await tab.join("todo", "inbox")
    await tab.next()

    await tab.leave(subscription)

    assert await tab.nothing_came()
    assert (await inside.numbers())["joined_rooms"] == 0


async def test_sockets_that_end_are_counted_by_who_closed_them_and_why(
    gateway: Gateway, inside: Inside, browser: Browser
):
    leaving, vanishing, odd, sent_away = [await browser.open() for _ in range(4)]

    await leaving.close()
    vanishing.socket.transport.abort()
    await odd.socket.close(3456)
    await until(lambda: len(gateway.hub.guests) == 1)
    gateway.hub.guests.send_away(1011, "come back")
    await sent_away.closed()

    found = await inside.numbers()
    closed = {code: found[f"connections_closed_total {code}"] for code in (1000, 1006, "other", 1011, 4401)}
    assert closed == {1000: 1, 1006: 1, "other": 1, 1011: 1, 4401: 0}


async def test_a_client_that_breaks_the_protocol_is_counted_as_such(
    gateway: Gateway, inside: Inside, browser: Browser
):
    tab = await browser.open()

    tab.socket.transport.write(b"\xff\xff\xff\xff\xff\xff")
    await tab.closed()

    assert (await inside.numbers())["connections_closed_total 1002"] == 1


async def test_sockets_that_are_not_opened_are_counted_by_the_code_of_the_answer(
    inside: Inside, browser: Browser
):
    for refused in ({"subprotocols": ["Authorization", "x"]}, {"origin": "https://elsewhere.example"}):
        with pytest.raises(InvalidStatus):
            await browser.open(**refused)

    found = await inside.numbers()

    assert found["connections_refused_total TOKEN_REFUSED"] == 1
    assert found["connections_refused_total ORIGIN_REFUSED"] == 1
    assert (found["connections_refused_total TOKEN_REVOKED"], found["connections"]) == (0, 0)


async def test_rooms_that_are_refused_or_lost_are_counted_by_code():
    async with House().open() as house, inside_of(house.hub) as inside:
        tab = await house.enters(of(groups="inbox"), "inbox")
        for group in ("other", ""):
            await tab.join("todo", group)
            assert (await tab.next_event())["type"] == "unauthorized"
        house.closed.add("inbox")
        await house.hub.guests.recheck_everybody()

        found = await inside.numbers()

    assert found["rooms_refused_total STREAM_ACCESS_DENIED"] == 2
    assert found["rooms_refused_total INVALID_NAME"] == 1
    assert found["joined_rooms"] == 0


async def test_two_gateways_of_one_process_count_apart(
    jetstream: Backend, inside: Inside, browser: Browser, opened: AsyncExitStack
):
    other = await opened.enter_async_context(gateway_on(jetstream.feed))
    inside_other = await opened.enter_async_context(inside_of(other.hub))

    await browser.open()

    assert (await inside.numbers())["connections"] == 1
    assert (await inside_other.numbers())["connections"] == 0


async def test_the_process_is_measured_too(inside: Inside):
    found = await inside.numbers()

    assert found["process_resident_memory_bytes"] > 1_000_000
    assert {"process_cpu_seconds_total", "process_open_fds", "process_max_fds"} <= found.keys()


async def test_names_and_meanings_are_what_prometheus_expects(inside: Inside):
    answer = await inside.http.get("/metrics")
    own = [
        family
        for family in text_string_to_metric_families(answer.text)
        if not family.name.startswith("process_")
    ]

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert all(family.name.startswith("streams_gateway_") and family.documentation for family in own)
    assert {family.type for family in own} == {"gauge", "counter", "histogram"}
    for family in own:
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
        # Base units, and nothing in milliseconds or kilobytes.
        assert not re.search("(milli|micro|kilo|mega|_ms|_kb|_mb)", family.name)
        if family.type == "histogram":
            assert family.name.endswith("_seconds")


async def test_a_gateway_that_is_about_to_end_says_so_inside_and_outside(gateway: Gateway, inside: Inside):
    async with httpx.AsyncClient(base_url=gateway.url.replace("ws", "http"), trust_env=False) as outside:
        before = (await outside.get("/readyz"), await inside.http.get("/readyz"))
        gateway.hub.is_leaving = True
        after = (await outside.get("/readyz"), await inside.http.get("/readyz"))

        assert [answer.status_code for answer in (*before, *after)] == [200, 200, 503, 503]
        assert (before[0].text, before[1].json()["reasons"]) == ("ready\n", [])
        assert after[0].text == "this gateway is about to end\n"
        assert after[1].json()["reasons"] == ["this gateway is about to end"]
        assert (await outside.get("/healthz")).status_code == 200
        assert (await inside.numbers())["ready"] == 0


async def test_what_is_inside_is_not_to_be_had_outside(gateway: Gateway, inside: Inside):
    async with httpx.AsyncClient(base_url=gateway.url.replace("ws", "http"), trust_env=False) as outside:
        assert (await outside.get("/metrics")).status_code == 404
    assert (await inside.http.get("/healthz")).text == "ok\n"
    assert (await inside.http.get("/nothing")).status_code == 404
    assert (await inside.http.get("/metrics", headers={"Upgrade": "websocket"})).status_code in (200, 400)


@pytest_asyncio.fixture
async def deployed(
    connection: Connection, namespace: Namespace, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A namespace that `streams gateway` serves when it is started."""
    await provisioned(connection, namespace, ())
    monkeypatch.setenv("STREAMS_NATS_URL", nats.url)
    monkeypatch.setenv("STREAMS_NAMESPACE", namespace.name)


@pytest.mark.usefixtures("deployed")
async def test_the_command_says_that_it_ends_before_it_sends_clients_away(
    tmp_path: Path, opened: AsyncExitStack
):
    port, metrics = free_port(), free_port()
    options = ("--port", f"{port}", "--metrics-port", f"{metrics}", "--drain-delay", "1.5")
    async with running("gateway", *options, cwd=tmp_path) as command, httpx.AsyncClient() as http:
        await command.says(f"metrics at http://127.0.0.1:{metrics}/metrics")
        browser = Browser(f"ws://127.0.0.1:{port}/", opened)
        tabs = [await browser.open() for _ in range(3)]
        scraped = numbers_in((await http.get(f"http://127.0.0.1:{metrics}/metrics")).text)

        command.process.send_signal(signal.SIGTERM)

        readyz = f"http://127.0.0.1:{port}/readyz"
        while (answer := await http.get(readyz)).status_code == 200:
            pass
        late = await browser.open()
        assert scraped["connections"] == 3
        assert (answer.status_code, await late.nothing_came()) == (503, True)
        assert {(await tab.closed())[0] for tab in (*tabs, late)} == {1012}
        assert await command.ends() == 0


RULES = """
from streams import Stream

notes = Stream("notes", dict, can_access=lambda subscription, context: True)
"""


@pytest.mark.usefixtures("deployed")
async def test_the_command_times_the_rules_of_the_application(
    connection: Connection, namespace: Namespace, tmp_path: Path, opened: AsyncExitStack
):
    (tmp_path / "notes_stream.py").write_text(RULES)
    await provisioned(connection, namespace, [Stream("notes", dict, can_access=lambda *_: True)])
    port, metrics = free_port(), free_port()
    options = (".", "--port", f"{port}", "--metrics-port", f"{metrics}")
    async with running("gateway", *options, cwd=tmp_path) as command, httpx.AsyncClient() as http:
        await command.says(f"metrics at http://127.0.0.1:{metrics}/metrics")
        await Browser(f"ws://127.0.0.1:{port}/", opened).join("notes", "today")

        found = numbers_in((await http.get(f"http://127.0.0.1:{metrics}/metrics")).text)

        assert (found["hook_seconds_count"], found["joins_total"]) == (1, 1)


@pytest.mark.usefixtures("deployed")
async def test_the_command_can_do_without_an_internal_listener(tmp_path: Path):
    async with running("gateway", "--port", f"{free_port()}", "--no-metrics", cwd=tmp_path) as command:
        assert "metrics" not in await command.says("gateway at")


@pytest.mark.usefixtures("deployed")
async def test_a_metrics_port_that_is_taken_is_named_with_what_to_do(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with running("gateway", "--port", "0", "--metrics-port", f"{port}", cwd=tmp_path) as command:
            said = await command.says("cannot be listened on")

    assert f"127.0.0.1:{port}" in said
    assert "--metrics-port, or --no-metrics" in said
