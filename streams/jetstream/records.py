"""What a stored message means: headers and body of a bucket's record ⇄ a change.

Records look alike wherever they come from: a direct get, or the server's
republished copy, with the server's headers beside those of the writer.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import datetime

from nats.aio.msg import Msg

from streams.changes import ItemDeleted, ItemSet, Stored, json_object
from streams.folding import Held
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
    created, created_ms = _created(headers.get(CREATED, ""))
    return ItemSet(
        item_id,
        revision,
        message.data,
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


def _created(text: str) -> tuple[int, int]:
    revision, _, time_ms = text.partition(" ")
    if revision.isdecimal() and time_ms.isdecimal():
        return int(revision), int(time_ms)
    return 0, 0


def _expires(headers: Mapping[str, str], time_ms: int) -> int | None:
    if (ours := headers.get(EXPIRES, "")).isdecimal():
        return int(ours)
    # Another program's: it may write "90s" and the like, which only the server has to understand.
    seconds = headers[TTL].removesuffix("s")
    return time_ms + int(seconds) * 1000 if seconds.isdecimal() else None


def _milliseconds(text: str) -> int:
    # RFC 3339 with up to nine digits; what is below a microsecond is cut off.
    return int(datetime.fromisoformat(text).timestamp() * 1000)
