"""What clients say, in whatever form, and what cannot be answered with a room."""

from __future__ import annotations

import pytest

from streams import Stream, bound_to
from streams.messages import MAX_MESSAGE_BYTES
from tests.browser import Browser
from tests.conftest import Backend

todo = Stream("todo", dict)


async def test_an_unknown_stream_is_refused_in_the_two_forms_that_clients_know(browser: Browser):
    tab = await browser.open()

    await tab.join("todos", "inbox")

    first, second = await tab.next(), await tab.next()
    assert (first["streamName"], first["groupId"], first["id"]) == ("todos", "inbox", None)
    assert first["event"]["event"]["data"]["code"] == "STREAM_NOT_FOUND"
    assert second["event"]["type"] == "unauthorized"
    assert "timestamp" not in first, "an item subscription that has a state would not hear it"


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
