"""The extended dialect: a hello, pings that a client can see, and errors with codes."""

from __future__ import annotations

import pytest

from streams.gateway import client_line, session
from tests.browser import Browser
from tests.gateway.members import ANN, BOB, Site, a_send, entered, member, refused, watching
from tests.gateway.members import browser as browser
from tests.gateway.members import site as site

# Who is greeted, and how.


async def test_the_first_frame_says_who_one_is_and_what_there_is(browser: Browser):
    tab = await browser.open(subprotocols=["streams.v2", "Authorization", ANN])
    await tab.join("todo", "inbox")

    hello = await tab.next()

    expires = hello.pop("expires")
    named = hello.pop("session")
    features = ["auth", "send", "resume", "pages"]
    assert hello == {"type": "hello", "ping": 25.0, "sub": "ann", "features": features}
    assert isinstance(expires, float)
    assert len(named) >= 16
    assert tab.socket.subprotocol == "streams.v2"
    assert (await tab.next_event())["type"] == "sync"


async def test_who_is_nobody_is_greeted_as_nobody(browser: Browser):
    tab = await browser.open(subprotocols=["streams.v2"])

    hello = await tab.next()

    assert (hello["sub"], hello["expires"]) == (None, None)


@pytest.mark.parametrize(
    "offered",
    [
        ["Authorization", ANN, "streams.v2"],
        ["streams.v2", "Authorization", ANN],
        ["Authorization", "streams.v2", ANN],
    ],
    ids=["last", "first", "between"],
)
async def test_the_dialect_may_be_offered_before_and_behind_a_token(browser: Browser, offered: list[str]):
    tab = await browser.open(subprotocols=offered)

    assert (await tab.next())["sub"] == "ann"
    assert tab.socket.subprotocol == "streams.v2"


async def test_every_connection_has_a_name_of_its_own(browser: Browser):
    members = [await member(browser, proof) for proof in (ANN, ANN, BOB, None, None)]

    assert len({each.session for each in members}) == len(members)


@pytest.mark.parametrize("offered", [None, ["Authorization", ANN]], ids=["nobody", "somebody"])
async def test_the_plain_dialect_has_none_of_it(browser: Browser, offered: list[str] | None):
    tab = await browser.open(subprotocols=offered)

    for message in ({"type": "auth", "token": BOB}, a_send(ref=1), {"type": "pong"}):
        assert await refused(tab, message) == ("BAD_MESSAGE", None)

    assert await tab.nothing_came()
    assert not [frame for frame in tab.frames if b"hello" in frame]


async def test_an_upgrade_to_another_dialect_gets_the_plain_one(browser: Browser):
    tab = await browser.open(subprotocols=["streams.v3", "Authorization", ANN])

    assert tab.socket.subprotocol == "Authorization"
    assert await tab.nothing_came()


# What is answered.


async def test_pings_are_answered_and_pongs_are_not(browser: Browser):
    tab = await entered(browser)

    await tab.say({"type": "pong"})
    await tab.say({"type": "ping"})

    assert await tab.next() == {"type": "pong"}
    assert await tab.nothing_came()


async def test_clients_that_cannot_see_pings_get_some_that_they_can(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(client_line, "PING_SECONDS", 0.1)
    browser = await site.gateway()
    plain, tab = await browser.open(), await browser.open(subprotocols=["streams.v2"])

    assert (await tab.next())["ping"] == 0.1
    assert [await tab.next() for _ in range(3)] == [{"type": "ping"}] * 3

    assert await plain.nothing_came()


@pytest.mark.parametrize(
    ("stream", "group", "item_id", "code"),
    [
        ("todos", "inbox", None, "STREAM_NOT_FOUND"),
        ("to do", "inbox", "a", "STREAM_NOT_FOUND"),
        ("revoked", "all", None, "STREAM_NOT_FOUND"),
        ("todo", "", None, "INVALID_NAME"),
        ("todo", "g" * 257, "a", "INVALID_NAME"),
        ("todo", "g", "\0", "INVALID_NAME"),
    ],
)
async def test_a_refused_join_is_told_once_and_in_its_room(
    browser: Browser, stream: str, group: str, item_id: str | None, code: str
):
    tab = await entered(browser)

    await tab.join(stream, group, item_id)

    frame = await tab.next()
    assert (frame["streamName"], frame["groupId"], frame["id"]) == (stream, group, item_id)
    assert (frame["event"]["type"], frame["event"]["code"]) == ("unauthorized", code)
    assert frame["event"]["message"]
    assert await tab.nothing_came()


async def test_a_subscription_too_many_is_told_once_too(browser: Browser, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session, "MAX_SUBSCRIPTIONS", 1)
    tab = await watching(browser)

    await tab.join("todo", "inbox")

    event = await tab.next_event()
    assert (event["type"], event["code"]) == ("unauthorized", "TOO_MANY_SUBSCRIPTIONS")
    assert await tab.nothing_came()


@pytest.mark.parametrize("message", ["hello", "[]", '{"type":"jion","ref":1}', '{"type":"auth"}', b"\xff"])
async def test_what_is_no_message_is_told_and_disturbs_nothing(browser: Browser, message: str | bytes):
    tab, speaker = await watching(browser), await entered(browser)

    assert await refused(tab, message) == ("BAD_MESSAGE", None)

    await speaker.say(a_send())
    assert (await tab.next_event())["type"] == "event"
