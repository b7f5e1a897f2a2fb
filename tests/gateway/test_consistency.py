"""Every watcher ends with what the bucket holds, whatever happens on the way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams import OutcomeUnknown, StoreUnavailable, Stream, bound_to
from streams.dev.nats_server import embedded
from streams.jetstream.bucket import provision
from streams.jetstream.connection import Connection, connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.store import Store
from tests.browser import SECONDS, Browser, Tab
from tests.buckets import change_config, config_of, delete_bucket
from tests.conftest import Backend, gateway_on
from tests.gateway.view import View
from tests.gateway.waiting import until

GROUPS = ("one", "two", "a.b *")
IDS = tuple(f"item {number}" for number in range(10))

todo = Stream("todo", dict)


@dataclass
class Writers:
    """Many tasks that set, update and delete at random."""

    random: random.Random
    operations: int
    """Of each task, at least."""
    is_enough: Callable[[], bool] = lambda: True
    """Writing goes on until this is so, too: how much watchers see in a time is the machine's affair."""
    written: dict[str, list[int]] = field(default_factory=lambda: {group: [] for group in GROUPS})
    """Revisions of everything that was acknowledged, by group."""

    async def run(self, store: Store, tasks: int = 6) -> None:
        with bound_to(store):
            async with asyncio.TaskGroup() as group:
                for number in range(tasks):
                    group.create_task(self._write(number))

    async def _write(self, writer: int) -> None:
        for number in count():
            if number >= self.operations and self.is_enough():
                return
            group, item = self.random.choice(GROUPS), self.random.choice(IDS)
            mark = f"{writer}.{number}"
            try:
                match self.random.choices(("set", "update", "delete"), (5, 3, 2))[0]:
                    case "set":
                        result = await todo.set(group, item, {"mark": mark})
                        self.written[group].append(result.revision)
                    case "update":
                        updated = await todo.update(
                            group, item, lambda old, mark=mark: old and {**old, "mark": mark}
                        )
                        if updated.revision is not None:
                            self.written[group].append(updated.revision)
                    case "delete":
                        await todo.delete(group, item)
            except (OutcomeUnknown, StoreUnavailable):
                continue


@dataclass
class Watchers:
    """Tabs that join and leave all the time until the writers are done."""

    random: random.Random
    browser_url: str
    done: asyncio.Event = field(default_factory=asyncio.Event)
    joins: int = 0
    frames: int = 0

    async def run(self, tasks: int = 8) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(tasks):
                group.create_task(self._come_and_go())

    async def _come_and_go(self) -> None:
        while not self.done.is_set():
            async with AsyncExitStack() as opened:
                tab = await Browser(self.browser_url, opened).open()
                await self._stay(tab)

    async def _stay(self, tab: Tab) -> None:
        for _ in range(self.random.randint(1, 4)):
            view = View()
            item = self.random.choice((None, None, *IDS))
            subscription = await tab.join("todo", self.random.choice(GROUPS), item)
            view.take(await tab.next_frame())
            self.joins += 1
            for _ in range(self.random.randint(0, 40)):
                try:
                    async with asyncio.timeout(0.2):
                        frame = await tab.socket.recv(decode=False)
                except TimeoutError:
                    break
                self.frames += 1
                view.take(frame)
            await tab.leave(subscription)
            await tab.say({"type": "ping"})
            while (await tab.next()) != {"type": "pong"}:
                pass


@dataclass
class Watching:
    """A tab that stays to the end, in one group."""

    group: str
    tab: Tab
    view: View = field(default_factory=View)

    async def until_it_is(self, wanted: dict[str, Any]) -> None:
        async with asyncio.timeout(2 * SECONDS):
            while self.view.items != wanted:
                self.view.take(await self.tab.next_frame())

    async def until_it_has_seen(self, written: list[int]) -> None:
        """Every one of these revisions from the first on that was shown: a sync may be newer than it says.

        What is shown can be what is stored before the last changes have come: a create and its delete.
        """
        async with asyncio.timeout(2 * SECONDS):
            while {revision for revision in written if revision > self.view.revisions[0]} - set(
                self.view.revisions
            ):
                self.view.take(await self.tab.next_frame())


async def bucket(store: Store, group: str) -> dict[str, Any]:
    return {
        item.id: {"id": item.id, **orjson.loads(item.value)} for item in await store.get_group("todo", group)
    }


@asynccontextmanager
async def staying(url: str) -> AsyncIterator[list[Watching]]:
    async with AsyncExitStack() as opened:
        browser = Browser(url, opened)
        yield [Watching(group, await browser.open()) for group in GROUPS for _ in range(3)]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_writers_against_watchers_that_come_and_go(jetstream: Backend, seed: int):
    writers = Writers(random.Random(seed), operations=120)
    async with gateway_on(jetstream.feed) as gateway, staying(gateway.url) as stay:
        watchers = Watchers(random.Random(seed), gateway.url)
        writers.is_enough = lambda: watchers.joins > 20 and watchers.frames > 100
        for watching in stay:
            await watching.tab.join("todo", watching.group)

        async with asyncio.TaskGroup() as tasks:
            coming_and_going = tasks.create_task(watchers.run())
            await writers.run(jetstream.store)
            watchers.done.set()
            await coming_and_going

        for watching in stay:
            await watching.until_it_is(await bucket(jetstream.store, watching.group))
            await watching.until_it_has_seen(writers.written[watching.group])


