"""What the gateway does with clients that are late, too large, too slow, or gone."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from streams import Stream, bound_to
from streams.gateway import client_line, guard
from tests.browser import SECONDS, Browser, Tab
from tests.conftest import Backend, Gateway
from tests.gateway.waiting import until

todo = Stream("todo", dict)


async def connection_to(gateway: Gateway) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    port = int(gateway.url.rsplit(":", 1)[1].rstrip("/"))
    return await asyncio.open_connection("127.0.0.1", port)


async def ended(reader: asyncio.StreamReader) -> bool:
    """Wait until the other side has cut the line."""
    async with asyncio.timeout(SECONDS):
        try:
            return await reader.read() == b""
        except ConnectionError:
            return True


async def test_half_a_request_does_not_keep_its_connection(gateway: Gateway, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard, "HEADER_SECONDS", 0.1)
    reader, writer = await connection_to(gateway)

    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")

    assert await ended(reader)
    writer.close()


async def test_a_second_half_request_on_a_kept_connection_is_cut_too(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(guard, "HEADER_SECONDS", 0.2)
    reader, writer = await connection_to(gateway)

    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\n")

    async with asyncio.timeout(SECONDS):
        answer = await reader.read()
    assert answer.count(b"HTTP/1.1 200") == 1
    writer.close()


async def test_headers_without_end_are_cut(gateway: Gateway):
    reader, writer = await connection_to(gateway)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")

    for _ in range(guard.MAX_HEADER_BYTES // 4000 + 2):
        writer.write(b"X-Filler: " + b"x" * 4000 + b"\r\n")

    assert await ended(reader)
    writer.close()


async def test_a_body_may_be_larger_than_headers_may(gateway: Gateway):
    async with httpx.AsyncClient(base_url=gateway.url.replace("ws", "http")) as http:
        answers = [await http.post("/nothing", content=b"x" * 300_000) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [404, 404]


async def test_health_is_answered_over_plain_http(gateway: Gateway):
    async with httpx.AsyncClient(base_url=gateway.url.replace("ws", "http")) as http:
        assert (await http.get("/healthz")).text == "ok\n"


async def test_a_client_that_does_not_answer_pings_is_dropped_and_forgotten(
    gateway: Gateway, browser: Browser, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(client_line, "PING_SECONDS", 0.1)
    tab = await browser.join("todo", "inbox")
    (audience,) = gateway.hub.audiences

    tab.socket.transport.pause_reading()

    await until(lambda: not audience.watchers())
    tab.socket.transport.abort()


async def test_a_client_that_answers_pings_stays(
    jetstream: Backend, browser: Browser, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(client_line, "PING_SECONDS", 0.05)
    tab = await browser.join("todo", "inbox")

    async with asyncio.timeout(SECONDS):
        for _ in range(5):
            await (await tab.socket.ping())
            await asyncio.sleep(0.05)
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})

    assert (await tab.next_event())["type"] == "create"


async def test_a_client_that_reads_nothing_is_told_the_newest_when_it_reads_and_nobody_else_is_disturbed(
    jetstream: Backend, browser: Browser
):
    slow, other = await browser.join("todo", "inbox"), await browser.join("todo", "inbox")
    slow.socket.transport.pause_reading()

    with bound_to(jetstream.store):
        for number in range(60):
            await todo.set("inbox", "a", {"v": number, "filler": "x" * 200_000})
            assert (await other.next_event())["data"]["v"] == number

    slow.socket.transport.resume_reading()
    told = [await _told(slow)]
    while told[-1] != 59:
        told.append(await _told(slow))
    assert told == sorted(set(told))
    assert len(told) < 40


async def _told(tab: Tab) -> int:
    """What the only item is, by the next frame."""
    data = (await tab.next_event())["data"]
    return int((data[0] if isinstance(data, list) else data)["v"])


async def test_a_client_that_says_no_more_and_reads_nothing_is_let_go(
    jetstream: Backend, gateway: Gateway, browser: Browser, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(client_line, "CLOSE_SECONDS", 0.1)
    tab = await browser.join("todo", "inbox")
    tab.socket.transport.pause_reading()
    with bound_to(jetstream.store):
        for number in range(40):
            await todo.set("inbox", "a", {"v": number, "filler": "x" * 200_000})
    await until(lambda: gateway.hub.behind == 1)

    tab.socket.transport.write_eof()

    await until(lambda: len(gateway.hub.guests) == 0)
    assert (gateway.hub.behind, gateway.hub.watched_rooms) == (0, 0)
    # Nothing is left to be written either: the line is cut.
    tab.socket.transport.resume_reading()
    await tab.closed()


async def test_the_thousand_and_first_subscription_of_a_connection_is_refused(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
):
    from streams.gateway import session

    monkeypatch.setattr(session, "MAX_SUBSCRIPTIONS", 3)
    tab = await browser.open()

    for number in range(4):
        await tab.join("todo", f"group {number}")

    frames = [await tab.next() for _ in range(5)]
    refused = [frame for frame in frames if frame["groupId"] == "group 3"]
    assert [frame["event"]["type"] for frame in refused] == ["event", "unauthorized"]
    assert refused[1]["event"]["code"] == "TOO_MANY_SUBSCRIPTIONS"
