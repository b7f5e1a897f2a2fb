"""What a client sees on its socket."""

from __future__ import annotations

import asyncio

import pytest
from websockets.exceptions import InvalidStatus

from streams import Stream, bound_to
from streams.messages import MAX_MESSAGE_BYTES
from tests.browser import SECONDS, Browser
from tests.conftest import Backend, Gateway

todo = Stream("todo", dict)


async def test_an_item_set_in_a_group_appears_in_every_tab_that_watches_it(
    jetstream: Backend, browser: Browser
):
    ann, bob = await browser.join("todo", "inbox"), await browser.join("todo", "inbox")

    with bound_to(jetstream.store):
        result = await todo.set("inbox", "a", {"text": "call mum"})

    first, second = await ann.next(), await bob.next()
    assert first["event"] == {"type": "create", "data": {"id": "a", "text": "call mum"}}
    assert first["rev"] == result.revision
    assert first == second


async def test_all_sockets_get_the_same_bytes(jetstream: Backend, browser: Browser):
    ann, bob = await browser.join("todo", "inbox"), await browser.join("todo", "inbox")

    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})
        await todo.set("inbox", "a", {"v": 2})
        await todo.send("inbox", {"type": "typing", "data": "ann"})
        await todo.delete("inbox", "a")

    for tab in (ann, bob):
        for _ in range(4):
            await tab.next_frame()
    assert ann.frames == bob.frames


async def test_a_joined_group_is_sent_in_the_order_of_creation(jetstream: Backend, browser: Browser):
    with bound_to(jetstream.store):
        for name in ("c", "a", "b"):
            await todo.set("inbox", name, {"v": 1})
        await todo.set("inbox", "c", {"v": 2})

    tab = await browser.open()
    await tab.join("todo", "inbox")

    event = await tab.next_event()
    assert [item["id"] for item in event["data"]] == ["c", "a", "b"]


async def test_an_empty_group_is_an_empty_array_and_a_missing_item_is_null(browser: Browser):
    tab = await browser.open()

    await tab.join("todo", "inbox")
    await tab.join("todo", "inbox", "nothing")

    assert await tab.next_event() == {"type": "sync", "data": []}
    assert await tab.next_event() == {"type": "sync", "data": None}


async def test_create_update_and_delete_follow_from_what_the_watcher_has(
    jetstream: Backend, browser: Browser
):
    tab = await browser.join("todo", "inbox")

    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})
        await todo.set("inbox", "a", {"v": 2})
        await todo.delete("inbox", "a")
        await todo.delete("inbox", "a")
        await todo.set("inbox", "a", {"v": 3})

    events = [await tab.next_event() for _ in range(4)]
    assert [(event["type"], event["data"]["v"]) for event in events] == [
        ("create", 1),
        ("update", 2),
        ("delete", 2),
        ("create", 3),
    ]
    assert await tab.nothing_came()


async def test_timestamps_and_revisions_rise(jetstream: Backend, browser: Browser):
    tab = await browser.join("todo", "inbox")

    with bound_to(jetstream.store):
        for number in range(5):
            await todo.set("inbox", "a", {"v": number})
            await todo.send("inbox", {"type": "tick", "data": number})

    frames = [await tab.next() for _ in range(10)]
    stamps = [frame["timestamp"] for frame in frames]
    revisions = [frame["rev"] for frame in frames if "rev" in frame]
    assert stamps == sorted(set(stamps))
    assert revisions == sorted(set(revisions))


async def test_a_watcher_of_one_item_hears_of_that_item_only(jetstream: Backend, browser: Browser):
    tab = await browser.join("todo", "inbox", "a")

    with bound_to(jetstream.store):
        await todo.set("inbox", "b", {"v": 1})
        await todo.send("inbox", {"type": "for the group"})
        await todo.send({"groupId": "inbox", "id": "a"}, {"type": "for a"})
        await todo.set("inbox", "a", {"v": 1})

    assert (await tab.next_event())["event"] == {"type": "for a", "data": None}
    assert await tab.next_event() == {"type": "create", "data": {"id": "a", "v": 1}}
    assert await tab.nothing_came()


async def test_an_event_reaches_the_group_and_is_kept_nowhere(jetstream: Backend, browser: Browser):
    early = await browser.join("todo", "inbox")

    with bound_to(jetstream.store):
        await todo.send("inbox", {"type": "typing", "data": {"user": "ann"}})
    await early.next_frame()
    late = await browser.join("todo", "inbox")

    assert b'"event":{"type":"typing","data":{"user":"ann"}}' in early.frames[-1]
    assert b'"data":[]' in late.frames[0]


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


async def test_an_unknown_stream_is_refused_in_the_two_forms_that_clients_know(browser: Browser):
    tab = await browser.open()

    await tab.join("todos", "inbox")

    first, second = await tab.next(), await tab.next()
    assert (first["streamName"], first["groupId"], first["id"]) == ("todos", "inbox", None)
    assert first["event"]["event"]["data"]["code"] == "STREAM_NOT_FOUND"
    assert second["event"]["type"] == "unauthorized"
    assert 0 < first["timestamp"] < second["timestamp"]


