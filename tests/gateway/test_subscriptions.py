"""Rooms that one connection joins and leaves, more than once and side by side."""

from __future__ import annotations

from streams import Stream, bound_to
from tests.browser import Browser
from tests.conftest import Backend

todo = Stream("todo", dict)


async def test_a_connection_gets_one_frame_however_many_subscriptions_it_holds(
    jetstream: Backend, browser: Browser
):
    tab = await browser.join("todo", "inbox")
    for room in (("todo", "inbox"), ("todo", "inbox", "a")):
        await tab.join(*room)
        await tab.next_frame()

    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})

    assert (await tab.next_event())["type"] == "create"
    assert await tab.nothing_came()


async def test_groups_do_not_hear_of_each_other(jetstream: Backend, browser: Browser):
    tab = await browser.join("todo", "a")

    with bound_to(jetstream.store):
        for group in ("a.b", "a*", "*", ">", "A", "a "):
            await todo.set(group, "x", {"v": 1})
        await todo.set("a", "x", {"v": 2})

    assert (await tab.next_event())["data"]["v"] == 2
    assert await tab.nothing_came()


async def test_nothing_comes_after_a_leave(jetstream: Backend, browser: Browser):
    tab = await browser.open()
    subscription = await tab.join("todo", "inbox")
    await tab.next_frame()

    await tab.leave(subscription)
    await tab.nothing_came()
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})
    other = await browser.join("todo", "inbox")

    assert b'"v":1' in other.frames[0]
    assert await tab.nothing_came()


async def test_one_of_two_subscriptions_of_a_room_can_be_left(jetstream: Backend, browser: Browser):
    tab = await browser.open()
    first, _ = await tab.join("todo", "inbox"), await tab.join("todo", "inbox")
    await tab.next_frame(), await tab.next_frame()

    await tab.leave(first)
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})

    assert (await tab.next_event())["type"] == "create"


async def test_a_subscription_id_used_again_moves_to_the_new_room(jetstream: Backend, browser: Browser):
    tab = await browser.open()
    subscription = await tab.join("todo", "one")
    await tab.next_frame()

    await tab.join("todo", "two", subscription=subscription)
    await tab.next_frame()
    with bound_to(jetstream.store):
        await todo.set("one", "a", {"v": 1})
        await todo.set("two", "a", {"v": 2})

    assert (await tab.next())["groupId"] == "two"
    assert await tab.nothing_came()
