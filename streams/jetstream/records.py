"""What a stored message means: headers and body of a bucket's record ⇄ a change.

Records look alike wherever they come from: a direct get, or the server's
republished copy, with the server's headers beside those of the writer.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from nats.aio.msg import Msg

from streams.changes import ItemDeleted, ItemSet, Stored, json_object
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
"""Revision of the item's first write, on every write over a live item."""

MARKER_SECONDS = 3600
"""How long the marker of a delete lives. A reader that was away longer compares the whole group."""


def sequence(message: Msg) -> int:
    """Where a record stands in its bucket."""
    return int((message.headers or {})[SEQUENCE])


def stored(message: Msg) -> Stored | None:
    """The change behind a record, or None when its key is not one that we write.

    A value that is not a JSON object, put there by another program, is no
    item: whoever held one before sees it go.
    """
    headers: Mapping[str, str] = message.headers or {}
    item_id = item_of(headers[SUBJECT])
    if item_id is None:
        return None
    revision, time_ms = int(headers[SEQUENCE]), _milliseconds(headers[TIME])
    if headers.get(OPERATION) in ("DEL", "PURGE") or MARKER_REASON in headers:
        return ItemDeleted(item_id, revision, time_ms)
    if json_object(message.data) is None:
        log.warning(
            "a value is not a JSON object and is left out subject=%s revision=%d", headers[SUBJECT], revision
        )
        return ItemDeleted(item_id, revision, time_ms)
    created = headers.get(CREATED, "")
    return ItemSet(
        item_id, revision, message.data, int(created) if created.isdecimal() else revision, time_ms
    )


def write_headers(operation: str, expected: int, created: int | None) -> dict[str, str]:
    """Headers of a write that replaces revision `expected` (0: the key has none)."""
    headers = {EXPECTED: str(expected), MESSAGE_ID: operation}
    if created is not None:
        headers[CREATED] = str(created)
    return headers


def delete_headers(operation: str, expected: int) -> dict[str, str]:
    """Headers of a delete: a marker without a body that expires by itself, without a sound.

    PURGE, not DEL: at the end of a DEL's time the server would place a
    second marker, and everybody would hear of the delete again.
    """
    return {EXPECTED: str(expected), MESSAGE_ID: operation, OPERATION: "PURGE", TTL: str(MARKER_SECONDS)}


def _milliseconds(text: str) -> int:
    # RFC 3339 with up to nine digits; what is below a microsecond is cut off.
    return int(datetime.fromisoformat(text).timestamp() * 1000)
