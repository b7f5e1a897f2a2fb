"""Items that tests write to a store, and what they hold."""

from __future__ import annotations

import json
from typing import Any

from streams.changes import ItemSet
from streams.keys import Address
from streams.store import Store, Written

LOOKALIKES = [
    "a",
    "a.",
    "a.b",
    "a.*",
    "a.>",
    "*",
    ">",
    "A",
    "a/b",
    "ab",
    "=",
    "a=2Eb",
    " a",
    "_event",
    "_meta",
]
"""Groups that would hear of each other if their names reached NATS as they are."""


def address(item_id: str = "1", group: str = "inbox", stream: str = "todo") -> Address:
    return Address(stream, group, item_id)


def value(content: Any) -> bytes:
    return json.dumps({"value": content}).encode()


def content(item: ItemSet | None) -> Any:
    return None if item is None else content_of(item.value)


def content_of(text: bytes) -> Any:
    return json.loads(text)["value"]


async def put(store: Store, what: Any, at: Address | None = None) -> Written:
    """Write an item, whatever there is."""
    written = await store.write(at or address(), lambda _: value(what))
    assert written.revision is not None
    return written


async def delete(store: Store, at: Address | None = None) -> Written:
    return await store.write(at or address(), lambda _: None)
