"""A stream that gets a rule while it is watched."""

from __future__ import annotations

from contextlib import AsyncExitStack

from streams.jetstream.bucket import provision
from streams.jetstream.connection import Connection
from streams.keys import Namespace
from tests.browser import Browser
from tests.conftest import Backend, gateway_on


async def test_everybody_who_watches_a_stream_has_to_pass_its_new_rule(
    connection: Connection, namespace: Namespace, jetstream: Backend
):
    async with gateway_on(jetstream.feed, look_for_losses_seconds=0.1) as gateway, AsyncExitStack() as opened:
        browser = Browser(gateway.url, opened)
        tabs = [await browser.join("todo", group) for group in ("one", "two", "three")]

        await provision(connection, namespace, "todo", guarded=True)

        assert {(await tab.closed())[0] for tab in tabs} == {1012}
    assert await jetstream.feed.is_guarded("todo")
