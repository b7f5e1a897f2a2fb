"""What becomes of watched groups when their bucket cannot be read, is gone, or changes too fast."""

from __future__ import annotations

import asyncio
import logging

import pytest

from streams.errors import StoreUnavailable, UnknownStream
from streams.gateway import keeper as keeper_module
from streams.gateway import kept as kept_module
from streams.memory import MemoryStore
from streams.messages import Room
from streams.store import Feed, Store
from tests.browser import SECONDS
from tests.gateway.keeping import GROUPS, NEVER, CountedLine, held, keeping, put_in_all
from tests.gateway.waiting import until
from tests.store.writes import address, put


@pytest.fixture(autouse=True)
def nothing_settles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups do not look again soon after they were read, where a test is not about that."""
    monkeypatch.setattr(keeper_module, "SETTLE_SECONDS", NEVER)


async def test_without_nats_joins_wait_and_are_told_when_it_is_back(store: Store, feed: Feed):
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line, seconds=0.02) as now:
        one, other = await now.watching("one", "other")
        line.away.add("todo")
        written = await put(store, "missed", address("1", "one"))
        joins = [asyncio.create_task(each.fresh()) for each in (one, other)]
        ends = line.ends
        await until(lambda: line.ends > ends + 3)
        assert not any(join.done() for join in joins)

        line.away.clear()

        assert await asyncio.gather(*joins) == [{"1": written.revision}, {}]


async def test_a_bucket_that_cannot_be_read_holds_up_no_other():
    memory = MemoryStore(["todo", "notes"])
    line = CountedLine(memory, is_deaf=True)
    async with keeping(line, seconds=0.02) as now:
        one, other = now.watch("one"), now.watch("one", "notes")
        await asyncio.gather(one.fresh(), other.fresh())
        line.away.add("todo")
        await put(memory, "lost", address("1", "one"))

        for number in range(5):
            written = await put(memory, "lost", address(str(number), "one", "notes"))
            await until(lambda written=written: written.revision in other.revisions.values())

        assert one.revisions == {}
        line.away.clear()
        await until(lambda: one.revisions != {})


async def test_a_bucket_that_is_gone_ends_its_groups_and_a_new_keeper_takes_over_what_comes_after():
    memory = MemoryStore(["todo"])
    line = CountedLine(memory)
    async with keeping(line, seconds=0.02) as now:
        watched = await now.watching(*GROUPS)
        memory._known = set()
        del memory._buckets["todo"]

        await until(lambda: all(each.failed for each in watched))
        assert {type(each.failed) for each in watched} == {UnknownStream}
        memory._known = {"todo"}
        (again,) = await now.watching("one")
        written = await put(memory, "new", address("1", "one"))

        await until(lambda: again.revisions == {"1": written.revision})


async def test_a_join_in_a_bucket_that_is_gone_is_told_so():
    memory = MemoryStore(["todo"])
    async with keeping(CountedLine(memory)) as now:
        (one,) = await now.watching("one")
        memory._known = set()
        del memory._buckets["todo"]

        with pytest.raises(UnknownStream):
            await one.fresh()


async def test_the_last_group_of_a_stream_takes_its_keeper_with_it(feed: Feed):
    line = CountedLine(feed)
    async with keeping(line, seconds=0.02) as now:
        one, other = await now.watching("one", "other")
        await now.leave(one)
        await until(lambda: now.sweeps.get("unmoved", 0) > 3)

        await now.leave(other)
        ends, tasks = line.ends, len(now.tasks._running)
        await until(lambda: not now.tasks._running or tasks == 0)

        assert line.ends == ends
        assert now.keepers.age_seconds == 0.0


async def test_its_age_tells_how_long_ago_all_was_known_to_be_complete(store: Store, feed: Feed):
    line = CountedLine(feed)
    async with keeping(line, seconds=0.02) as now:
        assert now.keepers.age_seconds == 0.0
        await now.watching(*GROUPS)
        line.away.add("todo")
        await until(lambda: now.keepers.age_seconds > 0.3)

        line.away.clear()

        await until(lambda: now.keepers.age_seconds < 0.2)


async def test_one_that_cannot_keep_up_says_so_once_a_minute(
    store: Store, feed: Feed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(keeper_module, "LATE_SECONDS", -1.0)
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line, seconds=0.02) as now:
        watched = await now.watching(*GROUPS)
        for number in range(3):
            scans = now.sweeps.get("scan", 0)
            await put_in_all(store, number)
            await until(lambda scans=scans: now.sweeps.get("scan", 0) > scans)

        assert all(each.revisions for each in watched)
    (said,) = [each for each in caplog.records if "takes long" in each.message]
    assert said.levelno == logging.WARNING
    assert f"stream=todo groups={len(GROUPS)}" in said.message


async def test_looking_for_losses_rests_and_joins_do_not_wait_for_it(store: Store, feed: Feed):
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line) as now:
        (one,) = await now.watching("one")
        # So much that it rests for longer than this test may take.
        now.keepers._share.spend(SECONDS, asyncio.get_running_loop().time())
        await asyncio.gather(*(put(store, n, address(str(n), "one")) for n in range(100)))
        line.renew()
        await until(lambda: line.pages == 1)

        written = await put(store, "lost", address("1", "one"))

        assert (await one.fresh())["1"] == written.revision


async def test_a_line_that_is_cut_in_the_middle_is_taken_up_where_it_was(store: Store, feed: Feed):
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line) as now:
        (one,) = await now.watching("one")
        await asyncio.gather(*(put(store, n, address(str(n), "one")) for n in range(600)))
        pages = line.pages
        line.before_page = lambda number: line.away.add("todo") if number == pages + 1 else None
        # Not before: while it is written, any number of pages might be read.
        line.renew()
        await until(lambda: bool(line.away))
        await until(lambda: len(one.revisions) >= 256)
        assert len(one.revisions) < 600

        line.away.clear()
        wanted = await held(store, "one")

        await until(lambda: one.revisions == wanted)
        assert line.asked == []


async def test_nothing_is_missed_where_the_end_cannot_be_told_by_the_records(store: Store, feed: Feed):
    class Puzzled(CountedLine):
        async def recent(self, *_: object) -> None:
            self.pages += 1

    line = Puzzled(feed, is_deaf=True)
    async with keeping(line) as now:
        one, other = await now.watching("one", "other")
        written = await put(store, "lost", address("1", "one"))
        lost = await put(store, "lost", address("1", "other"))

        assert await one.fresh() == {"1": written.revision}
        line.renew()
        await until(lambda: other.revisions == {"1": lost.revision})
        assert line.asked == ["one", "one", "other"]


async def test_after_too_long_groups_are_compared_whole_one_after_another(
    store: Store, feed: Feed, monkeypatch: pytest.MonkeyPatch
):
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line) as now:
        watched = await now.watching(*GROUPS)
        await put_in_all(store, "lost")
        monkeypatch.setattr(kept_module, "MARKERS_TRUSTED_SECONDS", -1.0)
        line.reads.clear()

        line.renew()
        await until(lambda: now.sweeps.get("groups", 0) == 1)

        assert all(each.revisions for each in watched)
        assert (line.pages, line.asked, sorted(line.reads)) == (0, [], sorted(GROUPS))
        assert now.measures.repairs == len(GROUPS)


async def test_a_failure_of_one_s_own_read_is_its_own(store: Store, feed: Feed):
    class Refusing(CountedLine):
        async def changes(self, room: Room, *rest: object) -> object:
            if room.group == "bad" and len(self.reads) < 5:
                self.reads.append(room.group)
                raise StoreUnavailable("not this one")
            return await super().changes(room, *rest)

    line = Refusing(feed, is_deaf=True)
    async with keeping(line) as now:
        bad = now.watch("bad")
        (good,) = await now.watching("good")
        written = await put(store, "lost", address("1", "good"))

        assert await good.fresh() == {"1": written.revision}
        assert await bad.fresh() == {}
