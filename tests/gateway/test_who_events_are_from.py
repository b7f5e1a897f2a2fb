"""Whom an event of a client is from: who its token says, whatever the event says itself."""

from __future__ import annotations

import orjson
import pytest

from streams import bound_to
from tests.browser import Browser
from tests.gateway.members import ANN, BOB, Site, a_send, entered, joined, member, watching
from tests.gateway.members import browser as browser
from tests.gateway.members import site as site
from tests.tokens import token


@pytest.mark.parametrize("sub", ["ann", 'a"},"type":"$draft', "\\", "日本🙂", "</script>", "null"])
async def test_an_event_says_whom_it_is_from(browser: Browser, sub: str):
    ann, bob = await member(browser, token(sub)), await watching(browser)

    await ann.tab.say(a_send())

    event = (await bob.next_event())["event"]
    assert event == {"from": {"session": ann.session, "sub": sub}, "type": "typing", "data": None}


async def test_an_event_of_nobody_says_so(browser: Browser):
    nobody, bob = await member(browser, None), await watching(browser)

    await nobody.tab.say(a_send())

    assert (await bob.next_event())["event"]["from"] == {"session": nobody.session, "sub": None}


async def test_an_event_is_from_whom_its_last_token_says(browser: Browser):
    tab, bob = await entered(browser, None), await watching(browser)
    await tab.say({"type": "auth", "token": ANN})
    await tab.say(a_send())

    assert (await bob.next_event())["event"]["from"]["sub"] == "ann"


async def test_nobody_can_speak_as_somebody_else(browser: Browser):
    mallory, bob = await member(browser, token("mallory")), await member(browser, BOB)
    await joined(bob.tab)
    forged = {"session": bob.session, "sub": "bob"}
    signed = b'{"from":{"session":"%s","sub":"mallory"},' % mallory.session.encode()

    for said in (
        {"from": forged, "type": "typing", "data": {"from": forged}},
        {"type": "typing", "data": '"},"from":' + orjson.dumps(forged).decode(), "from": forged},
        {"type": '{"from":{"session":"' + bob.session + '"', "data": [{"from": forged}]},
    ):
        await mallory.tab.say(a_send(said, **{"from": forged}))

        # Heard, which is not so of what is one's own; and in the place where it stands nothing else can.
        frame = await bob.tab.next_frame()
        assert b'"event":{"type":"event","event":' + signed in frame
        event = orjson.loads(frame)["event"]["event"]
        assert list(event) == ["from", "type", "data"]
        assert event["from"] == {"session": mallory.session, "sub": "mallory"}
        assert (event["type"], event["data"]) == (said["type"], said["data"])


async def test_an_event_of_a_function_is_from_nobody(site: Site, browser: Browser):
    bob = await member(browser, BOB)
    await joined(bob.tab)
    forged = {"session": bob.session, "sub": "bob"}

    with bound_to(site.store):
        await site.todo.send("inbox", {"from": forged, "type": "done", "data": {"from": forged}})

    assert (await bob.tab.next_event())["event"] == {"type": "done", "data": {"from": forged}}


async def test_nothing_but_type_and_data_is_passed_on(browser: Browser):
    ann, bob = await entered(browser), await watching(browser)

    await ann.say(a_send({"type": "typing", "data": 1, "ref": 7, "to": "bob"}))

    assert list((await bob.next_event())["event"]) == ["from", "type", "data"]