@pytest.mark.parametrize("seed", [4, 5])
async def test_the_same_with_the_server_killed_in_the_middle(tmp_path: Path, namespace: Namespace, seed: int):
    writers = Writers(random.Random(seed), operations=150)
    async with (
        embedded(tmp_path) as nats,
        connected_to(nats.url) as for_writers,
        connected_to(nats.url) as for_gateway,
    ):
        await provision(for_writers, namespace, "todo")
        store = KvStore(for_writers, namespace)
        async with gateway_on(JetStreamFeed(for_gateway, namespace)) as gateway, staying(gateway.url) as stay:
            watchers = Watchers(random.Random(seed), gateway.url)
            for watching in stay:
                await watching.tab.join("todo", watching.group)
                watching.view.take(await watching.tab.next_frame())

            async with asyncio.TaskGroup() as tasks:
                coming_and_going = tasks.create_task(watchers.run())
                writing = tasks.create_task(writers.run(store))
                for _ in range(2):
                    await _grown(writers, by=60)
                    nats.kill()
                    await nats.restart()
                await writing
                watchers.done.set()
                await coming_and_going

            for watching in stay:
                await watching.until_it_is(await bucket(store, watching.group))


async def test_a_change_that_was_lost_on_the_way_is_repaired_without_a_reconnect(
    connection: Connection, namespace: Namespace, jetstream: Backend
):
    async with (
        gateway_on(jetstream.feed, look_for_losses_seconds=0.1) as gateway,
        staying(gateway.url) as stay,
    ):
        with bound_to(jetstream.store):
            await todo.set("one", "kept", {"v": 1})
            await todo.set("one", "lost delete", {"v": 1})
            for watching in stay:
                await watching.tab.join("todo", watching.group)
                watching.view.take(await watching.tab.next_frame())

            async with _nothing_republished(connection, namespace):
                await todo.set("one", "kept", {"v": 2})
                await todo.set("one", "lost create", {"v": 2})
                await todo.delete("one", "lost delete")

        for watching in stay:
            await watching.until_it_is(await bucket(jetstream.store, watching.group))
    assert stay[0].view.items == {
        "kept": {"id": "kept", "v": 2},
        "lost create": {"id": "lost create", "v": 2},
    }
    assert all(watching.view.since <= 3 for watching in stay), "a new sync came instead of the changes"


async def test_a_join_of_a_group_that_is_watched_already_shows_all_that_was_committed_before_it(
    connection: Connection, namespace: Namespace, jetstream: Backend
):
    async with gateway_on(jetstream.feed, look_for_losses_seconds=60) as gateway, AsyncExitStack() as opened:
        browser = Browser(gateway.url, opened)
        first = await browser.join("todo", "one")
        with bound_to(jetstream.store):
            async with _nothing_republished(connection, namespace):
                await todo.set("one", "a", {"v": 1})

            second = await browser.join("todo", "one")

        assert orjson.loads(second.frames[0])["event"]["data"] == [{"id": "a", "v": 1}]
        assert (await first.next_event()) == {"type": "create", "data": {"id": "a", "v": 1}}


async def test_a_bucket_made_anew_sends_its_watchers_away_for_a_fresh_state(
    connection: Connection, namespace: Namespace, jetstream: Backend
):
    async with gateway_on(jetstream.feed, look_for_losses_seconds=0.1) as gateway, AsyncExitStack() as opened:
        browser = Browser(gateway.url, opened)
        with bound_to(jetstream.store):
            await todo.set("one", "old", {"v": 1})
            tab = await browser.join("todo", "one")

            await delete_bucket(connection, namespace)
            await provision(connection, namespace, "todo")
            await todo.set("one", "new", {"v": 1})

            code, _ = await tab.closed()
            again = await browser.join("todo", "one")
    before, after = orjson.loads(tab.frames[0]), orjson.loads(again.frames[0])
    assert code == 1012
    assert [item["id"] for item in after["event"]["data"]] == ["new"]
    assert after["timestamp"] > before["timestamp"]
    assert after["at"].partition(".")[0] != before["at"].partition(".")[0]


async def test_sockets_stay_open_while_nats_is_away(tmp_path: Path, namespace: Namespace):
    async with embedded(tmp_path) as nats, connected_to(nats.url) as connection:
        await provision(connection, namespace, "todo")
        store = KvStore(connection, namespace)
        async with gateway_on(JetStreamFeed(connection, namespace)) as gateway, AsyncExitStack() as opened:
            tab = await Browser(gateway.url, opened).join("todo", "one")

            await nats.stop()
            assert await tab.nothing_came()
            await nats.restart()
            with bound_to(store):
                await todo.set("one", "a", {"v": 1})

            assert (await tab.next_event())["data"] == {"id": "a", "v": 1}


async def _grown(writers: Writers, by: int) -> None:
    def acknowledged() -> int:
        return sum(map(len, writers.written.values()))

    wanted = acknowledged() + by
    await until(lambda: acknowledged() >= wanted, seconds=3 * SECONDS)


@asynccontextmanager
async def _nothing_republished(connection: Connection, namespace: Namespace) -> AsyncIterator[None]:
    """Writes are committed, but the server tells nobody: as when a route breaks."""
    republish = (await config_of(connection, namespace))["republish"]
    await change_config(connection, namespace, republish=None)
    yield
    await change_config(connection, namespace, republish=republish)
