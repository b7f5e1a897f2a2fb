"""What keeping many groups asks of NATS, counted at the server, and what it finds there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
import pytest
from nats.aio.msg import Msg

from streams.dev.nats_server import NatsServer
from streams.gateway import keeper as keeper_module
from streams.gateway import kept as kept_module
from streams.jetstream.connection import Connection, connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.keys import LAYOUT_VERSION, Namespace
from streams.store import Store
from tests.buckets import vanishing, write_meta
from tests.conftest import Backend
from tests.gateway.keeping import GROUPS, NEVER, CountedLine, Watched, held, keeping, put_in_all
from tests.gateway.waiting import until
from tests.store.jetstream.proxy import line_to
from tests.store.writes import address, put

RESTORED = {"v": LAYOUT_VERSION, "epoch": "restored", "base": 1_800_000_000_000}


@dataclass
class Asked:
    """What was asked of the bucket of `todo`, as the server was asked it."""

    groups: Counter[str] = field(default_factory=Counter)
    """How often each group was asked for, by what its items match."""
    scans: int = 0

    def hear(self, message: Msg) -> None:
        request = orjson.loads(message.data or b"{}")
        self.groups.update(each for each in request.get("multi_last", ()) if each.endswith(".*"))
        self.scans += "next_by_subj" in request


@asynccontextmanager
async def overheard(connection: Connection, namespace: Namespace) -> AsyncIterator[Asked]:
    asked = Asked()
    subject = f"$JS.API.DIRECT.GET.{namespace.bucket_stream('todo')}"
    async with connection.subscribed(subject, asked.hear):
        yield asked


@pytest.fixture(autouse=True)
def nothing_settles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups do not look again soon after they were read."""
    monkeypatch.setattr(keeper_module, "SETTLE_SECONDS", NEVER)


async def all_equal(store: Store, watched: list[Watched]) -> bool:
    return all([each.revisions == await held(store, each.follower.room.group) for each in watched])


async def test_a_line_that_is_renewed_costs_no_read_of_any_group(
    nats: NatsServer, jetstream: Backend, connection: Connection, namespace: Namespace
):
    await put_in_all(jetstream.store, "old")
    async with (
        line_to(nats.url) as cable,
        connected_to(cable.url) as gateway,
        keeping(JetStreamFeed(gateway, namespace)) as now,
    ):
        watched = await now.watching(*GROUPS)
        async with overheard(connection, namespace) as asked:
            # What is committed now reaches nobody: the line carries nothing any more.
            cable.swallows_answers = True
            await put_in_all(jetstream.store, "missed")
            cable.cut()
            wanted = {group: await held(jetstream.store, group) for group in GROUPS}
            asked.groups.clear()

            await until(lambda: {each.follower.room.group: each.revisions for each in watched} == wanted)

            assert asked.groups == {}
            assert asked.scans <= 2


async def test_joins_in_a_bucket_that_moves_all_the_time_read_each_group_once(
    jetstream: Backend, connection: Connection, namespace: Namespace
):
    moved = asyncio.Event()

    async def move() -> None:
        for number in range(10**9):
            await put(jetstream.store, number, address(str(number % 50), f"away {number % 7}"))
            if number > 100:
                moved.set()

    await put_in_all(jetstream.store, "old")
    async with overheard(connection, namespace) as asked, keeping(jetstream.feed) as now:
        moving = asyncio.create_task(move())
        await asyncio.wait_for(moved.wait(), 10)
        watched = [now.watch(group) for group in GROUPS]
        for _ in range(5):
            await asyncio.gather(*(each.fresh() for each in watched for _ in range(3)))
        moving.cancel()
        await asyncio.wait([moving])

        assert asked.groups == {namespace.group_items("todo", group): 1 for group in GROUPS}
        assert 1 <= asked.scans <= 40


async def test_groups_of_the_longest_names_are_kept(jetstream: Backend):
    groups = [mark * 256 for mark in ".>*=/ "] + ["é" * 128]
    line = CountedLine(jetstream.feed, is_deaf=True)
    async with keeping(line) as now:
        watched = await now.watching(*groups)
        for each in groups:
            await put(jetstream.store, "lost", address(each, each))

        line.renew()
        await until(lambda: all(each.revisions for each in watched))

        assert line.asked == []
        assert await all_equal(jetstream.store, watched)


