"""The extended dialect: a hello, errors with codes, and events of clients."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import orjson
import pytest
import pytest_asyncio

from streams import Stream, bound_to
from streams.access import Subscription
from streams.gateway import guest, session
from streams.gateway import socket as socket_module
from streams.gateway.speech import MAX_EVENT_BYTES
from streams.jetstream.connection import Connection
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from tests.browser import Browser, Tab
from tests.gateway.waiting import until
from tests.guarded import guarded_gateway, provisioned
from tests.tokens import token

ANN, BOB = token("ann"), token("bob")


class Site:
    """An application, and a gateway or two."""

    def __init__(self, connection: Connection, namespace: Namespace, opened: AsyncExitStack) -> None:
        self.answer: Any = True
        """What the rule says of events."""
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.asked: list[tuple[Subscription, Any]] = []
        self.todo = Stream("todo", dict, public=True, can_send=self._may_send)
        self.mute = Stream("mute", dict, public=True)
        self.store = KvStore(connection, namespace)
        self._connection, self._namespace, self._opened = connection, namespace, opened

    async def gateway(self) -> Browser:
        streams = [self.todo, self.mute]
        gateway = await self._opened.enter_async_context(
            guarded_gateway(self._connection, self._namespace, streams)
        )
        return Browser(gateway.url, self._opened)

    async def _may_send(self, subscription: Subscription, context: Any) -> Any:
        self.asked.append((subscription, context))
        await self.may_answer.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest_asyncio.fixture
async def site(connection: Connection, namespace: Namespace, opened: AsyncExitStack) -> Site:
    site = Site(connection, namespace, opened)
    await provisioned(connection, namespace, [site.todo, site.mute])
    return site


@pytest_asyncio.fixture
async def browser(site: Site) -> Browser:
    return await site.gateway()


class Member:
    """A socket of the extended dialect, after its hello."""

    def __init__(self, tab: Tab, hello: dict[str, Any]) -> None:
        self.tab, self.session = tab, hello["session"]


async def entered(browser: Browser, proof: str | None = ANN) -> Tab:
    return (await member(browser, proof)).tab


async def member(browser: Browser, proof: str | None = ANN) -> Member:
    offered = ["streams.v2", *(["Authorization", proof] if proof else [])]
    tab = await browser.open(subprotocols=offered)
    return Member(tab, await tab.next())


async def watching(
    browser: Browser, item_id: str | None = None, *, proof: str | None = BOB, group: str = "inbox"
) -> Tab:
    tab = await entered(browser, proof)
    await joined(tab, item_id, group)
    return tab


async def joined(tab: Tab, item_id: str | None = None, group: str = "inbox") -> None:
    await tab.join("todo", group, item_id)
    assert (await tab.next_event())["type"] == "sync"


def a_send(
    event: object = None, *, stream: str = "todo", group: str = "inbox", item_id: object = None, **more: Any
) -> dict[str, Any]:
    """A `send`; `more` is what stands beside its fields, such as a `ref`."""
    said = {"type": "typing", "data": None} if event is None else event
    return {
        "type": "send",
        **more,
        "data": {"streamName": stream, "groupId": group, "id": item_id, "event": said},
    }


async def refused(tab: Tab, message: object) -> tuple[str, Any]:
    """The code and the ref of the error that a message gets."""
    await tab.say(message)
    answer = await tab.next()
    assert answer["type"] == "error"
    assert answer["message"]
    return answer["code"], answer.get("ref")


async def acknowledged(tab: Tab, message: dict[str, Any]) -> None:
    await tab.say(message)
    assert await tab.next() == {"type": "ack", "ref": message["ref"]}


# Who is greeted, and how.


async def test_the_first_frame_says_who_one_is_and_what_there_is(browser: Browser):
    tab = await browser.open(subprotocols=["streams.v2", "Authorization", ANN])
    await tab.join("todo", "inbox")

    hello = await tab.next()

    expires = hello.pop("expires")
    named = hello.pop("session")
    assert hello == {"type": "hello", "ping": 25.0, "sub": "ann", "features": ["auth", "send"]}
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
    monkeypatch.setattr(socket_module, "PING_SECONDS", 0.1)
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


# Whom it is from.


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


# How much, in which order, and where it is not.


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
