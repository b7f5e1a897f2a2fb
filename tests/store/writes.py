"""Items that tests write to a store, and what they hold."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import Any

from streams.changes import ItemSet
from streams.keys import Address
from streams.store import Present, Store, Written

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


def content(item: ItemSet | Present | None) -> Any:
    return None if item is None else content_of(item.value)


def content_of(text: bytes | None) -> Any:
    return None if text is None else json.loads(text)["value"]


async def put(store: Store, what: Any, at: Address | None = None) -> Written:
    """Write an item, whatever there is."""
    written = await store.write(at or address(), lambda _: value(what))
    assert written.revision is not None
    return written


async def delete(store: Store, at: Address | None = None) -> Written:
    return await store.write(at or address(), lambda _: None)


def in_order(results: Iterable[Written]) -> list[Written]:
    """What was written to one item, in the order in which it was done.

    By revision; of those that share one, each comes after the one whose value
    it replaced. This needs values that differ. It checks that all of them
    come one after the other, from no item on.
    """
    waiting = sorted((w for w in results if w.revision is not None), key=attrgetter("revision"))
    chain: list[Written] = []
    for _, sharing in groupby(waiting, key=attrgetter("revision")):
        left = list(sharing)
        while left:
            there = chain[-1].value if chain else None
            (following,) = [written for written in left if written.old == there]
            left.remove(following)
            chain.append(following)
    return chain
