"""A revocation wins over what is under way: joins, upgrades, and events that are sent."""

from __future__ import annotations

import asyncio

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.browser import SECONDS, Browser, Tab
from tests.gateway.revoking import ROOMS, Site, all_closed, entered, taken_away, turned_away, watching
from tests.gateway.revoking import site as site
from tests.gateway.waiting import until
from tests.tokens import token


async def test_a_revocation_that_comes_while_a_join_is_asked_about_wins(site: Site):
    gateway = await site.gateway()
    watcher, tab = await watching(gateway, token("bob")), await entered(gateway, token("ann"))
    site.sees.is_open.clear()
    await tab.join("todo", "inbox")
    await until(lambda: site.sees.asked == 2)

    await site.revoke(sub="ann", stream="todo", group="inbox")
    assert taken_away(await tab.next())
    site.sees.is_open.set()
    await site.write("inbox", "a")

    assert (await watcher.next_event())["type"] == "create"
    await _all_joins_are_answered()
    await tab.say({"type": "ping"})
    heard = [await tab.next()]
    while heard[-1] != {"type": "pong"}:
        assert taken_away(heard[-1])
        heard.append(await tab.next())


async def test_a_join_that_a_revocation_ends_is_refused_once(site: Site):
    gateway = await site.gateway()
    tab = await entered(gateway, token("ann"))
    site.sees.is_open.clear()
    await tab.join("todo", "inbox")
    await until(lambda: site.sees.asked == 1)

    await site.revoke(sub="ann", stream="todo", group="inbox")
    assert taken_away(await tab.next())
    site.sees.is_open.set()
    await _all_joins_are_answered()

    assert await tab.nothing_came()


async def test_a_user_who_is_revoked_while_a_join_is_asked_about_hears_nothing_but_the_end(site: Site):
    gateway = await site.gateway()
    await site.write("inbox", "a")
    tab = await entered(gateway, token("ann"))
    site.sees.is_open.clear()
    await tab.join("todo", "inbox")
    await until(lambda: site.sees.asked == 1)

    await site.revoke(sub="ann")
    site.sees.is_open.set()

    assert await all_closed(tab) == {4401}
    assert len(tab.frames) == 1, "more than the hello"


async def test_who_is_revoked_while_the_upgrade_is_under_way_is_not_let_in(site: Site):
    ann = token("ann")
    gateway = await site.gateway()
    upgrades = [asyncio.create_task(_outcome(gateway, ann)) for _ in range(20)]

    await site.revoke(sub="ann")

    outcomes = [await asyncio.wait_for(upgrade, SECONDS) for upgrade in upgrades]
    assert set(outcomes) <= {4401, 401}
    assert await turned_away(gateway, ann) == (401, "TOKEN_REVOKED")


@pytest.mark.parametrize("target", ROOMS, ids=" in ".join)
async def test_who_is_revoked_sends_nothing_any_more(site: Site, target: dict[str, str]):
    gateway = await site.gateway()
    ann, bob = await watching(gateway, token("ann")), await watching(gateway, token("bob"), "other")
    await _said(ann, 1)
    assert await ann.next() == {"type": "ack", "ref": 1}

    await site.revoke(**target)
    assert taken_away(await ann.next())
    await _said(ann, 2)

    answer = await ann.next()
    assert (answer["type"], answer["code"], answer["ref"]) == ("error", "TOKEN_REVOKED", 2)
    if "group" in target:
        await _said(ann, 3, "other")
        assert await ann.next() == {"type": "ack", "ref": 3}
        assert (await bob.next_event())["event"]["data"] == 3


async def test_a_revocation_that_comes_while_an_event_is_asked_about_wins(site: Site):
    gateway = await site.gateway()
    ann, bob = await entered(gateway, token("ann")), await watching(gateway, token("bob"))
    site.sends.is_open.clear()
    await _said(ann, 1)
    await until(lambda: site.sends.asked == 1)

    await site.revoke(sub="ann", stream="todo")
    # What comes after it on the same line is what shows that it came.
    await joined_is_refused(ann)
    site.sends.is_open.set()

    answer = await ann.next()
    assert (answer["code"], answer["ref"]) == ("TOKEN_REVOKED", 1)
    assert await bob.nothing_came()


async def _said(tab: Tab, ref: int, group: str = "inbox") -> None:
    room = {"streamName": "todo", "groupId": group}
    await tab.say({"type": "send", "ref": ref, "data": {**room, "event": {"type": "typing", "data": ref}}})


async def _all_joins_are_answered() -> None:
    await until(lambda: not any(task.get_name().startswith("gateway: join") for task in asyncio.all_tasks()))


async def joined_is_refused(tab: Tab) -> None:
    while True:
        await tab.join("todo", "inbox")
        if (await tab.next_event())["type"] == "unauthorized":
            return


async def _outcome(browser: Browser, proof: str) -> int:
    """The status of an upgrade, or the code that the socket is closed with at last."""
    try:
        tab = await entered(browser, proof)
    except InvalidStatus as refused:
        return refused.response.status_code
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else 0
    return (await tab.closed())[0]
