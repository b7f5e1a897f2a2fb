"""Items in JetStream key-value buckets.

Every write is a compare-and-set on the revision it was decided upon. That
makes the returned old value exact, and a write that NATS still delivers
after its caller gave up can win once or fail, but never overwrite.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict

from nats.aio.msg import Msg

from streams.access import Subscription
from streams.changes import ItemSet, Stored, checked_event
from streams.folding import Held
from streams.jetstream.api import subjects, wait_for_leader
from streams.jetstream.bucket import checked_meta, read_meta
from streams.jetstream.commits import Commits
from streams.jetstream.connection import Connection, NobodyAnswers
from streams.jetstream.questions import AnswerLost
from streams.jetstream.reader import Reader, SetBack
from streams.jetstream.recent import NOTHING, Known, Recent
from streams.jetstream.records import SEQUENCE, SUBJECT, sequence, stored
from streams.jetstream.writers import writers_in
from streams.jetstream.writing import Writing
from streams.keys import Address, Namespace, group_of
from streams.store import FOREVER, Decide, Lifetime, Written

READ_SECONDS = 10.0
"""How long a read waits for a leader: an election takes about five seconds."""

DELETES_AT_ONCE = 64


class KvStore:
    """A `Store` over one connection."""

    def __init__(self, connection: Connection, namespace: Namespace) -> None:
        self._connection, self._namespace = connection, namespace
        self._usable: set[str] = set()
        self._recent = Recent()
        self._writing = Writing(Commits(connection, namespace), self._recent, self._known)

    async def get(self, address: Address) -> ItemSet | None:
        record = await self._record(address)
        return None if record is None else _present(stored(record), time.time_ns() // 1_000_000)

    async def get_group(self, stream: str, group: str) -> list[ItemSet]:
        await self._check_usable(stream)
        reader = Reader(self._connection, self._namespace, stream)
        while True:
            try:
                room, highest = Subscription(stream, group), self._recent.highest(stream)
                read = await reader.room(room, after=0, at_least=highest)
            except SetBack as error:
                self._recent.set_back(stream, error.end)
            else:
                now_ms = time.time_ns() // 1_000_000
                items = [item for change in read.changes if (item := _present(change, now_ms))]
                return sorted(items, key=lambda item: item.created)

    async def list_groups(self, stream: str) -> list[str]:
        await self._check_usable(stream)
        names, _ = await subjects(self._connection, self._namespace, stream, self._namespace.items(stream))
        unsure: defaultdict[str, list[str]] = defaultdict(list)
        for name in names:
            if (group := group_of(name)) is not None:
                unsure[group].append(name)
        # The keys of deleted items are among them for an hour: a group counts when one of its keys
        # holds an item. Mostly the first one does, so few are asked for first, and then more.
        reader, alive, probes = Reader(self._connection, self._namespace, stream), set[str](), 1
        while unsure:
            async for record in reader.records([name for keys in unsure.values() for name in keys[:probes]]):
                if _present(stored(record), time.time_ns() // 1_000_000):
                    alive.add(group_of((record.headers or {})[SUBJECT]) or "")
            rest = {group: keys[probes:] for group, keys in unsure.items() if group not in alive}
            unsure = defaultdict(list, {group: keys for group, keys in rest.items() if keys})
            probes *= 8
        return sorted(alive)

    async def write(
        self, address: Address, decide: Decide, *, lifetime: Lifetime = FOREVER, is_blind: bool = False
    ) -> Written:
        await self._check_usable(address.stream)
        return await self._writing.write(address, decide, lifetime, is_blind)

    async def delete_group(self, stream: str, group: str) -> int:
        addresses = [Address(stream, group, item.id) for item in await self.get_group(stream, group)]
        deleted = 0
        for start in range(0, len(addresses), DELETES_AT_ONCE):
            some = addresses[start : start + DELETES_AT_ONCE]
            writes = [self.write(address, lambda _: None) for address in some]
            for written in await asyncio.gather(*writes, return_exceptions=True):
                if isinstance(written, BaseException):
                    raise written
                deleted += written.old is not None
        return deleted

    async def send(
        self, stream: str, group: str, item_id: str | None, event: bytes, *, is_awaited: bool = True
    ) -> None:
        await self._check_usable(stream)
        subject = self._namespace.event(stream, group, item_id)
        if is_awaited:
            await self._connection.publish(subject, checked_event(event))
        else:
            await self._connection.post(subject, checked_event(event))

    async def _known(self, address: Address) -> Known:
        record = await self._record(address)
        if record is None:
            return NOTHING
        found, revision = stored(record), sequence(record)
        held = None
        if isinstance(found, ItemSet):
            held = Held(found.value, found.revision, found.created, found.created_ms, found.expires_ms)
        return Known(held, revision, writers_in(record.headers or {}, revision))

    async def _record(self, address: Address) -> Msg | None:
        """The newest record of a key, not older than what this process wrote there."""
        subject = self._namespace.item(address)
        while True:
            record = await self._direct(address.stream, subject)
            at_least = self._recent.revision(address)
            if (sequence(record) if record else 0) >= at_least:
                return record
            # A replica that is behind, or a record that has expired: one that has come that far can tell.
            try:
                reader = Reader(self._connection, self._namespace, address.stream)
                return await reader.record(subject, at_least=at_least)
            except SetBack as error:
                self._recent.set_back(address.stream, error.end)

    async def _direct(self, stream: str, subject: str) -> Msg | None:
        """The newest record of a key as any replica has it."""
        direct = f"$JS.API.DIRECT.GET.{self._namespace.bucket_stream(stream)}.{subject}"
        deadline = asyncio.get_running_loop().time() + READ_SECONDS
        while True:
            try:
                message = await self._connection.request(direct)
            except (NobodyAnswers, AnswerLost) as error:
                await wait_for_leader(self._connection, self._namespace, stream, deadline, error)
            else:
                # Without it, it is the 404 of a key that has no record.
                return message if SEQUENCE in (message.headers or {}) else None

    async def _check_usable(self, stream: str) -> None:
        """Once per stream: its bucket is there, and of a layout that this release writes."""
        if stream not in self._usable:
            checked_meta(self._namespace, stream, await read_meta(self._connection, self._namespace, stream))
            self._usable.add(stream)


def _present(change: Stored | None, now_ms: int) -> ItemSet | None:
    return change if isinstance(change, ItemSet) and not change.is_over(now_ms) else None
