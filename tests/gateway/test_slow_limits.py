"""How long, and how much, is borne of clients that do not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
import uvloop
from websockets.frames import Opcode

from streams.gateway import client_line
from streams.memory import MemoryStore
from streams.messages import CLOSE_TOO_SLOW
from tests.browser import SECONDS
from tests.gateway.stalling import FILLING_BYTES, Site, frame_of, site_on
from tests.gateway.waiting import until

NewLoop: TypeAlias = Callable[[], asyncio.AbstractEventLoop]

LONG = 60.0
"""Longer than any test."""

MOST_BYTES = 1024 * 1024
"""More than a gateway may keep for one client of a small group, whatever the client does."""


@asynccontextmanager
async def site_with(**options: Any) -> AsyncIterator[Site]:
    store = MemoryStore(["todo"])
    async with site_on(store, store, **options) as site:
        await site.watched("inbox")
        yield site


async def sent_away(site: Site, clients: int) -> None:
    """Wait until so many were closed as too slow."""
    await until(lambda: site.hub.guests.tally.closed[CLOSE_TOO_SLOW] == clients)


async def test_one_who_takes_nothing_for_too_long_is_closed_and_nobody_else_is():
    async with site_with(stall_seconds=0.3) as site:
        slow, other = await site.client("inbox"), await site.client("inbox")

        await site.fall_behind(slow)
        await sent_away(site, 1)
        await site.set("inbox", "a")

        assert await slow.ended() == CLOSE_TOO_SLOW
        assert site.hub.measures.stalled == 1
        assert site.hub.behind == 0
        await other.shows("inbox", await site.items("inbox"))


async def test_one_who_does_not_even_take_the_close_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client_line, "CLOSE_SECONDS", 0.1)
    async with site_with(stall_seconds=0.2) as site:
        slow = await site.client("inbox")
        *_, guest = site.hub.guests._everybody
        await site.fall_behind(slow)

        await sent_away(site, 1)
        await until(lambda: not guest.unread_bytes)

        # What was on its way is all that comes: no word of why.
        assert await slow.ended() is None


async def test_one_who_reads_slowly_but_steadily_stays_and_is_right(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client_line, "PING_SECONDS", 0.05)
    async with site_with(stall_seconds=1.0) as site:
        for number in range(200):
            await site.set("inbox", f"item {number}", FILLING_BYTES)
        clock, slow = await site.client(is_extended=True), await site.client()

        slow.stop()
        slow.ask_for("inbox")
        await until(lambda: site.hub.behind == 1)
        # Several times as long as one may be who takes nothing.
        for tick in range(60):
            await clock.until(lambda tick=tick: len(clock.rooms.others) > tick)
            for _ in range(5):
                await slow.read_once()
        assert site.hub.behind == 1

        await slow.shows("inbox", await site.items("inbox"))
        assert site.hub.measures.stalled == 0


async def test_one_who_is_behind_is_not_cut_off_for_a_ping_that_it_cannot_see(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(client_line, "PING_SECONDS", 0.05)
    async with site_with(stall_seconds=LONG) as site:
        clock, slow = await site.client(is_extended=True), await site.client("inbox")

        await site.fall_behind(slow)
        await site.set("inbox", "a")
        before = len(clock.rooms.others)
        await clock.until(lambda: len(clock.rooms.others) > before + 6)

        assert site.hub.behind == 1
        await slow.shows("inbox", await site.items("inbox"))
        # And is asked again as everybody is.
        pings = len(clock.rooms.others)
        await clock.until(lambda: len(clock.rooms.others) > pings + 6)
        await slow.settled()


async def test_one_who_was_behind_and_then_vanishes_is_found_by_its_pings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client_line, "PING_SECONDS", 0.1)
    async with site_with(stall_seconds=LONG) as site:
        slow = await site.client("inbox")
        await site.fall_behind(slow)
        await slow.shows("inbox", await site.items("inbox"))
        assert len(site.hub.guests) == 2

        slow.stop()

        await until(lambda: len(site.hub.guests) == 1)


async def test_when_too_much_waits_for_all_those_go_for_whom_the_most_waits():
    async with site_with(stall_seconds=LONG, unread_bytes=3_000_000) as site:
        for number in range(50):
            await site.set("inbox", f"item {number}", FILLING_BYTES)
        small, large = [await site.client() for _ in range(3)], [await site.client() for _ in range(3)]

        for client in small:
            await client.join("inbox", "item 0")
            await site.fall_behind(client, item_id="item 0")
        for number, client in enumerate(large):
            client.stop()
            client.ask_for("inbox")
            await until(lambda number=number: site.hub.behind + site.hub.measures.stalled == 4 + number)

        await sent_away(site, 2)
        assert site.hub.behind == 4
        assert site.hub.unread_bytes <= 3_000_000
        for client in small:
            await client.shows_item("inbox", "item 0", await site.item("inbox", "item 0"))
        items = await site.items("inbox")
        for client in large:
            client.go_on()
            await client.until(lambda client=client: client.is_lost or client.rooms.items("inbox") == items)
        assert len(site.hub.guests) == 1 + 3 + 1


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_what_waited_for_those_who_were_sent_away_waits_no_more(loop: NewLoop):
    """However fast they come: a limit that holds a moment later is none."""

    async def scenario() -> None:
        async with site_with(stall_seconds=LONG, unread_bytes=3_000_000) as site:
            for number in range(50):
                await site.set("inbox", f"item {number}", FILLING_BYTES)
            clients = [await site.client() for _ in range(10)]

            async with what_waits(site) as waits:
                for client in clients:
                    client.stop()
                    client.ask_for("inbox")
                await until(lambda: site.hub.behind + site.hub.measures.stalled == len(clients))

            assert waits.most_bytes < 3_000_000 + 2 * 50 * FILLING_BYTES

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scenario())


@pytest.mark.parametrize(
    "words",
    [frame_of(b'{"type":"ping"}'), frame_of(b"{}"), frame_of(b"x" * 100, Opcode.PING)],
    ids=["pings", "nonsense", "pings of the protocol"],
)
async def test_one_who_talks_without_end_and_reads_nothing_costs_little_and_is_closed(words: bytes):
    async with site_with(stall_seconds=0.5) as site:
        slow = await site.client("inbox")

        async with what_waits(site) as waits:
            slow.stop()
            talking = asyncio.create_task(slow.say_without_end(words))
            await sent_away(site, 1)
        talking.cancel()

        assert waits.most_bytes < MOST_BYTES
        assert len(site.hub.guests) == 1


async def test_one_who_asks_for_a_large_group_again_and_again_has_it_waiting_once():
    async with site_with(stall_seconds=0.5) as site:
        for number in range(30):
            await site.set("inbox", f"item {number}", FILLING_BYTES)
        slow = await site.client()

        async with what_waits(site) as waits:
            slow.stop()
            for _ in range(300):
                slow.ask_for("inbox")
            await sent_away(site, 1)

        assert waits.most_bytes < 30 * FILLING_BYTES + MOST_BYTES


async def test_one_who_asked_again_and_again_and_reads_after_all_is_right():
    async with site_with(stall_seconds=LONG) as site:
        for number in range(30):
            await site.set("inbox", f"item {number}", FILLING_BYTES)
        slow = await site.client()

        slow.stop()
        for _ in range(100):
            slow.ask_for("inbox")
        await until(lambda: site.hub.behind == 1)
        await site.set("inbox", "item 3")

        await slow.shows("inbox", await site.items("inbox"))
        assert slow.rooms.kinds.count((None, "sync")) < 10


async def test_one_who_asks_for_many_groups_and_reads_nothing_has_little_waiting():
    groups = [f"group {number}" for number in range(40)]
    async with site_with(stall_seconds=LONG) as site:
        for group in groups:
            for number in range(5):
                await site.written(group, f"item {number}", FILLING_BYTES)
        slow = await site.client()

        async with what_waits(site) as waits:
            slow.stop()
            for group in groups:
                slow.ask_for(group)
            await until(lambda: site.hub.behind == 1)
            for group in groups:
                slow.go_on()
                await slow.until(lambda group=group: slow.rooms.has(group))
                await slow.shows(group, await site.items(group))

        assert waits.most_bytes < MOST_BYTES


async def test_the_gateway_ends_although_somebody_does_not_read():
    async with asyncio.timeout(SECONDS):
        async with site_with(stall_seconds=LONG) as site:
            slow = await site.client("inbox")
            await site.fall_behind(slow)


def test_it_is_the_same_on_the_loop_that_serves():
    async def scenario() -> None:
        async with site_with(stall_seconds=0.5) as site:
            slow, talker = await site.client("inbox"), await site.client("inbox")
            async with what_waits(site) as waits:
                await site.fall_behind(slow)
                talker.stop()
                talking = asyncio.create_task(talker.say_without_end(frame_of(b'{"type":"ping"}')))
                await sent_away(site, 2)
            talking.cancel()
            assert waits.most_bytes < 2 * MOST_BYTES
            assert await slow.ended() == CLOSE_TOO_SLOW

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


@dataclass
class Waits:
    most_bytes: int = 0


@asynccontextmanager
async def what_waits(site: Site) -> AsyncIterator[Waits]:
    """The most that waits during the block for all clients that are there now, also for those who go."""
    waits, lines = Waits(), [guest._line for guest in site.hub.guests._everybody]

    async def look() -> None:
        while True:
            # What was cut off is let go of, whatever the transport still says of it.
            there = [line for line in lines if not line._transport.is_closing()]
            waits.most_bytes = max(waits.most_bytes, sum(line.unread_bytes for line in there))
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    try:
        yield waits
    finally:
        looking.cancel()
