"""What a connection is before it has said anything, and what becomes of it then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from streams.gateway import guard
from tests.browser import SECONDS
from tests.conftest import Gateway
from tests.gateway.door import PING, PONG, Visitor
from tests.gateway.handshake_rows import request
from tests.gateway.waiting import until

PLAIN = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def visitor(gateway: Gateway) -> AsyncIterator[Visitor]:
    port = int(gateway.url.rstrip("/").rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Visitor(reader, writer)
    finally:
        writer.transport.abort()


async def test_a_connection_that_says_nothing_is_cut(gateway: Gateway, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard, "HEADER_SECONDS", 0.1)
    async with visitor(gateway) as silent:
        assert (await silent.answer()).everything == b""


async def test_who_says_a_little_now_and_then_is_cut_too(gateway: Gateway, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard, "HEADER_SECONDS", 0.2)
    async with visitor(gateway) as slow:
        await slow.says(request()[:-2] + b"X: ")
        cut = asyncio.create_task(slow.answer())
        while not cut.done():
            await slow.says(b"x")
            await asyncio.wait([cut], timeout=0.02)

        assert (await cut).everything == b""


async def test_a_request_that_comes_byte_by_byte_opens_a_socket(gateway: Gateway):
    async with visitor(gateway) as slow:
        for byte in request():
            await slow.says(bytes([byte]))

        assert (await slow.answer()).status == 101
        assert await slow.pong() == PONG


async def test_a_socket_may_be_opened_after_another_request(gateway: Gateway):
    async with visitor(gateway) as other:
        await other.says(PLAIN)
        assert (await other.answer()).body == b"ok\n"

        await other.says(request())

        assert (await other.answer()).status == 101
        assert await other.pong() == PONG


async def test_two_requests_in_one_piece_are_both_answered(gateway: Gateway):
    async with visitor(gateway) as other:
        await other.says(PLAIN + PLAIN)

        answered = b""
        async with asyncio.timeout(SECONDS):
            while answered.count(b"ok\n") < 2:
                answered += (await other.answer()).everything


async def test_frames_that_come_in_pieces_are_heard_when_they_are_whole(gateway: Gateway):
    async with visitor(gateway) as slow:
        await slow.says(request())
        await slow.answer()

        for byte in PING:
            await slow.says(bytes([byte]))

        assert await slow.pong() == PONG


async def test_nothing_is_left_of_a_connection_that_ends_before_it_has_said_anything(gateway: Gateway):
    async with visitor(gateway) as silent:
        silent.line.close()

    async with visitor(gateway) as other:
        await other.says(request())
        assert (await other.answer()).status == 101
    await until(lambda: not len(gateway.hub.guests))
