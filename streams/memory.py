"""Streams without NATS: a store and a feed in this process, for tests and first tries.

It passes the same contract suite as the NATS store. Nothing is kept after
the process ends.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from streams.changes import Change, EventSent, ItemDeleted, ItemSet, Stored, checked_event, checked_value
from streams.errors import UnknownStream
from streams.keys import Address
from streams.store import UNCHANGED, Decide, Delta, Epoch, EpochChanged, Position, Written


@dataclass
class _Bucket:
    epoch: Epoch
    end: int = 0
    newest: dict[tuple[str, str], Stored] = field(default_factory=dict)
    """By group and id. Deleted items stay as markers; they are few where this store is used."""


class MemoryStore:
    """A `Store` and a `Feed` over dictionaries.

    `streams` names the streams that exist; None lets any stream come into
    being when it is first used.
    """

    def __init__(self, streams: list[str] | None = None) -> None:
        self._known = None if streams is None else set(streams)
        self._buckets: dict[str, _Bucket] = {}
        self._listeners: dict[tuple[str, str], list[Callable[[Change], None]]] = {}

    async def get(self, address: Address) -> ItemSet | None:
        found = self._bucket(address.stream).newest.get((address.group, address.id))
        return found if isinstance(found, ItemSet) else None

    async def get_group(self, stream: str, group: str) -> list[ItemSet]:
        newest = self._bucket(stream).newest
        items = [item for (g, _), item in newest.items() if g == group and isinstance(item, ItemSet)]
        return sorted(items, key=lambda item: item.created)

    async def write(self, address: Address, decide: Decide) -> Written:
        bucket, key = self._bucket(address.stream), (address.group, address.id)
        found = bucket.newest.get(key)
        old = found if isinstance(found, ItemSet) else None
        value = decide(old)
        if value is UNCHANGED or (value is None and old is None):
            return Written(old, None if old is None else old.value, None)
        if value is not None:
            checked_value(address, value)
        bucket.end += 1
        now = time.time_ns() // 1_000_000
        change: Stored
        if value is None:
            change = ItemDeleted(address.id, bucket.end, now)
        else:
            created = bucket.end if old is None else old.created
            change = ItemSet(address.id, bucket.end, value, created, now)
        bucket.newest[key] = change
        self._tell(address.stream, address.group, change)
        return Written(old, value, bucket.end)

    async def send(self, stream: str, group: str, item_id: str | None, event: bytes) -> None:
        self._bucket(stream)
        self._tell(stream, group, EventSent(item_id, checked_event(event)))

    @asynccontextmanager
    async def listening(
        self, stream: str, group: str, deliver: Callable[[Change], None], lost: Callable[[], None]
    ) -> AsyncIterator[None]:
        self._bucket(stream)
        listeners = self._listeners.setdefault((stream, group), [])
        listeners.append(deliver)
        try:
            yield
        finally:
            listeners.remove(deliver)
            if not listeners:
                self._listeners.pop((stream, group), None)

    async def end(self, stream: str) -> Position:
        bucket = self._bucket(stream)
        return Position(bucket.epoch, bucket.end)

    async def changes(self, stream: str, group: str, after: int, at_least: Position) -> Delta:
        bucket = self._bucket(stream)
        if at_least.epoch != bucket.epoch:
            raise EpochChanged
        found = [c for (g, _), c in bucket.newest.items() if g == group and c.revision > after]
        return Delta(sorted(found, key=lambda c: c.revision), Position(bucket.epoch, bucket.end))

    def _bucket(self, stream: str) -> _Bucket:
        bucket = self._buckets.get(stream)
        if bucket is None:
            if self._known is not None and stream not in self._known:
                raise UnknownStream(stream, self._known)
            bucket = _Bucket(Epoch(secrets.token_hex(6), time.time_ns() // 1_000_000))
            self._buckets[stream] = bucket
        return bucket

    def _tell(self, stream: str, group: str, change: Change) -> None:
        for deliver in list(self._listeners.get((stream, group), ())):
            deliver(change)
