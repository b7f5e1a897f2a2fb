"""Up to where all watched groups of a bucket are complete, whatever is read when."""

from __future__ import annotations

import asyncio

from streams.gateway.follower import Follower
from streams.gateway.kept import Kept, batches
from streams.gateway.measures import Measures
from streams.messages import Room
from streams.store import Feed, Store
from tests.browser import SECONDS
from tests.core.changes_made import group_of, item_set
from tests.gateway.keeping import CountedLine
from tests.gateway.waiting import until
from tests.store.heard import listening
from tests.store.writes import address, put


def follower(feed: Feed, group: str = "inbox") -> Follower:
    room = Room("todo", group)
    return Follower(feed, room, shown=lambda _: None, event=lambda _: None, restarted=lambda: None)


async def read(kept: Kept, feed: Feed, group: str) -> Follower:
    """One whose group was read now."""
    found = follower(feed, group)
    kept.followers[found.key] = found
    found.group.catch_up(await feed.changes(Room("todo", group), 0, await feed.end("todo")))
    return found


async def test_records_do_not_count_for_a_group_that_is_behind_what_they_begin_with(store: Store, feed: Feed):
    line = CountedLine(feed)
    kept = Kept(line, "todo", Measures())
    async with listening(store, feed, "late"), listening(store, feed, "old"):
        late = await read(kept, feed, "late")
        missed = await put(store, "missed", address("1", "late"))
        kept.include(await read(kept, feed, "old"))
        await put(store, "next", address("1", "old"))
        line.may_arrive.clear()
        page = asyncio.create_task(kept.page(await kept.end()))
        await until(lambda: line.answers == 1)

        kept.include(late)
        line.may_arrive.set()
        await asyncio.wait_for(page, SECONDS)

        assert kept.position == late.group.position
        await kept.page(await kept.end())
        assert late.group.revision_of("1") == missed.revision
        assert kept.position == await feed.end("todo")


async def test_groups_that_were_read_meanwhile_are_no_further_than_they_were_read(store: Store, feed: Feed):
    kept = Kept(feed, "todo", Measures())
    kept.include(await read(kept, feed, "old"))
    late = await read(kept, feed, "late")
    await put(store, "missed", address("1", "late"))
    end = await kept.end()

    everyone = kept.begin()
    kept.include(late)
    assert everyone == [kept.followers["old", None], late]
    kept.finish(end)

    assert kept.position == late.group.position


def test_as_many_groups_are_asked_for_at_once_as_the_server_looks_for(feed: Feed):
    followers = [follower(feed, str(number)) for number in range(250)]
    for each in followers[:3]:
        each.group = group_of(*(item_set(n + 1, str(n)) for n in range(500)))

    sizes = [len(batch) for batch in batches(followers)]

    assert sizes == [1, 1, 100, 100, 48]
    assert [each for batch in batches(followers) for each in batch] == followers
    assert list(batches([])) == []
