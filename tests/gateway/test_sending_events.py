"""What a client that sends events is told of them, who may send, and how much."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from streams.access import Subscription
from streams.gateway import guest
from streams.gateway.speech import MAX_EVENT_BYTES
from tests.browser import Browser
from tests.gateway.members import Site, a_send, acknowledged, entered, joined, refused, watching
from tests.gateway.members import browser as browser
from tests.gateway.members import site as site
from tests.gateway.waiting import until

# What is told of it.


@pytest.mark.parametrize(
    "ref", [0, 7, -1, 2**63 - 1, -(2**63), 2**64 - 1, "", "r", "日" * 100, '"\\'], ids=str
)
async def test_an_event_with_a_ref_is_acknowledged(browser: Browser, ref: int | str):
    ann = await entered(browser)

    await acknowledged(ann, a_send(ref=ref))

    assert await ann.nothing_came()


@pytest.mark.parametrize("more", [{}, {"ref": None}], ids=["absent", "null"])
async def test_an_event_without_one_is_not(browser: Browser, more: dict[str, Any]):
    ann, bob = await entered(browser), await watching(browser)

    await ann.say(a_send(**more))

    assert (await bob.next_event())["type"] == "event"
    assert await ann.nothing_came()


async def test_an_event_without_a_ref_is_refused_with_an_error_without_one(site: Site, browser: Browser):
    site.answer = False
    ann = await entered(browser)

    assert await refused(ann, a_send()) == ("SEND_DENIED", None)


@pytest.mark.parametrize(
    "ref",
    ["true", "false", "1.5", "1.0", "[]", "{}", '"%s"' % ("x" * 101), "9" * 30, "1" * 200],
    ids=lambda ref: ref[:9],
)
async def test_what_is_no_ref_makes_no_message(browser: Browser, ref: str):
    ann, bob = await entered(browser), await watching(browser)
    message = orjson.dumps(a_send(ref="REF")).decode().replace('"REF"', ref)

    assert await refused(ann, message) == ("BAD_MESSAGE", None)

    assert await bob.nothing_came()


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"streamName": "todo", "groupId": "inbox"},
        {"streamName": "todo", "groupId": "inbox", "event": "typing"},
        {"streamName": "todo", "groupId": 7, "event": {"type": "typing"}},
        {"groupId": "inbox", "event": {"type": "typing"}},
        {"streamName": "todo", "groupId": "", "event": {"type": "typing"}},
        {"streamName": "todo", "groupId": "inbox", "id": 7, "event": {"type": "typing"}},
        {"streamName": "todo", "groupId": "inbox", "id": "\0", "event": {"type": "typing"}},
    ],
    ids=str,
)
async def test_what_is_no_event_is_told_with_the_ref(browser: Browser, data: object):
    ann = await entered(browser)

    assert await refused(ann, {"type": "send", "ref": "r", "data": data}) == ("BAD_MESSAGE", "r")
    assert await ann.nothing_came()


@pytest.mark.parametrize(
    "event",
    [{}, {"type": None}, {"type": 7}, {"type": "$draft"}, {"type": "$"}, {"type": "$anything"}],
    ids=str,
)
async def test_an_event_needs_a_type_that_is_not_the_librarys(browser: Browser, event: dict[str, Any]):
    ann, bob = await entered(browser), await watching(browser)

    assert await refused(ann, a_send(event, ref=1)) == ("EVENT_REFUSED", 1)

    assert await bob.nothing_came()


@pytest.mark.parametrize("ends", ["", "é", '"'])
async def test_an_event_is_taken_up_to_its_limit_and_not_beyond(browser: Browser, ends: str):
    ann, bob = await entered(browser), await watching(browser)
    room = MAX_EVENT_BYTES - len(orjson.dumps({"type": "t", "data": ends}))

    await acknowledged(ann, a_send({"type": "t", "data": "x" * room + ends}, ref=1))
    assert await refused(ann, a_send({"type": "t", "data": "x" * (room + 1) + ends}, ref=2)) == (
        "EVENT_REFUSED",
        2,
    )

    assert (await bob.next_event())["event"]["data"] == "x" * room + ends
    assert await bob.nothing_came()


# Who may send.


async def test_nobody_may_send_where_no_rule_says_so(browser: Browser):
    ann = await entered(browser)

    assert await refused(ann, a_send(stream="mute", ref=1)) == ("SEND_DENIED", 1)


@pytest.mark.parametrize("stream", ["todos", "revoked", "", "to do", "todo.>", "*", "todo\r\nPUB x 0\r\n"])
async def test_nobody_may_send_to_a_stream_that_there_is_not(browser: Browser, stream: str):
    ann, bob = await entered(browser), await watching(browser)

    assert await refused(ann, a_send(stream=stream, ref=1)) == ("SEND_DENIED", 1)

    assert await bob.nothing_came()


@pytest.mark.parametrize(
    "answer", [False, None, 1, "yes", [True], RuntimeError("a bug")], ids=lambda answer: repr(answer)
)
async def test_nobody_may_send_where_the_rule_does_not_say_yes(site: Site, browser: Browser, answer: Any):
    site.answer = answer
    ann, bob = await entered(browser), await watching(browser)

    for item_id in (None, "a"):
        assert await refused(ann, a_send(item_id=item_id, ref=1)) == ("SEND_DENIED", 1)

    assert await bob.nothing_came()


async def test_the_rule_is_told_who_sends_and_where(site: Site, browser: Browser):
    ann, nobody = await entered(browser), await entered(browser, None)

    await acknowledged(ann, a_send(ref=1))
    await acknowledged(ann, a_send(item_id="a", ref=2))
    await acknowledged(nobody, a_send(group="*", ref=3))

    assert [(asked, context and context.sub) for asked, context in site.asked] == [
        (Subscription("todo", "inbox"), "ann"),
        (Subscription("todo", "inbox", "a"), "ann"),
        (Subscription("todo", "*"), None),
    ]


async def test_who_may_send_is_not_asked_about_every_time_and_who_may_not_is(site: Site, browser: Browser):
    ann = await entered(browser)
    for number in range(5):
        await acknowledged(ann, a_send(ref=number))
    assert len(site.asked) == 1

    site.answer = False
    for _ in range(3):
        assert await refused(ann, a_send(group="other", ref=1)) == ("SEND_DENIED", 1)
    site.answer = True

    await acknowledged(ann, a_send(group="other", ref=1))


async def test_events_that_wait_for_a_rule_end_with_their_client(site: Site, browser: Browser):
    ann, bob, other = await entered(browser), await watching(browser), await entered(browser)
    site.may_answer.clear()
    await ann.say(a_send({"type": "said", "data": "late"}))
    await until(lambda: len(site.asked) == 1)

    await ann.close()
    site.may_answer.set()
    await other.say(a_send({"type": "said", "data": "now"}))

    assert (await bob.next_event())["event"]["data"] == "now"
    assert await bob.nothing_came()


# How much.


async def test_what_comes_too_fast_is_dropped_and_the_socket_stays(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(guest, "SENDS", (0.0, 3))
    ann, bob = await entered(browser), await watching(browser)

    for number in range(5):
        await ann.say(a_send({"type": "said", "data": number}, ref=number))
    answers = [await ann.next() for _ in range(5)]

    assert sorted(answer["ref"] for answer in answers if answer["type"] == "ack") == [0, 1, 2]
    assert {answer["ref"]: answer["code"] for answer in answers if answer["type"] == "error"} == {
        3: "TOO_FAST",
        4: "TOO_FAST",
    }
    assert [(await bob.next_event())["event"]["data"] for _ in range(3)] == [0, 1, 2]
    assert await bob.nothing_came()
    await joined(ann)
    assert await ann.nothing_came()


async def test_what_one_client_has_spent_another_still_has(browser: Browser, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guest, "SENDS", (0.0, 1))
    ann, other = await entered(browser), await entered(browser)
    await acknowledged(ann, a_send(ref=1))
    assert await refused(ann, a_send(ref=2)) == ("TOO_FAST", 2)

    await acknowledged(other, a_send(ref=1))
