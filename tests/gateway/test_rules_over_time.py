"""Rules are asked again: when a fresh token comes, and every now and then."""

from __future__ import annotations

from typing import Any

from tests.browser import Tab
from tests.gateway.house import House, is_in, of, proven, proves, taken_away
from tests.gateway.house import house as house
from tests.gateway.house import strict_house as strict_house
from tests.gateway.waiting import until


async def test_a_fresh_token_takes_away_what_it_does_not_open_and_nothing_else(house: House):
    tab = await house.enters(of(groups="inbox other"), "inbox", "other")
    await tab.join("todo", "inbox", "a")
    await tab.next()

    await proven(tab, of(groups="other"))

    group, item = sorted([await tab.next(), await tab.next()], key=lambda frame: frame["id"] or "")
    assert taken_away(group, "inbox")
    assert taken_away(item, "inbox", "a")
    await house.write("inbox", "other")
    assert (await tab.next())["groupId"] == "other"
    assert await is_in(tab)


async def test_a_fresh_token_opens_what_the_old_one_did_not(house: House):
    tab = await house.enters(of(groups="inbox"), "inbox")
    await tab.join("todo", "other")
    assert taken_away(await tab.next(), "other")

    await proven(tab, of(groups="inbox other"))
    await tab.join("todo", "other")

    assert (await tab.next_event())["type"] == "sync"
    assert await is_in(tab)


async def test_what_was_open_to_nobody_is_asked_about_when_it_is_somebody(house: House):
    tab = await house.enters(None, "lobby")

    await proven(tab, of(groups="inbox"))

    assert taken_away(await tab.next(), "lobby")


async def test_a_token_that_is_refused_takes_nothing_away(house: House):
    tab = await house.enters(of(groups="inbox"), "inbox")
    asked = list(house.seen)

    await proves(tab, of(groups="", aud="another"))

    assert (await tab.next())["code"] == "TOKEN_REFUSED"
    assert await is_in(tab)
    assert house.seen == asked


async def test_a_room_is_taken_away_when_the_rule_says_no_later(strict_house: House):
    tabs = [
        await strict_house.enters(of("ann"), "other", "inbox"),
        await strict_house.enters(of("bob"), "inbox"),
    ]

    strict_house.closed.add("inbox")

    for tab in tabs:
        assert taken_away(await tab.next(), "inbox")
    await strict_house.write("inbox", "other")
    assert (await tabs[0].next())["groupId"] == "other"
    for tab in tabs:
        assert await is_in(tab)


async def test_a_room_that_was_taken_away_may_be_had_again(strict_house: House):
    tab = await strict_house.enters(of(), "inbox")
    strict_house.closed.add("inbox")
    assert taken_away(await tab.next(), "inbox")

    strict_house.closed.clear()
    await tab.join("todo", "inbox")

    assert (await tab.next_event())["type"] == "sync"
    assert await is_in(tab)


async def test_who_came_as_nobody_is_asked_about_too(strict_house: House):
    tab = await strict_house.enters(None, "lobby")

    strict_house.closed.add("lobby")

    assert taken_away(await tab.next(), "lobby")


async def test_the_plain_dialect_is_told_in_the_two_forms_that_its_clients_know(strict_house: House):
    tab = await strict_house.enters(of(), "inbox", is_extended=False)

    strict_house.closed.add("inbox")

    assert (await tab.next_event())["event"]["data"]["code"] == "STREAM_ACCESS_DENIED"
    assert taken_away(await tab.next(), "inbox")
    assert await is_in(tab)


async def test_a_rule_that_fails_later_takes_the_room_away(strict_house: House):
    tab = await strict_house.enters(of(), "inbox")

    strict_house.fails = True

    assert taken_away(await tab.next(), "inbox")


async def test_what_may_be_sent_is_asked_again_too(strict_house: House):
    tab = await strict_house.enters(of(), "inbox")
    assert (await _sent(tab))["type"] == "ack"

    strict_house.is_quiet = True
    asked = len(strict_house.seen)
    # One look at everybody may be under way.
    await until(lambda: len(strict_house.seen) >= asked + 2)

    assert (await _sent(tab))["code"] == "SEND_DENIED"


async def test_what_may_be_sent_is_asked_again_after_a_fresh_token(house: House):
    tab = await house.enters(of(), "inbox")
    assert (await _sent(tab))["type"] == "ack"
    house.is_quiet = True
    assert (await _sent(tab))["type"] == "ack"

    await proven(tab, of())

    assert (await _sent(tab))["code"] == "SEND_DENIED"


async def test_who_had_a_room_taken_away_sends_as_its_own_rule_says_and_hears_nothing(strict_house: House):
    tab, other = await strict_house.enters(of(), "inbox"), await strict_house.enters(of("bob"))
    strict_house.closed.add("inbox")
    assert taken_away(await tab.next(), "inbox")

    assert (await _sent(other))["type"] == "ack"
    assert (await _sent(tab))["type"] == "ack"
    assert await is_in(tab)


async def _sent(tab: Tab) -> dict[str, Any]:
    room = {"streamName": "todo", "groupId": "inbox"}
    await tab.say({"type": "send", "ref": 1, "data": {**room, "event": {"type": "typing"}}})
    return await tab.next()
