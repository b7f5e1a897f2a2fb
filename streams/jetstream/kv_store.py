"""Items in JetStream key-value buckets.

Every write is a compare-and-set on the revision it was decided upon. That
makes the returned old value exact, and a write that NATS still delivers
after its caller gave up can win once or fail, but never overwrite.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import secrets
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

from nats.aio.msg import Msg

from streams.changes import ItemSet, Stored, checked_event, checked_value
from streams.errors import BucketNotUsable, Contention, OutcomeUnknown, StoreUnavailable
from streams.jetstream.bucket import checked_meta, read_meta, stream_info
from streams.jetstream.connection import AnswerLost, Connection, NobodyAnswers
from streams.jetstream.reader import Records, SetBack, read_group
from streams.jetstream.records import SEQUENCE, SUBJECT, delete_headers, stored, write_headers
from streams.keys import Address, Namespace
from streams.store import UNCHANGED, Decide, Written

log = logging.getLogger(__name__)

ATTEMPTS = 30
"""Compare-and-sets that one write may lose to other processes before it gives up."""

WAIT_SECONDS = 10.0
"""How long a write waits for a leader: an election takes about five seconds."""

_CONFLICTS = frozenset({10071, 10164})


class KvStore:
    """A `Store` over one connection."""

    def __init__(self, connection: Connection, namespace: Namespace) -> None:
        self._connection, self._namespace = connection, namespace
        self._usable: set[str] = set()
        self._acknowledged: dict[str, int] = {}
        # One write of a key at a time in this process: they would only fail each other.
        self._turns: WeakValueDictionary[Address, asyncio.Lock] = WeakValueDictionary()
        self._operations = (f"{secrets.token_hex(6)}.{number}" for number in count())

    async def get(self, address: Address) -> ItemSet | None:
        found, _ = await self._read(address)
        return found if isinstance(found, ItemSet) else None

    async def get_group(self, stream: str, group: str) -> list[ItemSet]:
        await self._check_usable(stream)
        records = await self._read_group(stream, group)
        meta = self._namespace.meta(stream)
        changes = (stored(m) for m in records.messages if (m.headers or {})[SUBJECT] != meta)
        return sorted((c for c in changes if isinstance(c, ItemSet)), key=lambda item: item.created)

    async def write(self, address: Address, decide: Decide) -> Written:
        await self._check_usable(address.stream)
        turn = self._turns.setdefault(address, asyncio.Lock())
        async with turn:
            return await self._write(address, decide)

    async def send(self, stream: str, group: str, item_id: str | None, event: bytes) -> None:
        await self._check_usable(stream)
        await self._connection.publish(self._namespace.event(stream, group, item_id), checked_event(event))

    async def _write(self, address: Address, decide: Decide) -> Written:
        operation = next(self._operations)
        for attempt in range(ATTEMPTS):
            found, revision = await self._read(address)
            old = found if isinstance(found, ItemSet) else None
            value = decide(old)
            if value is UNCHANGED or (value is None and old is None):
                return Written(old, None if old is None else old.value, None)
            if value is None:
                headers = delete_headers(operation, revision)
            else:
                checked_value(address, value)
                headers = write_headers(operation, revision, old.created if old else None)
            answer = await self._publish(address, value or b"", headers)
            if "error" not in answer:
                self._acknowledge(address.stream, answer["seq"])
                return Written(old, value, answer["seq"])
            if answer["error"].get("err_code") not in _CONFLICTS:
                raise BucketNotUsable(f"{address} was not written: {answer['error'].get('description')}")
            await asyncio.sleep(random.random() * min(0.05, 0.001 * 2**attempt))
        raise Contention(address, ATTEMPTS)

    async def _read_group(self, stream: str, group: str) -> Records:
        while True:
            at_least = self._acknowledged.get(stream, 0)
            try:
                return await read_group(
                    self._connection, self._namespace, stream, group, after=0, at_least=at_least
                )
            except SetBack as error:
                log.warning("%s; reading what there is", error)
                self._acknowledged[stream] = error.end

    def _acknowledge(self, stream: str, revision: int) -> None:
        """From now on a group that this process reads has at least this write in it."""
        self._acknowledged[stream] = max(revision, self._acknowledged.get(stream, 0))

    async def _publish(self, address: Address, value: bytes, headers: dict[str, str]) -> dict[str, Any]:
        subject = self._namespace.item(address)
        deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
        while True:
            try:
                message = await self._connection.request(subject, value, headers=headers)
            except AnswerLost as error:
                raise OutcomeUnknown(address) from error
            except NobodyAnswers as error:
                await self._wait_for_leader(address.stream, deadline, error)
            else:
                answer: dict[str, Any] = json.loads(message.data)
                return answer

    async def _read(self, address: Address) -> tuple[Stored | None, int]:
        """The newest record of a key, and its revision: 0, when it has none."""
        subject = self._namespace.item(address)
        direct = f"$JS.API.DIRECT.GET.{self._namespace.bucket_stream(address.stream)}.{subject}"
        deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
        while True:
            try:
                message = await self._connection.request(direct)
            except (NobodyAnswers, AnswerLost) as error:
                await self._wait_for_leader(address.stream, deadline, error)
            else:
                return _record(message)

    async def _wait_for_leader(self, stream: str, deadline: float, error: Exception) -> None:
        """Nothing was done. Wait a little, as long as it can help."""
        if asyncio.get_running_loop().time() > deadline:
            raise StoreUnavailable(
                f"stream {stream!r} has no leader at {self._connection.url}; nothing was written"
            ) from error
        await asyncio.sleep(random.uniform(0.05, 0.2))
        try:
            await stream_info(self._connection, self._namespace, stream)
        except StoreUnavailable:
            return

    async def _check_usable(self, stream: str) -> None:
        """Once per stream: its bucket is there, and of a layout that this release writes."""
        if stream not in self._usable:
            checked_meta(self._namespace, stream, await read_meta(self._connection, self._namespace, stream))
            self._usable.add(stream)


def _record(message: Msg) -> tuple[Stored | None, int]:
    headers = message.headers or {}
    if SEQUENCE not in headers:  # 404: the key has no record
        return None, 0
    return stored(message), int(headers[SEQUENCE])