async def test_many_groups_of_the_longest_names_are_asked_for(
    jetstream: Backend, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(kept_module, "is_scan_cheaper", lambda records, **_: records == 0)
    groups = [f"{number:03}".ljust(256, ">") for number in range(120)]
    line = CountedLine(jetstream.feed, is_deaf=True)
    async with keeping(line) as now:
        watched = await now.watching(*groups)
        for start in range(0, 600, 200):
            await asyncio.gather(
                *(
                    put(jetstream.store, "lost", address(str(n), groups[n % 120]))
                    for n in range(start, start + 200)
                )
            )

        line.renew()
        await until(lambda: now.sweeps.get("groups") == 1)

        assert sorted(line.asked) == groups
        assert await all_equal(jetstream.store, watched)


async def test_a_delete_whose_marker_has_expired_is_found_when_nothing_was_compared_for_long(
    jetstream: Backend,
    connection: Connection,
    namespace: Namespace,
    monkeypatch: pytest.MonkeyPatch,
):
    for each in ("a", "b"):
        await put(jetstream.store, "old", address(each, "one"))
    line = CountedLine(jetstream.feed, is_deaf=True)
    async with keeping(line) as now:
        one, other = await now.watching("one", "other")
        await vanishing(connection, namespace, "one.a")
        written = await put(jetstream.store, "lost", address("1", "other"))
        line.renew()
        await until(lambda: other.revisions == {"1": written.revision})
        assert one.revisions.keys() == {"a", "b"}

        monkeypatch.setattr(kept_module, "MARKERS_TRUSTED_SECONDS", -1.0)
        await put(jetstream.store, "lost", address("2", "other"))
        line.renew()

        await until(lambda: now.measures.repairs == 3)
        assert one.revisions.keys() == {"b"}


async def test_where_the_newest_record_vanished_groups_are_asked_for(
    jetstream: Backend, connection: Connection, namespace: Namespace
):
    line = CountedLine(jetstream.feed, is_deaf=True)
    async with keeping(line) as now:
        one, other = await now.watching("one", "other")
        written = await put(jetstream.store, "lost", address("1", "one"))
        await vanishing(connection, namespace, "one.a")

        assert await one.fresh() == {"1": written.revision}
        assert one.follower.group.position == await jetstream.feed.end("todo")
        assert await other.fresh() == {}
        assert line.asked == ["one", "other"]


async def test_when_the_bucket_was_restored_every_group_is_read_anew(
    jetstream: Backend, connection: Connection, namespace: Namespace
):
    line = CountedLine(jetstream.feed)
    async with keeping(line) as now:
        watched = await now.watching(*GROUPS)
        line.may_arrive.clear()
        late = now.watch("late")
        await until(lambda: line.answers == len(GROUPS) + 1)
        line.may_arrive, arriving = asyncio.Event(), line.may_arrive
        line.may_arrive.set()
        await write_meta(connection, namespace, RESTORED)
        await put(jetstream.store, "new", address("1", GROUPS[0]))
        line.reads.clear()

        shown = await asyncio.gather(*(each.fresh() for each in watched))
        # It was answered in the time before.
        arriving.set()
        await until(lambda: late.follower.loaded)
        line.renew()
        await until(lambda: late.restarts == 1 and late.follower.loaded)

        assert shown[0] == await held(jetstream.store, GROUPS[0])
        assert [each.restarts for each in watched] == [1] * len(GROUPS)
        assert sorted(line.reads) == sorted([*GROUPS, "late"])
        epochs = {each.follower.group.position.epoch for each in (*watched, late)}
        assert epochs == {(await jetstream.feed.end("todo")).epoch}


async def test_groups_stay_equal_to_their_bucket_while_many_write_and_half_is_lost(jetstream: Backend):
    """Losses and scans, joins and leaves all at once, against the server."""
    line = CountedLine(jetstream.feed)
    async with keeping(line, seconds=0.05) as now:
        watched = await now.watching(*GROUPS)
        done = asyncio.Event()

        async def write(writer: int) -> None:
            for number in range(150):
                line.is_deaf = (number // 10) % 2 == 0
                group = GROUPS[(writer * 7 + number) % len(GROUPS)]
                await put(jetstream.store, number, address(str(number % 3), group))

        async def join() -> None:
            while not done.is_set():
                await asyncio.gather(*(each.fresh() for each in watched[::3]))

        joining = asyncio.create_task(join())
        await asyncio.gather(*(write(writer) for writer in range(4)))
        done.set()
        await joining
        line.renew()
        wanted = {group: await held(jetstream.store, group) for group in GROUPS}

        await until(lambda: {each.follower.room.group: each.revisions for each in watched} == wanted)
        assert sorted(line.reads) == sorted(GROUPS)
