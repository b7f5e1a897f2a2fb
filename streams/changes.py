"""What happens to a group: items set, items deleted, events sent.

Values travel as the JSON text that was stored, so that a relay never has to
write them again. Only an `id` that is missing is put in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from streams.errors import EventRefused, ItemRefused
from streams.keys import Address

MAX_VALUE_BYTES = 512 * 1024
"""Longest item, as JSON text."""

MAX_EVENT_BYTES = 64 * 1024
"""Longest ephemeral event, as JSON text."""


@dataclass(frozen=True, slots=True)
class ItemSet:
    """An item was created or replaced."""

    id: str
    revision: int
    """Position in the bucket. Grows with every write; newer is larger."""
    value: bytes
    """The item as JSON text, exactly as it was stored."""
    created: int
    """Revision of the item's first write since it was last deleted: its place in the group's order."""
    time_ms: int
    """When the server committed it, in milliseconds since 1970."""
    created_ms: int
    """When the item was first written, by the clock of its writer."""
    expires_ms: int | None = None
    """When it vanishes by itself; None: never."""

    def is_over(self, now_ms: int) -> bool:
        """Whether its time is over. The server takes up to a second more to remove it."""
        return self.expires_ms is not None and self.expires_ms <= now_ms


@dataclass(frozen=True, slots=True)
class ItemDeleted:
    """An item was deleted, expired, or overwritten with something that is not an item."""

    id: str
    revision: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class EventSent:
    """An event that is stored nowhere."""

    id: str | None
    """The item it is about; None: the whole group."""
    event: bytes
    """`{"type": ..., "data": ...}` as JSON text."""


Stored: TypeAlias = ItemSet | ItemDeleted
Change: TypeAlias = ItemSet | ItemDeleted | EventSent


def checked_value(address: Address, value: bytes) -> bytes:
    """`value` itself, when it is not too long to be stored."""
    if len(value) > MAX_VALUE_BYTES:
        raise ItemRefused(address, f"it is {len(value)} bytes long; {MAX_VALUE_BYTES} is the limit")
    return value


def checked_event(event: bytes) -> bytes:
    """`event` itself, when it is not too long to be sent."""
    if len(event) > MAX_EVENT_BYTES:
        raise EventRefused(f"an event of {len(event)} bytes is too long; {MAX_EVENT_BYTES} is the limit")
    return event


def json_object(text: bytes) -> dict[str, Any] | None:
    """`text` as a JSON object, or None when it is anything else."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def just_id(item_id: str) -> bytes:
    """The JSON object that says of an item which one it is, and nothing else."""
    return b'{"id":' + orjson.dumps(item_id) + b"}"


def with_id(item_id: str, text: bytes) -> bytes:
    """The JSON object `text` with `id` = `item_id`: the same bytes where it says so already.

    Clients tell the items of a list apart by `id` alone, so what is sent
    always has the id of the key.
    """
    value = orjson.loads(text)
    found = value.get("id", _ABSENT)
    if found == item_id:
        return text
    if found is _ABSENT:
        body = text[text.index(b"{") + 1 :].lstrip()
        comma = b"" if body.startswith(b"}") else b","
        return b'{"id":' + orjson.dumps(item_id) + comma + body
    return orjson.dumps({**value, "id": item_id})


_ABSENT = object()