@pytest.mark.parametrize(
    ("group", "item_id"),
    [("", None), ("g" * 257, None), ("g\0", None), ("g", "\0")],
    ids=["empty", "long", "nul", "item"],
)
async def test_a_name_that_cannot_exist_is_refused(browser: Browser, group: str, item_id: str | None):
    tab = await browser.open()

    await tab.join("todo", group, item_id)

    event = await tab.next_event()
    assert event["event"]["data"]["code"] == "INVALID_NAME"
    assert (await tab.next_event())["type"] == "unauthorized"
    assert await tab.nothing_came()


@pytest.mark.parametrize(
    "message",
    [
        "hello",
        "null",
        "[]",
        "1",
        "{",
        '{"type":"jion"}',
        '{"type":"join"}',
        '{"type":"join","data":{}}',
        b"\xff\xfe",
    ],
)
async def test_something_that_is_no_message_is_answered_and_disturbs_nothing(
    jetstream: Backend, browser: Browser, message: str | bytes
):
    tab = await browser.join("todo", "inbox")

    await tab.say(message)
    answer = await tab.next()
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})

    assert (answer["type"], answer["code"]) == ("error", "BAD_MESSAGE")
    assert "id" not in answer, "Motia's clients end on a frame with an id and no event"
    assert (await tab.next_event())["type"] == "create"


async def test_binary_messages_are_read_like_text(browser: Browser):
    tab = await browser.open()

    await tab.say(b'{"type":"join","data":{"streamName":"todo","groupId":"inbox","subscriptionId":"s"}}')

    assert (await tab.next_event())["type"] == "sync"


async def test_a_message_in_fragments_is_put_together(browser: Browser):
    tab = await browser.open()

    await tab.socket.send(
        ['{"type":"join","data":{"streamName":', '"todo","groupId":"inbox",', '"subscriptionId":"s"}}']
    )

    assert (await tab.next_event())["type"] == "sync"


async def test_a_message_that_is_too_long_ends_its_own_connection_only(jetstream: Backend, browser: Browser):
    long, other = await browser.join("todo", "inbox"), await browser.join("todo", "inbox")

    await long.say("x" * (MAX_MESSAGE_BYTES + 1))

    assert (await long.closed())[0] == 1009
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})
    assert (await other.next_event())["type"] == "create"


async def test_the_subprotocol_is_echoed_without_the_token(browser: Browser):
    tab = await browser.open(subprotocols=["Authorization", "secret-token"])

    assert tab.socket.subprotocol == "Authorization"
    assert "secret-token" not in str(tab.socket.response.headers)


@pytest.mark.parametrize("path", ["ws", "stream/todo/inbox?authToken=x", "a/b/c?d=e"])
async def test_sockets_open_on_any_path(browser: Browser, path: str):
    tab = await browser.open(path)

    await tab.join("todo", "inbox")

    assert (await tab.next_event())["type"] == "sync"


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://127.0.0.1", "https://[::1]:3000"])
async def test_pages_of_this_machine_may_open_sockets(browser: Browser, origin: str):
    tab = await browser.open(origin=origin)

    await tab.join("todo", "inbox")

    assert (await tab.next_event())["type"] == "sync"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost.evil.example", "null", "file://"]
)
async def test_pages_of_other_sites_may_not(browser: Browser, origin: str):
    with pytest.raises(InvalidStatus) as refused:
        await browser.open(origin=origin)

    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("how", ["close", "abort", "half-open"])
async def test_nothing_is_left_of_a_connection_however_it_ends(gateway: Gateway, browser: Browser, how: str):
    tab = await browser.join("todo", "inbox")
    (audience,) = gateway.hub._audiences.values()
    assert len(audience.watchers()) == 1

    match how:
        case "close":
            await tab.close()
        case "abort":
            tab.socket.transport.abort()
        case "half-open":
            tab.socket.transport.write_eof()

    async with asyncio.timeout(SECONDS):
        while audience.watchers():
            await asyncio.sleep(0.005)


async def test_a_group_that_nobody_watches_any_more_is_let_go(jetstream: Backend, browser: Browser):
    from streams.gateway.hub import Hub

    async with Hub.running(jetstream.feed, linger_seconds=0) as hub:
        watcher = _Watcher()
        hub.join(watcher, watcher.room)
        async with asyncio.timeout(SECONDS):
            await watcher.got_something.wait()
        assert hub.watched_groups == 1

        hub.leave(watcher, watcher.room)

        async with asyncio.timeout(SECONDS):
            while hub.watched_groups:
                await asyncio.sleep(0.005)


class _Watcher:
    """A watcher without a socket."""

    def __init__(self) -> None:
        from streams.messages import Room

        self.room = Room("todo", "inbox")
        self.got_something = asyncio.Event()

    def write(self, frames: bytes) -> None:
        self.got_something.set()

    def close(self, code: int, reason: str) -> None:
        raise AssertionError(f"closed: {code} {reason}")

    def watches(self, room: object) -> bool:
        return True
