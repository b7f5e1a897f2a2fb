"""What a message means does not depend on how its headers are read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from nats.aio.msg import Msg

from streams import Stream, bound_to
from streams.changes import ItemDeleted, ItemSet
from streams.jetstream.connection import Connection
from streams.jetstream.received import Message, headers_in
from streams.jetstream.records import _usual_item, is_record, sequence, stored, subject_of
from streams.keys import Namespace
from streams.messages import Room
from tests.browser import SECONDS
from tests.conftest import Backend

WRITTEN = """\
Nats-Expected-Last-Subject-Sequence: 0
Nats-Msg-Id: 73b66d15392a.0
Streams-Created: 0 1795410856992"""
MOVED = """\
Nats-Expected-Last-Subject-Sequence: 41
Nats-Msg-Id: 73b66d15392a.7
Streams-Created: 40 1795410850000
Streams-Expires: 1795420000000
Nats-TTL: 9144
Streams-Writers: 38 0a.3@40 0b.1@41"""
STANDS = """\
Nats-Stream: KV_streams_todo
Nats-Subject: $KV.streams_todo.inbox.1
Nats-Sequence: 42
Nats-Time-Stamp: 2026-11-23T05:14:16.997597147Z
Nats-Last-Sequence: 41"""


def received(*lines: str, data: bytes = b'{"text":"Milk"}') -> Message:
    block = "\r\n".join(["NATS/1.0", *"\n".join(lines).splitlines(), "", ""])
    return Message(nobody, b"streams.live.todo.inbox.1", b"", data, block.encode())


def by_name(message: Message) -> Msg:
    return Msg(nobody, message.subject, message.reply, message.data, message.headers)


nobody: Any = None


@pytest.mark.parametrize(
    "message",
    [
        received(WRITTEN, STANDS),
        received(MOVED, STANDS),
        received(WRITTEN, STANDS.replace("Nats-Last", "Nats-Num-Pending: 7\nNats-Last")),
        received(WRITTEN, STANDS.replace("inbox.1", "a=2Eb.=E6=97=A5")),
        received(WRITTEN.replace("1795410856992", "0"), STANDS),
        received(WRITTEN, STANDS.replace("997597147", "123")),
    ],
)
def test_an_item_of_ours_is_the_same_read_at_one_go_and_by_name(message: Message):
    item = _usual_item(message)

    assert isinstance(item, ItemSet)
    assert item == stored(message) == stored(by_name(message))


@pytest.mark.parametrize(
    "message",
    [
        received(STANDS),
        received(WRITTEN, STANDS, data=b"[1]"),
        received(WRITTEN, STANDS, data=b""),
        received(WRITTEN, "KV-Operation: PURGE", STANDS, data=b""),
        received("Nats-Marker-Reason: MaxAge", STANDS, data=b""),
        received(WRITTEN, "Nats-TTL: 90s", STANDS),
        received(WRITTEN, STANDS.replace("inbox.1", "_meta")),
        received(WRITTEN, STANDS.replace("inbox.1", "inbox.=41")),
        received(WRITTEN, STANDS.replace(".997597147", "")),
        received(WRITTEN, STANDS.replace(".997597147", ".5")),
        received(WRITTEN, STANDS, "Nats-Sequence: 43"),
        received(WRITTEN, STANDS.replace("Nats-Sequence: 42", "Nats-Sequence:42")),
    ],
)
def test_anything_else_is_read_by_name(message: Message):
    assert _usual_item(message) is None
    assert stored(message) == stored(by_name(message))


def test_a_value_that_is_no_object_is_no_item_whatever_its_headers_say():
    assert stored(received(WRITTEN, STANDS, data=b'"milk"')) == ItemDeleted("1", 42, 1795410856997)


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (received(WRITTEN, STANDS), True),
        (received("Nats-Sequence:7"), True),
        (received(WRITTEN), False),
        (received("Nats-Last-Sequence: 7"), False),
        (received("Text: Nats-Sequence: 7"), False),
        (Message(nobody, b"live", b"", b"{}", b""), False),
    ],
)
def test_a_record_is_what_the_server_says_the_place_of(message: Message, answer: bool):
    assert is_record(message) is is_record(by_name(message)) is answer


@pytest.mark.parametrize("name", ["Streams-Created", "Nats-Sequence", "Nats-Msg-Id", "Text", "Nats", "None"])
@pytest.mark.parametrize(
    "message",
    [
        received(WRITTEN, STANDS),
        received("Nats-Sequence: 7", "Text:\tf\u00fcr ", WRITTEN, STANDS),
        received("Text:", "Nats-Msg-Id", STANDS),
        Message(nobody, b"live", b"", b"{}", b"NATS/1.0\r\nText: cut"),
        Message(nobody, b"live", b"", b"{}", b""),
    ],
)
def test_one_header_is_the_same_alone_and_among_the_others(message: Message, name: str):
    assert message.named(name) == (message.headers or {}).get(name)


def test_a_message_without_headers_has_none():
    assert Message(nobody, b"live", b"", b"{}", b"").headers is None


def test_a_record_stands_somewhere_and_was_written_to_something():
    record = received(WRITTEN, STANDS)

    assert sequence(record) == sequence(by_name(record)) == 42
    assert subject_of(record) == subject_of(by_name(record)) == "$KV.streams_todo.inbox.1"
    with pytest.raises(KeyError, match="Nats-Sequence"):
        sequence(received(WRITTEN))


def test_an_answer_without_a_body_says_why():
    assert headers_in(b"NATS/1.0 503\r\n\r\n") == {"Status": "503"}
    assert headers_in(b"NATS/1.0 404 No Messages\r\n\r\n") == {"Status": "404", "Description": "No Messages"}
    assert headers_in(b"NATS/1.0 204 EOB\r\nNats-Num-Pending: 0\r\n\r\n") == {
        "Status": "204",
        "Description": "EOB",
        "Nats-Num-Pending": "0",
    }


async def test_what_we_write_is_read_at_one_go(
    connection: Connection, jetstream: Backend, namespace: Namespace
):
    # Were it not, nothing would be wrong, but every change would cost half as much again.
    came: asyncio.Queue[Message] = asyncio.Queue()
    todo = Stream("todo", dict)
    async with connection.subscribed(namespace.live_group("todo", "inbox"), came.put_nowait):
        with bound_to(jetstream.store):
            await todo.set("inbox", "1", {"text": "Milk"})
            await todo.set("inbox", "1", {"text": "Bread"})
            await todo.set("inbox", "2", {"text": "Eggs"}, ttl=3600)
        async with asyncio.timeout(SECONDS):
            copies = [await came.get() for _ in range(3)]
    end = await jetstream.feed.end("todo")
    read = (await jetstream.feed.changes(Room("todo", "inbox"), 0, end)).changes

    assert [_usual_item(copy) for copy in copies][1:] == read
    assert None not in [_usual_item(copy) for copy in copies]
