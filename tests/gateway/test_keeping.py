"""All watched groups of a bucket are kept equal to it by one comparison."""

from __future__ import annotations

import asyncio

import pytest

from streams.gateway import group
from streams.gateway import keeper as keeper_module
from streams.store import Feed, Store
from tests.gateway.keeping import GROUPS, NEVER, CountedLine, held, keeping, put_in_all
from tests.gateway.waiting import until
from tests.store.writes import address, delete, put


@pytest.fixture(autouse=True)
def nothing_settles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups do not look again soon after they were read, where a test is not about that."""
    monkeypatch.setattr(keeper_module, "SETTLE_SECONDS", NEVER)


async def test_where_nothing_was_written_a_comparison_is_one_question(store: Store, feed: Feed):
    line = CountedLine(feed)
    await put_in_all(store, "old")
    async with keeping(line, seconds=0.02) as now:
        await now.watching(*GROUPS)
        reads, ends = len(line.reads), line.ends

        await until(lambda: now.sweeps.get("unmoved", 0) > 10)

        assert (line.reads, line.asked, line.pages) == (line.reads[:reads], [], 0)
        assert line.ends - ends <= now.sweeps["unmoved"] + 1
        assert now.sweeps.keys() == {"unmoved"}


async def test_what_was_lost_in_any_group_is_found_by_one_scan(store: Store, feed: Feed):
    line = CountedLine(feed)
    await put_in_all(store, "old")
    async with keeping(line) as now:
        watched = await now.watching(*GROUPS)
        reads = len(line.reads)
        line.is_deaf = True
        await put_in_all(store, "new", "2")
        for group in GROUPS[:10]:
            await delete(store, address("1", group))

        line.renew()
        wanted = {group: await held(store, group) for group in GROUPS}
        await until(lambda: {each.follower.room.group: each.revisions for each in watched} == wanted)

        assert len(line.reads) == reads
        assert (line.pages, line.asked) == (1, [])
        assert now.measures.repairs == 50
        await until(lambda: now.sweeps.get("scan") == 1)


async def test_losses_that_nobody_noticed_are_found_too(store: Store, feed: Feed):
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line, seconds=0.02) as now:
        watched = await now.watching(*GROUPS)

        await put_in_all(store, "lost")

        await until(lambda: all(each.revisions for each in watched))
        assert now.measures.repairs == len(GROUPS)


async def test_what_came_by_itself_is_not_counted_as_repaired(store: Store, feed: Feed):
    line = CountedLine(feed)
    async with keeping(line, seconds=0.02) as now:
        watched = await now.watching(*GROUPS)
        await put_in_all(store, "heard")
        await until(lambda: all(each.revisions for each in watched))
        scans = now.sweeps.get("scan", 0)

        await put(store, "nobody's", address("1", "another"))
        await until(lambda: now.sweeps.get("scan", 0) > scans)

        assert now.measures.repairs == 0


async def test_a_lost_connection_costs_one_comparison_for_all_groups(store: Store, feed: Feed):
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line) as now:
        watched = await now.watching(*GROUPS)
        ends, reads = line.ends, len(line.reads)
        await put_in_all(store, "lost")

        line.renew()
        await until(lambda: all(each.revisions for each in watched))

        assert (line.ends - ends, len(line.reads) - reads, line.pages) == (1, 0, 1)


async def test_what_is_lost_while_it_looks_for_losses_is_looked_for_again(store: Store, feed: Feed):
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line) as now:
        (one,) = await now.watching("one")
        await put(store, "lost", address("1", "one"))
        line.may_arrive.clear()
        answers = line.answers
        line.renew()
        await until(lambda: line.answers > answers)
        missed = await put(store, "lost meanwhile", address("2", "one"))

        line.renew()
        line.may_arrive.set()

        await until(lambda: one.revisions.get("2") == missed.revision)


async def test_groups_are_asked_for_where_much_was_written_that_nobody_watches(store: Store, feed: Feed):
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line) as now:
        watched = await now.watching(*GROUPS)
        for start in range(0, 1500, 500):
            await asyncio.gather(
                *(put(store, "away", address(str(n), "away")) for n in range(start, start + 500))
            )
        await put_in_all(store, "lost")

        line.renew()
        await until(lambda: all(each.revisions for each in watched))

        # One page tells what there is.
        assert line.pages == 1
        assert sorted(line.asked) == sorted(GROUPS)
        await until(lambda: now.sweeps.get("groups") == 1)
        assert now.measures.repairs == len(GROUPS)
        assert sorted(line.reads) == sorted(GROUPS)


async def test_what_is_remembered_of_deletes_goes_when_all_groups_are_known_to_be_further(
    store: Store, feed: Feed, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(group, "FEW_DELETES", 1)
    async with keeping(CountedLine(feed)) as now:
        one, other = await now.watching("one", "other")
        for number in range(50):
            await put(store, number, address(str(number), "one"))
            await delete(store, address(str(number), "one"))
            await other.fresh()

        await until(lambda: one.revisions == {})
        assert len(one.follower.group._gone) <= 3
