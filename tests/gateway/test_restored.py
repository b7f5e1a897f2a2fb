"""NATS is restored from an older copy: nobody keeps what is not there any more."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from streams import Stream, bound_to
from streams.dev.nats_server import NatsServer
from streams.jetstream.bucket import provision
from streams.jetstream.connection import Connection, connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from tests.browser import SECONDS, Browser, Tab
from tests.conftest import gateway_on
from tests.gateway.returning import Returning
from tests.gateway.rooms import Rooms

todo = Stream("todo", dict)


class Deployment:
    """A server of its own, of which a copy is made, and to which that is restored."""

    def __init__(
        self, nats: NatsServer, connection: Connection, folder: Path, opened: AsyncExitStack
    ) -> None:
        self.namespace = Namespace()
        self._nats, self._connection, self._folder, self._opened = nats, connection, folder, opened

    async def gateway(self, **options: Any) -> str:
        """The address of one more."""
        feed = JetStreamFeed(self._connection, self.namespace)
        return (await self._opened.enter_async_context(gateway_on(feed, **options))).url

    async def copy(self) -> None:
        """Copy what is stored, as a backup does."""
        await self._nats.stop()
        shutil.copytree(self._folder / "nats/jetstream", self._folder / "copy")
        await self._start()

    async def restore(self, *, is_said: bool) -> None:
        """Put the copy back; and say so, as the manual asks for."""
        await self._nats.stop()
        shutil.rmtree(self._folder / "nats/jetstream")
        shutil.copytree(self._folder / "copy", self._folder / "nats/jetstream")
        await self._start()
        if is_said:
            await provision(self._connection, self.namespace, "todo", is_restored=True)

    async def _start(self) -> None:
        await self._nats.restart()
        async with asyncio.timeout(SECONDS):
            while True:
                with suppress(Exception):
                    await todo.get("inbox", "a")
                    return
                await asyncio.sleep(0.05)


@pytest_asyncio.fixture
async def deployment(
    own_nats: NatsServer, tmp_path: Path, opened: AsyncExitStack
) -> AsyncIterator[Deployment]:
    async with connected_to(own_nats.url) as connection:
        deployment = Deployment(own_nats, connection, tmp_path, opened)
        await provision(connection, deployment.namespace, "todo")
        with bound_to(KvStore(connection, deployment.namespace)):
            yield deployment


async def stored() -> list[dict[str, object]]:
    return [dict(item) for item in await todo.get_group("inbox")]


async def write_and_restore(deployment: Deployment, *, is_said: bool) -> None:
    """Restore a copy, since which an item was changed, one deleted and one made."""
    await todo.set("inbox", "changed", {"v": 2})
    await todo.delete("inbox", "deleted")
    await todo.set("inbox", "made", {"v": 1})
    await deployment.restore(is_said=is_said)


async def seen_until_it_is_as_stored(tab: Tab, rooms: Rooms) -> None:
    """Read on until the client shows what there is."""
    there = await stored()
    async with asyncio.timeout(SECONDS):
        while rooms.items("inbox") != there:
            rooms.take(await tab.next_frame())
    assert rooms.as_motia_shows_it("inbox") == there


async def begun(deployment: Deployment) -> None:
    await todo.set("inbox", "changed", {"v": 1})
    await todo.set("inbox", "deleted", {"v": 1})
    await deployment.copy()


async def test_who_comes_back_to_a_gateway_that_was_restarted_starts_over(
    deployment: Deployment, opened: AsyncExitStack
):
    await begun(deployment)
    await todo.set("inbox", "made", {"v": 1})
    client = Returning()
    await client.come(await deployment.gateway(), opened)
    await client.go()

    await write_and_restore(deployment, is_said=True)
    # It has come as far again as the client has seen it.
    for number in range(10):
        await todo.set("inbox", "changed", {"v": 10 + number})
    await client.come(await deployment.gateway(), opened)

    assert client.kinds == ["sync", "sync"]
    assert client.reason == "epoch"
    assert client.held.items == await stored()
    assert [item["id"] for item in client.held.items] == ["changed", "deleted"]


@pytest.mark.parametrize("is_said", [True, False], ids=["said", "unsaid"])
async def test_sockets_of_a_gateway_that_runs_on_are_closed_and_start_over(
    deployment: Deployment, opened: AsyncExitStack, is_said: bool
):
    await begun(deployment)
    url = await deployment.gateway(look_for_losses_seconds=0.2)
    client, plain = Returning(), await Browser(url, opened).join("todo", "inbox")
    await client.come(url, opened)

    await write_and_restore(deployment, is_said=is_said)
    code, _ = await plain.closed()
    await client.tab.closed()
    await client.come(url, opened)
    again = await Browser(url, opened).join("todo", "inbox")

    assert code == 1012
    assert client.kinds[-1] == "sync"
    assert client.held.items == await stored()
    # What Motia's clients go by rises, whatever the copy's positions are.
    stamps = [stamp for tab in (plain, again) for stamp in stamps_of(tab)]
    assert stamps == sorted(stamps)
    await todo.set("inbox", "changed", {"v": 100})
    rooms = Rooms()
    rooms.take(again.frames[0])
    await seen_until_it_is_as_stored(again, rooms)


def stamps_of(tab: Tab) -> list[float]:
    return [message["timestamp"] for message in map(orjson.loads, tab.frames) if "timestamp" in message]
