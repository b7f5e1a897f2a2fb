"""A client that does not read for a while has the right state when it reads again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import orjson
import pytest
import pytest_asyncio
import uvloop

from streams.gateway import states
from streams.memory import MemoryStore
from tests.conftest import Backend
from tests.gateway.stalling import FILLING_BYTES, Site, site_on
from tests.gateway.waiting import until


@pytest.fixture(params=["plain", "extended"])
def is_extended(request: pytest.FixtureRequest) -> bool:
    """Each dialect in turn."""
    return bool(request.param == "extended")


@pytest_asyncio.fixture
async def memory() -> AsyncIterator[Site]:
    store = MemoryStore(["todo"])
    async with site_on(store, store) as site:
        await site.watched("inbox")
        yield site


@pytest_asyncio.fixture
async def site(backend: Backend) -> AsyncIterator[Site]:
    """On each store in turn."""
    async with site_on(backend.store, backend.feed) as site:
        await site.watched("inbox")
        yield site


async def test_what_was_changed_deleted_made_and_made_anew_is_shown_as_it_is(site: Site, is_extended: bool):
    for name in ("kept", "filling", "changed", "gone", "anew"):
        await site.set("inbox", name)
    slow = await site.client("inbox", is_extended=is_extended)

    await site.fall_behind(slow)
    await changed_in_every_way(site)

    await slow.shows("inbox", await site.items("inbox"))


async def test_of_few_changes_in_a_large_group_each_item_is_told_once(memory: Site, is_extended: bool):
    for number in range(200):
        await memory.set("inbox", f"item {number}", 1000)
    for name in ("filling", "changed", "gone", "anew"):
        await memory.set("inbox", name)
    slow = await memory.client("inbox", is_extended=is_extended)

    await memory.fall_behind(slow)
    told = len(slow.rooms.kinds)
    await changed_in_every_way(memory)
    await slow.shows("inbox", await memory.items("inbox"))

    assert (None, "sync") not in slow.rooms.kinds[told:]
    assert slow.rooms.kinds_of("changed") == ["update"]
    assert slow.rooms.kinds_of("gone") == ["delete"]
    assert slow.rooms.kinds_of("anew") == ["delete", "create"]
    assert slow.rooms.kinds_of("new") == ["create"]
    assert slow.rooms.kinds_of("second") == ["create"]
    assert slow.rooms.kinds_of("passing") == []


async def test_where_most_changed_all_who_were_behind_are_sent_the_same_state(
    memory: Site, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(states, "PART_BYTES", 100 * FILLING_BYTES)
    for number in range(30):
        await memory.set("inbox", f"item {number}", FILLING_BYTES)
    slow, slower = await memory.client("inbox"), await memory.client("inbox", is_extended=True)

    for client in (slow, slower):
        await memory.fall_behind(client, item_id="item 0")
    told = [len(slow.rooms.kinds), len(slower.rooms.kinds)]
    for number in range(30):
        await memory.set("inbox", f"item {number}", FILLING_BYTES)
    for client in (slow, slower):
        await client.shows("inbox", await memory.items("inbox"))

    for client, before in zip((slow, slower), told, strict=True):
        # What was on its way before it was behind; then nothing but the state.
        kinds = [kind for _, kind in client.rooms.kinds[before:]]
        assert kinds == ["update"] * (len(kinds) - 1) + ["sync"]
    last = [[frame for frame in client.frames if b'"sync"' in frame][-1] for client in (slow, slower)]
    plain, extended = map(orjson.loads, last)
    assert len(extended["event"].pop("revs")) == 30
    assert plain == extended
    assert memory.hub.measures.resyncs["slow"] == 2


async def test_an_item_that_comes_and_goes_again_and_again_is_there_at_the_end_or_not(
    memory: Site, is_extended: bool
):
    for number in range(100):
        await memory.set("inbox", f"item {number}", 1000)
    await memory.set("inbox", "was there")
    await memory.set("inbox", "stays there")
    first, second = [await memory.client("inbox", is_extended=is_extended) for _ in range(2)]

    # Between what one missed and what the other missed, each item is what it was not before.
    await memory.fall_behind(first)
    for name in ("was there", "stays there"):
        await memory.delete("inbox", name)
    await memory.set("inbox", "comes")
    await memory.set("inbox", "goes")
    await memory.fall_behind(second)
    for _ in range(3):
        await memory.set("inbox", "was there")
        await memory.delete("inbox", "was there")
        await memory.delete("inbox", "comes")
        await memory.set("inbox", "comes")
    await memory.set("inbox", "stays there")
    await memory.delete("inbox", "goes")

    for client in (first, second):
        await client.shows("inbox", await memory.items("inbox"))
    assert first.rooms.kinds_of("was there") == ["delete"]
    assert first.rooms.kinds_of("stays there") == ["delete", "create"]
    assert first.rooms.kinds_of("goes") == []


async def test_items_made_meanwhile_stand_in_the_order_of_their_creation_whatever_came_after(memory: Site):
    for number in range(50):
        await memory.set("inbox", f"item {number}", 1000)
    slow = await memory.client("inbox")

    await memory.fall_behind(slow)
    names = ["z", "m", "a", "k"]
    for name in names:
        await memory.set("inbox", name)
    for name in reversed(names):
        await memory.set("inbox", name)
    await slow.shows("inbox", await memory.items("inbox"))

    fresh = await memory.client("inbox")
    assert [item["id"] for item in slow.rooms.items("inbox") or []][-4:] == names
    assert slow.rooms.items("inbox") == fresh.rooms.items("inbox")


async def test_one_who_is_behind_again_and_again_is_always_right_in_the_end(site: Site, is_extended: bool):
    slow = await site.client("inbox", is_extended=is_extended)

    for number in range(4):
        await site.fall_behind(slow)
        await site.set("inbox", f"item {number}")
        if number:
            await site.delete("inbox", f"item {number - 1}")
        await slow.shows("inbox", await site.items("inbox"))
        # As everybody else from here on.
        await site.set("inbox", "told", number)
        await slow.until(lambda: slow.rooms.newest == site.revisions[-1])


async def test_one_who_is_behind_before_it_has_its_first_state_gets_what_came_after_it(memory: Site):
    for number in range(40):
        await memory.set("inbox", f"item {number}", FILLING_BYTES)
    slow = await memory.client()

    slow.stop()
    slow.ask_for("inbox")
    await until(lambda: memory.hub.behind == 1)
    await memory.set("inbox", "item 3")
    await memory.delete("inbox", "item 4")
    await memory.set("inbox", "new")

    await slow.shows("inbox", await memory.items("inbox"))


async def test_a_group_that_was_emptied_meanwhile_is_empty(memory: Site, is_extended: bool):
    for number in range(20):
        await memory.set("inbox", f"item {number}")
    slow = await memory.client("inbox", is_extended=is_extended)

    await memory.fall_behind(slow)
    for item in await memory.items("inbox"):
        await memory.delete("inbox", item["id"])

    await slow.shows("inbox", [])


def test_it_is_the_same_on_the_loop_that_serves():
    async def scenario() -> None:
        store = MemoryStore(["todo"])
        async with site_on(store, store) as site:
            await site.watched("inbox")
            for name in ("kept", "filling", "changed", "gone", "anew"):
                await site.set("inbox", name)
            slow = await site.client("inbox")
            for _ in range(3):
                await site.fall_behind(slow)
                await changed_in_every_way(site)
                await slow.shows("inbox", await site.items("inbox"))
                for name in ("gone", "anew", "changed"):
                    await site.set("inbox", name)

    on_uvloop(scenario())


def on_uvloop(scenario: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario)


async def changed_in_every_way(site: Site) -> None:
    """`changed`, `gone` and `anew` are there before; `new`, `second` and `anew` after it."""
    await site.set("inbox", "new")
    await site.set("inbox", "second")
    await site.set("inbox", "passing")
    await site.set("inbox", "changed")
    await site.delete("inbox", "gone")
    await site.delete("inbox", "anew")
    await site.set("inbox", "anew")
    await site.set("inbox", "new")
    await site.set("inbox", "anew")
    await site.delete("inbox", "passing")
