"""All watched groups of a bucket are kept equal to it by one comparison, and joins share it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from streams.errors import StoreUnavailable, UnknownStream
from streams.gateway import keeper as keeper_module
from streams.gateway import kept as kept_module
from streams.memory import MemoryStore
from streams.store import Feed, Store
from tests.browser import SECONDS
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
        await until(lambda: {each.follower.name: each.revisions for each in watched} == wanted)

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


async def test_a_join_shows_all_that_was_committed_before_it(store: Store, feed: Feed):
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line) as now:
        one, other = await now.watching("one", "other")
        for number in range(5):
            written = await put(store, number, address(str(number), "one"))

            assert (await one.fresh())[str(number)] == written.revision
            assert one.follower.group.position == await feed.end("todo")
        assert other.follower.group.position != await feed.end("todo")


async def test_a_group_is_read_once_however_many_join_and_however_much_is_written(store: Store, feed: Feed):
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line) as now:
        watched = [now.watch(group) for group in GROUPS]
        for number in range(10):
            written = {group: (await put(store, number, address("1", group))).revision for group in GROUPS}

            shown = await asyncio.gather(*(each.fresh() for each in watched for _ in range(5)))

            assert shown == [{"1": written[group]} for group in GROUPS for _ in range(5)]
        assert sorted(line.reads) == sorted(GROUPS)
        assert line.asked == []


async def test_joins_that_wait_share_a_scan_and_those_that_come_meanwhile_the_next(store: Store, feed: Feed):
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line) as now:
        watched = await now.watching(*GROUPS)
        await put_in_all(store, "lost")
        line.may_arrive.clear()
        answers = line.answers
        first = [asyncio.create_task(each.fresh()) for each in watched for _ in range(10)]
        await until(lambda: line.answers > answers)
        late = await put(store, "later", address("2", GROUPS[0]))
        second = [asyncio.create_task(each.fresh()) for each in watched for _ in range(10)]
        await asyncio.sleep(0)

        line.may_arrive.set()
        await asyncio.wait_for(asyncio.gather(*first), SECONDS)
        shown = await asyncio.wait_for(asyncio.gather(*second), SECONDS)

        assert shown[0]["2"] == late.revision
        assert (line.pages, line.asked) == (2, [])


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


async def test_a_group_looks_once_more_soon_after_it_was_read(
    store: Store, feed: Feed, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(keeper_module, "SETTLE_SECONDS", 0.02)
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line) as now:
        line.may_arrive.clear()
        watched = [now.watch(group) for group in GROUPS]
        await until(lambda: line.answers == len(GROUPS))
        await put_in_all(store, "lost as they began to listen")
        line.may_arrive.set()

        await until(lambda: all(each.revisions for each in watched))

        assert sorted(line.reads) == sorted(GROUPS)
        assert line.pages <= 3


async def test_a_group_that_is_watched_in_the_middle_of_a_scan_misses_nothing(store: Store, feed: Feed):
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line) as now:
        old = (await now.watching("old"))[0]
        for number in range(600):
            await put(store, number, address(str(number), f"{number % 3}"))
        added = []

        def add(pages: int) -> None:
            if pages < 3:
                added.append(now.watch(str(pages)))

        line.before_page = add
        await old.fresh()
        for number in range(10):
            await put(store, "later", address(str(number), f"{number % 3}"))
        line.renew()

        for each in added:
            wanted = await held(store, each.follower.name)
            assert len(wanted) >= 200
            await until(lambda each=each, wanted=wanted: each.revisions == wanted)
        assert len(added) == 3


async def test_a_read_that_ends_behind_what_others_have_had_meanwhile_is_made_up_for(
    store: Store, feed: Feed
):
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line) as now:
        (old,) = await now.watching("old")
        line.may_arrive.clear()
        late = now.watch("late")
        await until(lambda: line.reads == ["old", "late"])
        await until(lambda: line.answers == 2)
        # Committed after it was answered, and read by the others before that answer arrives.
        written = await put(store, "missed", address("1", "late"))
        line.may_arrive, arriving = asyncio.Event(), line.may_arrive
        line.may_arrive.set()
        await old.fresh()
        assert old.follower.group.position == await feed.end("todo")

        arriving.set()
        await until(lambda: late.follower.loaded)
        line.renew()

        await until(lambda: late.revisions == {"1": written.revision})


async def test_a_group_that_is_left_in_the_middle_of_a_scan_disturbs_nobody(store: Store, feed: Feed):
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line) as now:
        staying, leaving = await now.watching("staying", "leaving")
        await put(store, "lost", address("1", "leaving"))
        written = await put(store, "lost", address("1", "staying"))
        line.may_arrive.clear()
        answers = line.answers
        fresh = asyncio.create_task(staying.fresh())
        await until(lambda: line.answers > answers)

        await now.leave(leaving)
        line.may_arrive.set()

        assert await fresh == {"1": written.revision}
        assert leaving.revisions == {}


async def test_a_group_that_is_watched_again_is_read_again(store: Store, feed: Feed):
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line) as now:
        one, _ = await now.watching("one", "other")
        await now.leave(one)
        written = await put(store, "unheard", address("1", "one"))

        (again,) = await now.watching("one")

        assert again.revisions == {"1": written.revision}
        assert line.reads == ["one", "other", "one"]


async def test_what_is_overwritten_while_pages_are_read_is_not_older_in_a_join(store: Store, feed: Feed):
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line) as now:
        (one,) = await now.watching("one")
        await put(store, "first", address("1", "one"))
        await asyncio.gather(*(put(store, n, address(str(n), "others")) for n in range(700)))
        committed = await put(store, "second", address("1", "one"))
        writing = []

        def overwrite(pages: int) -> None:
            # It stands further up now than the end that was asked for, and nowhere else.
            if pages == 1:
                writing.append(asyncio.ensure_future(put(store, "third", address("1", "one"))))

        line.before_page = overwrite
        shown = await one.fresh()

        assert shown["1"] >= committed.revision
        await asyncio.gather(*writing)


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


async def test_one_join_asks_for_its_own_group_where_much_was_written(store: Store, feed: Feed):
    line = CountedLine(feed, is_deaf=True)
    async with keeping(line) as now:
        one, other = await now.watching("one", "other")
        await asyncio.gather(*(put(store, n, address(str(n), "away")) for n in range(900)))
        written = await put(store, "lost", address("1", "one"))
        lost = await put(store, "lost", address("1", "other"))

        assert await one.fresh() == {"1": written.revision}
        assert line.asked == ["one"]
        assert one.follower.group.position == await feed.end("todo")

        # The others are not further for it.
        line.renew()
        await until(lambda: other.revisions == {"1": lost.revision})


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
    async with keeping(line, seconds=0.02) as now:
        (one,) = await now.watching("one")
        await asyncio.gather(*(put(store, n, address(str(n), "one")) for n in range(600)))
        line.before_page = lambda pages: line.away.add("todo") if pages == 1 else None
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


async def test_what_is_remembered_of_deletes_goes_when_all_groups_are_known_to_be_further(
    store: Store, feed: Feed
):
    async with keeping(CountedLine(feed)) as now:
        one, other = await now.watching("one", "other")
        for number in range(50):
            await put(store, number, address(str(number), "one"))
            await delete(store, address(str(number), "one"))
            await other.fresh()

        await until(lambda: one.revisions == {})
        assert len(one.follower.group._gone) <= 2


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
        async def changes(self, stream: str, group: str, *rest: object) -> object:
            if group == "bad" and len(self.reads) < 5:
                self.reads.append(group)
                raise StoreUnavailable("not this one")
            return await super().changes(stream, group, *rest)

    line = Refusing(feed, is_deaf=True)
    async with keeping(line) as now:
        bad = now.watch("bad")
        (good,) = await now.watching("good")
        written = await put(store, "lost", address("1", "good"))

        assert await good.fresh() == {"1": written.revision}
        assert await bad.fresh() == {}
