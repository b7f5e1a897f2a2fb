"""What is said behind a token waits for it, and nothing is left of who goes away meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from streams.errors import BucketNotUsable
from tests.browser import Tab
from tests.everybody import NothingRevoked
from tests.gateway.house import SHORT, House, is_in, of, proven, proves, taken_away
from tests.gateway.house import house as house
from tests.gateway.waiting import until


async def test_a_join_behind_a_token_waits_for_it_and_is_asked_about_as_who_it_is_then(house: House):
    let_in = house.hold("who is new")
    tab = await house.enters(None)

    await proves(tab, of(v="new"))
    await tab.join("todo", "inbox")
    await until(lambda: house.arrived["new"] == 1)
    let_in()

    assert (await tab.next())["type"] == "auth"
    assert (await tab.next_event())["type"] == "sync"
    assert house.seen == [("inbox", "new")]


async def test_what_is_said_behind_a_token_is_heard_in_its_order(house: House):
    let_in = house.hold("who is new")
    tab = await house.enters(of(), "inbox")
    heard = len(tab.frames)

    await proves(tab, of(v="new"))
    await until(lambda: house.arrived["new"] == 1)
    for number in range(5):
        await tab.say({"type": "ping"})
        await tab.say({"type": "nothing", "number": number})
    await proves(tab, of("ann", v="newest"))
    await tab.say({"type": "ping"})
    assert len(tab.frames) == heard
    let_in()

    said = [(await tab.next())["type"] for _ in range(13)]
    assert said == ["auth", *["pong", "error"] * 5, "auth", "pong"]


async def test_a_room_is_heard_of_while_a_token_is_under_way(house: House):
    let_in = house.hold("who is new")
    tab = await house.enters(of(), "inbox")
    await proves(tab, of(v="new"))
    await until(lambda: house.arrived["new"] == 1)

    await house.write("inbox")

    assert (await tab.next_event())["type"] == "create"
    let_in()
    assert (await tab.next())["type"] == "auth"


async def test_a_leave_behind_a_token_counts_after_it(house: House):
    let_in = house.hold("who is new")
    tab = await house.enters(of())
    await tab.join("todo", "inbox", subscription="s")
    await tab.next()
    await proves(tab, of(v="new", groups="other"))
    await tab.leave("s")
    await until(lambda: house.arrived["new"] == 1)
    let_in()

    assert (await tab.next())["type"] == "auth"
    await tab.join("todo", "other")
    while (frame := await tab.next())["groupId"] != "other":
        assert taken_away(frame, "inbox")
    await house.write("inbox")
    assert await is_in(tab)


async def test_a_join_that_the_old_token_was_asked_about_does_not_outlive_it(house: House):
    let_see = house.hold("what may old see")
    tab = await house.enters(of(v="old"))
    await tab.join("todo", "inbox")
    await until(lambda: house.seen == [("inbox", "old")])

    await proven(tab, of(v="new", groups="other"))
    assert taken_away(await tab.next(), "inbox")
    let_see()
    await until(lambda: not _under_way("gateway: join"))
    await house.write("inbox")

    assert await is_in(tab)


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_a_socket_that_goes_away_while_its_token_is_under_way_leaves_nothing(house: House, how: str):
    let_in = house.hold("who is new")
    tab = await house.enters(of(), "inbox")
    await proves(tab, of(v="new"))
    await tab.join("todo", "other")
    await until(lambda: house.arrived["new"] == 1)

    await _go_away(tab, how)
    let_in()

    await until(lambda: not len(house.hub.guests))
    await until(lambda: not _under_way("gateway: take", "gateway: join"))
    await _nothing_is_left(house)


async def test_a_token_that_ends_while_the_next_one_is_under_way_leaves_nothing(house: House):
    let_in = house.hold("who is new")
    tab = await house.enters(of(lasts=SHORT), "inbox")
    await proves(tab, of(v="new"))
    await tab.join("todo", "other")
    await until(lambda: house.arrived["new"] == 1)

    await until(lambda: not len(house.hub.guests))
    let_in()

    assert (await tab.closed())[0] == 4401
    await until(lambda: not _under_way("gateway: take", "gateway: join"))
    await _nothing_is_left(house)


async def test_a_client_that_goes_away_before_it_is_let_in_leaves_nothing(house: House):
    let_in = house.hold("who is new")
    coming = asyncio.create_task(house.enters(of(v="new")))
    await until(lambda: house.arrived["new"] == 1)

    coming.cancel()
    await asyncio.wait([coming])
    let_in()

    await until(lambda: not _under_way("gateway: admit"))
    await until(lambda: not len(house.hub.guests))
    await _nothing_is_left(house)


async def test_a_gateway_outlives_that_nobody_can_say_what_was_revoked():
    async with House().open(revoked=Unknowable()) as house:
        other = await house.enters(of())
        for tab in (await house.enters(of()), await house.enters(None)):
            await proves(tab, of())

            assert (await tab.closed())[0] == 1011

        assert await is_in(other)


class Unknowable(NothingRevoked):
    """Where the bucket of revocations is gone."""

    async def current(self) -> None:
        raise BucketNotUsable("revocations have no bucket in this namespace yet")


async def _go_away(tab: Tab, how: str) -> None:
    goodbye: Callable[[], Awaitable[None]] = tab.close
    if how == "abort":
        tab.socket.transport.abort()
        goodbye = tab.socket.wait_closed
    await goodbye()


def _under_way(*names: str) -> bool:
    return any(task.get_name().startswith(names) for task in asyncio.all_tasks())


async def _nothing_is_left(house: House) -> None:
    assert not house.hub.guests._by_sub
    assert not any(audience.watchers() for audience in house.hub.audiences)
    assert await is_in(await house.enters(None))
