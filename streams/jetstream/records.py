"""What a stored message means: headers and body of a bucket's record ⇄ a change.

Records look alike wherever they come from: a direct get, or the server's
republished copy, with the server's headers beside those of the writer.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from nats.aio.msg import Msg

from streams.changes import ItemDeleted, ItemSet, Stored, json_object
from streams.folding import Held
from streams.jetstream.received import Message
from streams.keys import item_of

log = logging.getLogger(__name__)

SUBJECT = "Nats-Subject"
SEQUENCE = "Nats-Sequence"
TIME = "Nats-Time-Stamp"
TTL = "Nats-TTL"
MESSAGE_ID = "Nats-Msg-Id"
EXPECTED = "Nats-Expected-Last-Subject-Sequence"
OPERATION = "KV-Operation"
MARKER_REASON = "Nats-Marker-Reason"
CREATED = "Streams-Created"
"""On every write of an item: revision of its first write (0: this is it), a space, and its time in ms."""
EXPIRES = "Streams-Expires"
"""When the item vanishes, in milliseconds since 1970. `Nats-TTL` counts from each write anew."""
MARKER_SECONDS = 3600
"""How long the marker of a delete lives. A reader that was away longer compares the whole group."""

RECENT_KEYS = 4096
"""Of so many it is remembered which items they are: the same ones change again and again."""

_USUAL = re.compile(
    rb"NATS/1\.0\r\n"
    rb"Nats-Expected-Last-Subject-Sequence: \d+\r\n"
    rb"Nats-Msg-Id: [^\r]*\r\n"
    rb"Streams-Created: (?P<created>\d{1,19}) (?P<created_ms>\d{1,19})\r\n"
    rb"(?:Streams-Expires: (?P<expires_ms>\d{1,19})\r\nNats-TTL: \d+\r\n)?"
    rb"(?:Streams-Writers: [^\r]*\r\n)?"
    rb"Nats-Stream: [^\r]*\r\n"
    rb"Nats-Subject: (?P<subject>\S+)\r\n"
    rb"Nats-Sequence: (?P<sequence>\d+)\r\n"
    rb"Nats-Time-Stamp: (?P<second>[-:T\d]+)\.(?P<millisecond>\d{3})\d*Z\r\n"
    rb"(?:Nats-Num-Pending: \d+\r\n)?"
    rb"Nats-Last-Sequence: \d+\r\n\r\n"
)
"""The headers of an item that we wrote, in the order in which we and the server write them. That all of them
are known and are read at one go saves a third of what a change costs. Any others are looked at by name."""


def is_record(message: Msg) -> bool:
    """Whether the server says of a message where it stands in a bucket. Others are sent by anybody."""
    if isinstance(message, Message):
        return message.block.rfind(b"\r\nNats-Sequence:") >= 0  # `in` takes twice as long.
    return SEQUENCE in (message.headers or {})


def sequence(message: Msg) -> int:
    """Where a record stands in its bucket."""
    return int(_said(message, SEQUENCE))


def subject_of(message: Msg) -> str:
    """What a record was written to."""
    return _said(message, SUBJECT)


def stored(message: Msg) -> Stored | None:
    """The change behind a record, or None when its key is not one that we write.

    A value that is not a JSON object, put there by another program, is no
    item: whoever held one before sees it go.
    """
    return _usual_item(message) or _by_name(message.headers or {}, message.data)


def _usual_item(message: Msg) -> ItemSet | None:
    usual = _USUAL.fullmatch(message.block) if isinstance(message, Message) else None
    if usual is None:
        return None
    created, created_ms, expires_ms, key, revision, second, millisecond = usual.groups()
    item_id = _item_of(key)
    if item_id is None or json_object(message.data) is None:
        return None
    time_ms = _second(second) * 1000 + int(millisecond)
    return ItemSet(
        item_id,
        int(revision),
        message.data,
        int(created) or int(revision),
        time_ms,
        int(created_ms) or time_ms,
        None if expires_ms is None else int(expires_ms),
    )


def _by_name(headers: Mapping[str, str], value: bytes) -> Stored | None:
    item_id = item_of(headers[SUBJECT])
    if item_id is None:
        return None
    revision, time_ms = int(headers[SEQUENCE]), _milliseconds(headers[TIME])
    if headers.get(OPERATION) in ("DEL", "PURGE") or MARKER_REASON in headers:
        return ItemDeleted(item_id, revision, time_ms)
    if json_object(value) is None:
        log.warning(
            "a value is not a JSON object and is left out subject=%s revision=%d", headers[SUBJECT], revision
        )
        return ItemDeleted(item_id, revision, time_ms)
    created, created_ms = _created(headers.get(CREATED, ""))
    return ItemSet(
        item_id,
        revision,
        value,
        created or revision,
        time_ms,
        created_ms or time_ms,
        _expires(headers, time_ms) if TTL in headers else None,
    )


def write_headers(item: Held | None, *, operation: str, expected: int, now_ms: int) -> dict[str, str]:
    """Headers of a write that replaces revision `expected` (0: the key has none) by `item`.

    None deletes: the record is a marker without a body that expires by
    itself, without a sound. PURGE, not DEL: at the end of a DEL's time the
    server would place a second marker, and everybody would hear of the
    delete again.
    """
    headers = {EXPECTED: str(expected), MESSAGE_ID: operation}
    if item is None:
        return {**headers, OPERATION: "PURGE", TTL: str(MARKER_SECONDS)}
    headers[CREATED] = f"{item.created} {item.created_ms}"
    if item.expires_ms is not None:
        headers[EXPIRES] = str(item.expires_ms)
        # Whole seconds, and not less than one, is what the server takes.
        headers[TTL] = str(max(1, math.ceil((item.expires_ms - now_ms) / 1000)))
    return headers


def _said(message: Msg, name: str) -> str:
    said = message.named(name) if isinstance(message, Message) else (message.headers or {}).get(name)
    if said is None:
        raise KeyError(name)
    return said


def _created(text: str) -> tuple[int, int]:
    revision, _, time_ms = text.partition(" ")
    if _is_number(revision) and _is_number(time_ms):
        return int(revision), int(time_ms)
    return 0, 0


def _is_number(text: str) -> bool:
    # Another program's may be of any length, and Python makes no number of thousands of digits.
    return text.isdecimal() and len(text) <= _MOST_DIGITS


_MOST_DIGITS = 19


def _expires(headers: Mapping[str, str], time_ms: int) -> int | None:
    if _is_number(ours := headers.get(EXPIRES, "")):
        return int(ours)
    # Another program's: it may write "90s" and the like, which only the server has to understand.
    seconds = headers[TTL].removesuffix("s")
    return time_ms + int(seconds) * 1000 if _is_number(seconds) else None


def _milliseconds(text: str) -> int:
    # RFC 3339 with up to nine digits; what is below a millisecond is cut off.
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


@lru_cache(64)
def _second(text: bytes) -> int:
    return int(datetime.fromisoformat(f"{text.decode()}+00:00").timestamp())


@lru_cache(RECENT_KEYS)
def _item_of(key: bytes) -> str | None:
    return item_of(key.decode("utf-8", "replace"))
