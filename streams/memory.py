"""Streams without NATS: a store and a feed in this process, for tests and first tries.

It passes the same contract suite as the NATS store. Nothing is kept after
the process ends.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from streams.access import Subscription
from streams.changes import Change, EventSent, ItemDeleted, ItemSet, Stored, checked_event
from streams.errors import UnknownStream
from streams.folding import Held, fold
from streams.keys import Address
from streams.store import (
    FOREVER,
    Decide,
    Delta,
    Epoch,
    EpochChanged,
    Lifetime,
    Position,
    Record,
    Records,
    Written,
)

RECENT_RECORDS = 256
"""Records that are read at once, whatever they are of."""


@dataclass
class _Bucket:
    epoch: Epoch
    end: int = 0
    newest: dict[tuple[str, str], Stored] = field(default_factory=dict)
    """By group and id. Deleted items stay as markers; they are few where this store is used."""

    def records(self, after: int) -> list[Record]:
        found = [
            Record(group, item_id, change.revision, partial(_itself, change))
            for (group, item_id), change in self.newest.items()
            if change.revision > after
        ]
        return sorted(found, key=lambda record: record.revision)


class MemoryStore:
    """A `Store` and a `Feed` over dictionaries.

    `streams` names the streams that exist; None lets any stream come into
    being when it is first used.
    """

    def __init__(self, streams: list[str] | None = None) -> None:
        self._known = None if streams is None else set(streams)
        self._buckets: dict[str, _Bucket] = {}
        self._listeners: dict[tuple[str, str], list[tuple[str | None, Callable[[Change], None]]]] = {}
        """By stream and group: what each listens to, one item or all."""

    async def get(self, address: Address) -> ItemSet | None:
        found = self._bucket(address.stream).newest.get((address.group, address.id))
        return found if isinstance(found, ItemSet) and not found.is_over(_now_ms()) else None

    async def get_group(self, stream: str, group: str) -> list[ItemSet]:
        items = [item for (of, _), item in self._present(stream).items() if of == group]
        return sorted(items, key=lambda item: item.created)

    async def list_groups(self, stream: str) -> list[str]:
        return sorted({group for group, _ in self._present(stream)})

    async def write(
        self, address: Address, decide: Decide, *, lifetime: Lifetime = FOREVER, is_blind: bool = False
    ) -> Written:
        bucket = self._bucket(address.stream)
        found = bucket.newest.get((address.group, address.id))
        held = None
        if isinstance(found, ItemSet):
            held = Held(found.value, found.revision, found.created, found.created_ms, found.expires_ms)
        folded = fold(address, held, [(decide, lifetime)], _now_ms())
        (step,) = folded.steps
        if isinstance(step, Exception):
            raise step
        if not folded.is_change:
            return step.written(None)
        return step.written(self._commit(address, folded.item).revision)

    async def delete_group(self, stream: str, group: str) -> int:
        items = await self.get_group(stream, group)
        for item in items:
            self._commit(Address(stream, group, item.id), None)
        return len(items)

    async def send(
        self, stream: str, group: str, item_id: str | None, event: bytes, *, is_awaited: bool = True
    ) -> None:
        self._bucket(stream)
        self._tell(stream, group, EventSent(item_id, checked_event(event)))

    @asynccontextmanager
    async def listening(
        self, room: Subscription, deliver: Callable[[Change], None], lost: Callable[[], None]
    ) -> AsyncIterator[None]:
        self._bucket(room.stream)
        listeners = self._listeners.setdefault((room.stream, room.group), [])
        listeners.append((room.id, deliver))
        try:
            yield
        finally:
            listeners.remove((room.id, deliver))
            if not listeners:
                self._listeners.pop((room.stream, room.group), None)

    async def end(self, stream: str) -> Position:
        bucket = self._bucket(stream)
        return Position(bucket.epoch, bucket.end)

    async def is_guarded(self, stream: str) -> bool:
        return self._bucket(stream).epoch.is_guarded

    async def changes(self, room: Subscription, after: int, at_least: Position) -> Delta:
        bucket = self._bucket_of(room.stream, at_least)
        found = [
            change
            for (group, item_id), change in bucket.newest.items()
            if group == room.group and room.id in (None, item_id) and change.revision > after
        ]
        return Delta(sorted(found, key=lambda c: c.revision), Position(bucket.epoch, bucket.end))

    async def changes_of(
        self, stream: str, rooms: Sequence[Subscription], after: int, at_least: Position
    ) -> Records:
        bucket, wanted = self._bucket_of(stream, at_least), {(room.group, room.id) for room in rooms}
        found = [
            record
            for record in bucket.records(after)
            if (record.group, None) in wanted or (record.group, record.id) in wanted
        ]
        return Records(found, Position(bucket.epoch, bucket.end), len(found))

    async def recent(self, stream: str, after: int, at_least: Position) -> Records | None:
        bucket = self._bucket_of(stream, at_least)
        found = bucket.records(after)
        page, rest = found[:RECENT_RECORDS], found[RECENT_RECORDS:]
        listened = [record for record in page if (stream, record.group) in self._listeners]
        upto = page[-1].revision if rest else bucket.end
        return Records(listened, Position(bucket.epoch, upto), len(page), len(rest))

    def _bucket_of(self, stream: str, position: Position) -> _Bucket:
        bucket = self._bucket(stream)
        if position.epoch != bucket.epoch:
            raise EpochChanged
        return bucket

    def _present(self, stream: str) -> dict[tuple[str, str], ItemSet]:
        now = _now_ms()
        newest = self._bucket(stream).newest.items()
        return {key: item for key, item in newest if isinstance(item, ItemSet) and not item.is_over(now)}

    def _commit(self, address: Address, item: Held | None) -> Stored:
        bucket, key, now = self._buckets[address.stream], (address.group, address.id), _now_ms()
        bucket.end += 1
        change: Stored = ItemDeleted(address.id, bucket.end, now)
        if item is not None:
            created = item.created or bucket.end
            change = ItemSet(
                address.id, bucket.end, item.value, created, now, item.created_ms, item.expires_ms
            )
        bucket.newest[key] = change
        if item is not None and item.expires_ms is not None:
            seconds = math.ceil(max(1, item.expires_ms - now) / 1000)
            asyncio.get_running_loop().call_later(seconds, self._expire, address, bucket.end)
        self._tell(address.stream, address.group, change)
        return change

    def _tell(self, stream: str, group: str, change: Change) -> None:
        for item_id, deliver in list(self._listeners.get((stream, group), ())):
            if item_id in (None, change.id):
                deliver(change)

    def _expire(self, address: Address, revision: int) -> None:
        found = self._buckets[address.stream].newest[(address.group, address.id)]
        if found.revision == revision:
            self._commit(address, None)

    def _bucket(self, stream: str) -> _Bucket:
        bucket = self._buckets.get(stream)
        if bucket is None:
            if self._known is not None and stream not in self._known:
                raise UnknownStream(stream, self._known)
            bucket = _Bucket(Epoch(secrets.token_hex(6), _now_ms()))
            self._buckets[stream] = bucket
        return bucket


def _itself(change: Stored) -> Stored:
    return change


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
