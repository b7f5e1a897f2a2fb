"""Whom an event of a client reaches, in which order, and where it does not come."""

from __future__ import annotations

import orjson
import pytest

from streams import bound_to
from tests.browser import Browser
from tests.gateway.members import ANN, BOB, Site, a_send, acknowledged, entered, joined, member, watching
from tests.gateway.members import browser as browser
from tests.gateway.members import site as site

# Whom an event reaches.


async def test_an_event_reaches_those_who_watch_the_group(browser: Browser):
    ann, bob, other = await member(browser), await watching(browser), await watching(browser, group="other")

    await ann.tab.say(a_send({"type": "typing", "data": {"on": True}}))

    assert await bob.next() == {
        "type": "stream",
        "streamName": "todo",
        "groupId": "inbox",
        "id": None,
        "event": {
            "type": "event",
            "event": {
                "from": {"session": ann.session, "sub": "ann"},
                "type": "typing",
                "data": {"on": True},
            },
        },
    }
    assert await other.nothing_came()


async def test_an_event_about_an_item_reaches_those_who_watch_the_item_or_its_group(browser: Browser):
    ann = await entered(browser)
    item, group, other = [await watching(browser, item_id) for item_id in ("a", None, "b")]

    await ann.say(a_send(item_id="a"))

    for tab in (item, group):
        frame = await tab.next()
        assert (frame["id"], frame["event"]["type"]) == ("a", "event")
    assert await other.nothing_came()


async def test_an_event_to_the_group_is_not_about_an_item(browser: Browser):
    ann, item = await entered(browser), await watching(browser, "a")

    await acknowledged(ann, a_send(ref=1))

    assert await item.nothing_came()


@pytest.mark.parametrize("item_id", [None, ""])
async def test_an_empty_id_means_the_group(browser: Browser, item_id: str | None):
    ann, bob = await entered(browser), await watching(browser)

    await ann.say(a_send(item_id=item_id))

    assert (await bob.next())["id"] is None


async def test_an_event_reaches_those_on_another_gateway(site: Site, browser: Browser):
    second = await site.gateway()
    ann, bob, item = await member(browser), await watching(second), await watching(second, "a")

    await ann.tab.say(a_send(item_id="a"))

    for tab in (bob, item):
        assert (await tab.next_event())["event"]["from"] == {"session": ann.session, "sub": "ann"}


async def test_nobody_hears_what_it_said_itself_but_its_other_sockets_do(site: Site, browser: Browser):
    second = await site.gateway()
    ann = await member(browser)
    await joined(ann.tab)
    await joined(ann.tab, "a")
    others = [await watching(each, proof=ANN) for each in (browser, second)]

    for item_id in (None, "a"):
        await ann.tab.say(a_send(item_id=item_id))

    for other in others:
        heard = [await other.next() for _ in range(2)]
        assert [frame["id"] for frame in heard] == [None, "a"]
        assert {frame["event"]["event"]["from"]["session"] for frame in heard} == {ann.session}
    await ann.tab.say(a_send(item_id="a", ref=1))
    assert await ann.tab.next() == {"type": "ack", "ref": 1}
    await others[0].next()
    assert await ann.tab.nothing_came()


async def test_who_speaks_hears_all_the_others_and_the_items_meanwhile(site: Site, browser: Browser):
    ann, bob = await entered(browser), await entered(browser, BOB)
    for tab in (ann, bob):
        await joined(tab)

    for number in range(10):
        await ann.say(a_send({"type": "said", "data": f"ann {number}"}))
        await bob.say(a_send({"type": "said", "data": f"bob {number}"}))
        with bound_to(site.store):
            await site.todo.set("inbox", f"{number}", {})

    for tab, other in ((ann, "bob"), (bob, "ann")):
        events = [await tab.next_event() for _ in range(20)]
        said = [event["event"]["data"] for event in events if event["type"] == "event"]
        assert said == [f"{other} {number}" for number in range(10)]
        assert [event["data"]["id"] for event in events if event["type"] == "create"] == [
            f"{number}" for number in range(10)
        ]
        assert await tab.nothing_came()


async def test_who_watches_nothing_may_send(browser: Browser):
    ann, bob = await entered(browser), await watching(browser)

    await acknowledged(ann, a_send(ref=1))

    assert (await bob.next_event())["event"]["type"] == "typing"
    assert await ann.nothing_came()


async def test_clients_of_the_plain_dialect_hear_events_too(browser: Browser):
    ann, plain, item = (
        await member(browser),
        await browser.join("todo", "inbox"),
        await browser.join("todo", "inbox", "a"),
    )

    await ann.tab.say(a_send(item_id="a"))

    for tab in (plain, item):
        frame = await tab.next()
        assert frame["event"]["event"]["from"]["session"] == ann.session
        assert "timestamp" not in frame


# In which order, and where it is not.


@pytest.mark.parametrize("every", [1, 2, 100], ids=["all-with-ref", "half-with-ref", "one-with-ref"])
async def test_events_of_one_client_come_in_the_order_in_which_it_said_them(
    site: Site, browser: Browser, every: int
):
    tabs = [await watching(await site.gateway()), await watching(browser)]
    ann = await entered(browser)

    for number in range(30):
        more = {} if number % every else {"ref": number}
        await ann.say(a_send({"type": "said", "data": number}, **more))

    for tab in tabs:
        assert [(await tab.next_event())["event"]["data"] for _ in range(30)] == list(range(30))
    acknowledgements = [await ann.next() for _ in range(0, 30, every)]
    assert [answer["ref"] for answer in acknowledgements] == list(range(0, 30, every))


async def test_what_a_client_sends_is_stored_nowhere(site: Site, browser: Browser):
    ann, bob = await entered(browser), await watching(browser)
    for item_id in (None, "a"):
        await acknowledged(ann, a_send(item_id=item_id, ref=1))
        await bob.next()

    late = await watching(await site.gateway())

    assert orjson.loads(late.frames[-1])["event"]["data"] == []
    assert await late.nothing_came()
    with bound_to(site.store):
        assert await site.todo.get_group("inbox") == []
        assert await site.todo.get("inbox", "a") is None


async def test_who_has_left_hears_no_events(browser: Browser):
    ann, bob = await entered(browser), await entered(browser, BOB)
    await bob.join("todo", "inbox", subscription="s")
    await bob.next()
    await bob.leave("s")
    assert await bob.nothing_came()

    await acknowledged(ann, a_send(ref=1))

    assert await bob.nothing_came()
