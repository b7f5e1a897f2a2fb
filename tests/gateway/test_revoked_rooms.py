"""A room whose access is revoked is taken away on every gateway at once, and everything else stays."""

from __future__ import annotations

import asyncio

import pytest

from tests.browser import Tab
from tests.gateway.revoking import (
    ROOMS,
    SOON,
    Site,
    all_closed,
    entered,
    joined,
    passing_by,
    taken_away,
    watching,
)
from tests.gateway.revoking import site as site
from tests.tokens import token


@pytest.mark.parametrize("target", ROOMS, ids=" in ".join)
async def test_a_room_is_taken_away_on_every_gateway_within_a_second(site: Site, target: dict[str, str]):
    gateways = await site.gateways(2)
    ann, bob = token("ann"), token("bob")
    anns, bobs = (
        [await watching(each, ann) for each in gateways],
        [await watching(each, bob) for each in gateways],
    )

    async with asyncio.timeout(SOON):
        await site.revoke(**target)
        for tab in anns:
            assert taken_away(await tab.next())

    for tab in bobs:
        if "sub" in target:
            assert await tab.nothing_came()
        else:
            assert taken_away(await tab.next())


@pytest.mark.parametrize("target", ROOMS, ids=" in ".join)
async def test_who_had_a_room_taken_away_hears_no_more_of_it_and_keeps_the_rest(
    site: Site, target: dict[str, str]
):
    gateway = await site.gateway()
    tab = await watching(gateway, token("ann"))
    await joined(tab, "inbox", "notes")
    if "group" in target:
        await joined(tab, "other")
    await site.revoke(**target)
    assert taken_away(await tab.next())

    await site.write("inbox", "a")
    await site.write("other", "b")
    await site.write("inbox", "c", "notes")

    heard = [await tab.next() for _ in range(2 if "group" in target else 1)]
    rooms = {(frame["streamName"], frame["groupId"]) for frame in heard}
    assert rooms == {("notes", "inbox"), ("todo", "other")} if "group" in target else {("notes", "inbox")}
    assert await tab.nothing_came()


@pytest.mark.parametrize("target", ROOMS, ids=" in ".join)
async def test_a_room_that_was_taken_away_is_refused_until_there_is_a_new_token(
    site: Site, target: dict[str, str]
):
    gateways = await site.gateways(2)
    old = token("ann")
    tabs = [await watching(each, old) for each in gateways]
    await site.revoke(**target)
    for tab in tabs:
        assert taken_away(await tab.next())

    for tab, gateway in zip(tabs, gateways, strict=True):
        for again in (tab, await entered(gateway, old)):
            await again.join("todo", "inbox")
            assert taken_away(await again.next())
            assert await again.nothing_came()
        await watching(gateway, token("ann"))


@pytest.mark.parametrize("target", ROOMS, ids=" in ".join)
async def test_a_room_is_had_again_when_it_is_taken_back(site: Site, target: dict[str, str]):
    gateways = await site.gateways(2)
    old = token("ann")
    tabs = [await watching(each, old) for each in gateways]
    await site.revoke(**target)
    for tab in tabs:
        assert taken_away(await tab.next())

    async with asyncio.timeout(SOON):
        await site.unrevoke(**target)
        for tab in tabs:
            await _joined_at_last(tab)


async def test_the_item_of_a_group_goes_with_it(site: Site):
    gateway = await site.gateway()
    tab = await entered(gateway, token("ann"))
    await tab.join("todo", "inbox", "a")
    await tab.next()

    await site.revoke(stream="todo", group="inbox")

    frame = await tab.next()
    assert (frame["id"], frame["event"]["type"]) == ("a", "unauthorized")
    await site.write("inbox", "a")
    assert await tab.nothing_came()


@pytest.mark.parametrize("target", [{"stream": "notes"}, {"stream": "notes", "group": "inbox"}], ids=str)
async def test_who_has_no_token_is_put_out_with_everybody_else_and_stays_out(
    site: Site, target: dict[str, str]
):
    gateways = await site.gateways(2)
    tabs = [await passing_by(each) for each in gateways]

    async with asyncio.timeout(SOON):
        await site.revoke(**target)
        for tab in tabs:
            assert taken_away(await tab.next(), stream="notes")

    for tab in tabs:
        await tab.join("notes", "inbox")
        assert taken_away(await tab.next(), stream="notes")


async def test_who_has_no_token_is_no_user(site: Site):
    gateway = await site.gateway()
    tab = await passing_by(gateway)
    gone = await watching(gateway, token("ann"), stream="notes")

    await site.revoke(sub="ann")
    await site.revoke(sub="bob", stream="notes")

    await all_closed(gone)
    assert await tab.nothing_came()


async def _joined_at_last(tab: Tab) -> None:
    while True:
        await tab.join("todo", "inbox")
        if (await tab.next_event())["type"] == "sync":
            return
