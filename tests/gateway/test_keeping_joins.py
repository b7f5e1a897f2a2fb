"""Groups that are joined are read once, and from then on share what is read of their bucket."""

from __future__ import annotations

import asyncio

import pytest

from streams.gateway import keeper as keeper_module
from streams.store import Feed, Store
from tests.browser import SECONDS
from tests.gateway.keeping import GROUPS, NEVER, CountedLine, held, keeping, put_in_all
from tests.gateway.waiting import until
from tests.store.writes import address, put


@pytest.fixture(autouse=True)
def nothing_settles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups do not look again soon after they were read, where a test is not about that."""
    monkeypatch.setattr(keeper_module, "SETTLE_SECONDS", NEVER)


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
            wanted = await held(store, each.follower.room.group)
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
