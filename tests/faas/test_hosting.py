"""When a host looks whether its line to NATS still stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from streams.auth.rules import OwnRules
from streams.auth.tokens import Verifier
from streams.dev.nats_server import NatsServer
from streams.faas import hosting
from streams.faas.hosting import connected_app
from streams.jetstream.connection import Connection, connected_to
from streams.keys import Namespace
from tests.browser import SECONDS
from tests.store.jetstream.proxy import Line, line_to


@pytest_asyncio.fixture
async def line(nats: NatsServer) -> AsyncIterator[Line]:
    async with line_to(nats.url) as line:
        yield line


@pytest_asyncio.fixture
async def connection(line: Line) -> AsyncIterator[Connection]:
    async with connected_to(line.url) as connection:
        yield connection


class Steps:
    """Routes that answer when they are let go."""

    def __init__(self) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun.set()
        await self.may_end.wait()
        await Response("done")(scope, receive, send)


@pytest_asyncio.fixture
async def steps() -> Steps:
    return Steps()


@pytest_asyncio.fixture
async def app(connection: Connection, steps: Steps, namespace: Namespace) -> AsyncIterator[ASGIApp]:
    async with OwnRules.running((), None) as rules:
        yield connected_app(steps, connection, namespace, Verifier.without_keys(), rules)


async def asked(app: ASGIApp) -> str:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return (await client.get("/")).text


async def test_the_first_request_after_a_pause_looks(
    app: ASGIApp, steps: Steps, line: Line, connection: Connection, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hosting, "PAUSE_SECONDS", 0)
    steps.may_end.set()
    before = await connection.client()
    line.forget()

    assert await asked(app) == "done"

    async with asyncio.timeout(SECONDS):
        assert await connection.client() is not before


async def test_a_request_that_comes_while_another_is_under_way_does_not_look(
    app: ASGIApp, steps: Steps, line: Line, connection: Connection, monkeypatch: pytest.MonkeyPatch
):
    first = asyncio.ensure_future(asked(app))
    await steps.begun.wait()
    # A pause of no time would be over at once, if there was one.
    monkeypatch.setattr(hosting, "PAUSE_SECONDS", 0)
    line.swallows_requests = True

    second = asyncio.ensure_future(asked(app))
    steps.may_end.set()
    assert (await first, await second) == ("done", "done")

    assert not line.swallowed.is_set()


async def test_a_request_that_is_cancelled_while_its_events_go_out_has_ended(
    app: ASGIApp, steps: Steps, line: Line, connection: Connection, monkeypatch: pytest.MonkeyPatch
):
    steps.may_end.set()
    await connection.post("news", b"")
    line.swallows_answers = True
    asking = asyncio.ensure_future(asked(app))
    await line.swallowed.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    monkeypatch.setattr(hosting, "PAUSE_SECONDS", 0)
    line.swallows_answers = False
    line.forget()
    before = await connection.client()

    assert await asked(app) == "done"

    async with asyncio.timeout(SECONDS):
        assert await connection.client() is not before
