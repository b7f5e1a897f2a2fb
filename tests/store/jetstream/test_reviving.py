"""A line that died while nobody looked is found out by asking once, and another one takes its place."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from streams.dev.nats_server import NatsServer
from streams.jetstream.barriers import barrier
from streams.jetstream.connection import PROBE_SECONDS, Connection, connected_to
from tests.browser import SECONDS
from tests.store.jetstream.proxy import Line, line_to


@pytest_asyncio.fixture
async def line(nats: NatsServer) -> AsyncIterator[Line]:
    async with line_to(nats.url) as line:
        yield line


async def test_a_line_that_stands_is_kept(nats: NatsServer):
    async with connected_to(nats.url) as connection:
        before = await connection.client()

        await connection.revive()

        assert await connection.client() is before


@pytest.mark.parametrize("direction", ["requests", "answers", "both"])
async def test_a_line_that_swallows_everything_is_given_up_within_the_probe(line: Line, direction: str):
    async with connected_to(line.url) as connection:
        before = await connection.client()
        line.swallows_requests = direction in ("requests", "both")
        line.swallows_answers = direction in ("answers", "both")

        async with asyncio.timeout(PROBE_SECONDS + SECONDS):
            await connection.revive()
        # Only what was there before is dead: a flow that something in between has forgotten.
        line.swallows_requests = line.swallows_answers = False
        await connection.publish("news", b"")

        assert await connection.client() is not before


async def test_a_line_that_something_in_between_has_forgotten_is_replaced(line: Line):
    async with connected_to(line.url) as connection:
        before = await connection.client()
        line.forget()

        async with asyncio.timeout(PROBE_SECONDS + SECONDS):
            await connection.revive()
            await connection.publish("news", b"")

        assert await connection.client() is not before


@pytest.mark.parametrize("end", [Line.cut, Line.reset])
async def test_a_line_that_was_ended_is_replaced_without_waiting_for_the_probe(
    line: Line, end: Callable[[Line], None], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("streams.jetstream.connection.PROBE_SECONDS", SECONDS * 10)
    async with connected_to(line.url) as connection:
        before = await connection.client()
        end(line)

        async with asyncio.timeout(SECONDS):
            await connection.revive()
            await connection.publish("news", b"")

        assert await connection.client() is not before


async def test_listeners_hear_on_over_the_new_line_and_are_told_that_something_may_be_missing(line: Line):
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    lost = asyncio.Event()
    async with (
        connected_to(line.url) as connection,
        connection.subscribed("news", lambda message: heard.put_nowait(message.data), lost.set),
    ):
        line.swallows_requests = line.swallows_answers = True
        await connection.revive()
        line.swallows_requests = line.swallows_answers = False

        async with asyncio.timeout(SECONDS):
            await connection.publish("news", b"hello")
            assert await heard.get() == b"hello"
        assert lost.is_set()


async def test_many_who_ask_at_once_get_one_new_line(line: Line):
    async with connected_to(line.url) as connection:
        await connection.client()
        line.swallows_answers = True

        await asyncio.gather(*(connection.revive() for _ in range(8)))
        line.swallows_answers = False
        await connection.publish("news", b"")

        await asyncio.gather(*(connection.revive() for _ in range(8)))

    assert line.taken == 2


async def test_what_was_posted_is_with_the_server_when_it_was_confirmed(nats: NatsServer):
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    async with (
        connected_to(nats.url) as other,
        other.subscribed("news", lambda message: heard.put_nowait(message.data)),
        connected_to(nats.url) as connection,
    ):
        await barrier(await other.client(), SECONDS)
        for number in range(100):
            await connection.post("news", b"%d" % number)

        await connection.confirm()

        async with asyncio.timeout(SECONDS):
            assert [await heard.get() for _ in range(100)] == [b"%d" % number for number in range(100)]


async def test_everybody_who_confirms_waits_for_what_was_posted_before(line: Line):
    async with connected_to(line.url) as connection:
        await connection.post("news", b"")
        line.swallows_answers = True
        first = asyncio.ensure_future(connection.confirm())
        await line.swallowed.wait()

        second = asyncio.ensure_future(connection.confirm())
        await asyncio.sleep(0)
        assert not second.done()

        line.cut()
        await asyncio.gather(first, second)


async def test_to_confirm_ends_with_the_line(line: Line, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("streams.jetstream.connection.ANSWER_SECONDS", SECONDS * 10)
    async with connected_to(line.url) as connection:
        await connection.post("news", b"")
        line.swallows_answers = True
        confirming = asyncio.ensure_future(connection.confirm())
        await line.swallowed.wait()

        line.cut()

        async with asyncio.timeout(SECONDS):
            await confirming
    # And it ends although a new line is just being made.


async def test_what_was_posted_on_a_line_that_was_given_up_is_not_waited_for(line: Line):
    async with connected_to(line.url) as connection:
        await connection.post("news", b"")
        line.forget()
        reviving = asyncio.ensure_future(connection.revive())
        await reviving

        async with asyncio.timeout(SECONDS):
            await connection.confirm()


async def test_an_answer_that_lay_in_the_socket_while_the_loop_was_held_up_counts(own_nats: NatsServer):
    async with connected_to(own_nats.url) as connection:
        before = await connection.client()
        os.kill(own_nats.pid, signal.SIGSTOP)
        reviving = asyncio.ensure_future(connection.revive())
        # Until the question is out.
        for _ in range(20):
            await asyncio.sleep(0)
        os.kill(own_nats.pid, signal.SIGCONT)
        time.sleep(PROBE_SECONDS * 1.5)  # noqa: ASYNC251  # A step that holds up the loop.

        await reviving

        assert await connection.client() is before


async def test_to_confirm_costs_nothing_when_nothing_was_posted(line: Line):
    async with connected_to(line.url) as connection:
        line.swallows_requests = True

        async with asyncio.timeout(SECONDS):
            await connection.confirm()

        assert not line.swallowed.is_set()


async def test_an_answer_to_a_ping_that_nobody_waits_for_any_more_does_no_harm(
    connection: Connection,
):
    client = await connection.client()
    given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    given_up.cancel()
    client._pongs.append(given_up)
    await client._send_command(b"PING\r\n")

    await connection.publish("news", b"")

    assert await connection.client() is client
