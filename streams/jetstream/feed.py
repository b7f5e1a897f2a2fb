"""How gateways hear of changes: the server's republished copies, and reads of what they missed."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from nats.aio.msg import Msg

from streams.access import Subscription
from streams.changes import Change, EventSent, json_object
from streams.errors import StoreUnavailable, StreamsError
from streams.jetstream.api import stream_info
from streams.jetstream.bucket import Meta, checked_meta, parse_meta, read_meta
from streams.jetstream.connection import Connection
from streams.jetstream.reader import Read, Reader
from streams.jetstream.records import is_record, sequence, stored, subject_of
from streams.keys import Address, Namespace, decode, encode, event_item_of
from streams.store import Delta, Epoch, EpochChanged, Position, Record, Records

log = logging.getLogger(__name__)

READS_AT_ONCE = 64
"""Reads of one bucket that are under way; further ones wait. One that does not answer holds up no other."""

SET_BACK_CHECKS = 3
"""How often an end that went back is asked for again before it is believed."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a bucket's present life."""

    created: str
    meta: Meta
    epoch: Epoch


class JetStreamFeed:
    """A `Feed` over one connection."""

    def __init__(self, connection: Connection, namespace: Namespace) -> None:
        self._connection, self._namespace = connection, namespace
        self._known: dict[str, _Known] = {}
        self._highest: dict[str, int] = {}
        """By stream, the highest revision that was seen: a bucket that ends below it was set back."""
        self._questions: dict[str, asyncio.Future[Position | StreamsError | None]] = {}
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._reads: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(READS_AT_ONCE)
        )
        self._listened = defaultdict[str, _Listened](_Listened)
        """By stream, what is listened to."""

    @asynccontextmanager
    async def listening(
        self, room: Subscription, deliver: Callable[[Change], None], lost: Callable[[], None]
    ) -> AsyncIterator[None]:
        stream = room.stream

        def handle(message: Msg) -> None:
            change = _live(message)
            if change is None:
                return
            if not isinstance(change, EventSent) and change.revision > self._highest.get(stream, 0):
                self._highest[stream] = change.revision
            deliver(change)

        listened = self._listened[stream]
        listened.add(room.group)
        try:
            async with AsyncExitStack() as subscriptions:
                for subject in self._subjects(room):
                    await subscriptions.enter_async_context(
                        self._connection.subscribed(subject, handle, lost)
                    )
                yield
        finally:
            listened.remove(room.group)

    async def end(self, stream: str) -> Position:
        # A question under way may have been answered before this call, so its
        # answer proves nothing. The next one is shared by all who come until
        # it is asked: joins by the thousand cost one request.
        while question := self._questions.get(stream):
            answer = await asyncio.shield(question)
            if isinstance(answer, Position):
                return answer
            if answer is not None:
                raise answer
        return await self._ask_for_all(stream)

    async def is_guarded(self, stream: str) -> bool:
        # Not what is known already: of a stream that nobody watches here, nobody would notice a new rule.
        meta = await read_meta(self._connection, self._namespace, stream)
        return checked_meta(self._namespace, stream, meta).is_guarded

    async def changes(self, room: Subscription, after: int, at_least: Position) -> Delta:
        async with self._reads[room.stream]:
            read = await self._reader(room.stream).room(room, after=after, at_least=at_least.revision)
        position = self._position(room.stream, read, at_least)
        return Delta(read.changes, position)

    async def changes_of(
        self, stream: str, rooms: Sequence[Subscription], after: int, at_least: Position
    ) -> Records:
        async with self._reads[stream]:
            read = await self._reader(stream).rooms(rooms, after=after, at_least=at_least.revision)
        position = self._position(stream, read, at_least)
        tokens = {encode(room.group): room.group for room in rooms}
        return Records(list(_records(read.records, tokens)), position, len(read.records))

    async def recent(self, stream: str, after: int, at_least: Position) -> Records | None:
        read = await self._reader(stream).recent(after=after, at_least=at_least.revision)
        if read is None:
            return None
        position = self._position(stream, read, at_least)
        found = list(_records(read.records, self._listened[stream].groups))
        return Records(found, position, len(read.records), read.more)

    def _subjects(self, room: Subscription) -> list[str]:
        """Where changes and events of a room come."""
        if room.id is None:
            return [self._namespace.live_group(room.stream, room.group)]
        item = self._namespace.live_item(Address(room.stream, room.group, room.id))
        return [item, self._namespace.event(room.stream, room.group, room.id)]

    def _reader(self, stream: str) -> Reader:
        return Reader(self._connection, self._namespace, stream)

    def _position(self, stream: str, read: Read, at_least: Position) -> Position:
        """How far a read is complete.

        Raises:
            EpochChanged: `at_least` is of an epoch that has ended.
        """
        known = self._known.get(stream)
        if read.meta is not None and (
            known is None or parse_meta(read.meta.data, sequence(read.meta)) != known.meta
        ):
            self._known.pop(stream, None)
            raise EpochChanged
        if known is None or known.epoch != at_least.epoch:
            raise EpochChanged
        self._highest[stream] = max(read.upto, self._highest.get(stream, 0))
        return Position(known.epoch, read.upto)

    async def _ask_for_all(self, stream: str) -> Position:
        question = self._questions[stream] = asyncio.get_running_loop().create_future()
        answer: Position | StreamsError | None = None
        try:
            async with self._asking[stream]:
                del self._questions[stream]
                answer = await self._ask(stream)
                return answer
        except StreamsError as error:
            answer = error
            raise
        finally:
            # None, when this call was cancelled: one of those who share it asks again.
            if self._questions.get(stream) is question:
                del self._questions[stream]
            question.set_result(answer)

    async def _ask(self, stream: str) -> Position:
        # What is heard while the answer is on its way may be above it.
        seen = self._highest.get(stream, 0)
        info = await stream_info(self._connection, self._namespace, stream)
        end, created = info["state"]["last_seq"], info["created"]
        known = self._known.get(stream)
        if known is None or known.created != created:
            meta = await read_meta(self._connection, self._namespace, stream)
            if meta is None:
                raise StoreUnavailable(f"the bucket of stream {stream!r} has no `_meta` record (yet)")
            checked_meta(self._namespace, stream, meta)
            name = f"{zlib.crc32(created.encode()):08x}{meta.epoch}"
            epoch = Epoch(name, meta.base_ms, meta.is_guarded)
            known = self._known[stream] = _Known(created, meta, epoch)
            self._highest[stream] = 0
        elif end < seen:
            end = await self._set_back(stream, known, end, seen)
            known = self._known[stream]
        self._highest[stream] = max(end, self._highest[stream])
        return Position(known.epoch, end)

    async def _set_back(self, stream: str, known: _Known, end: int, highest: int) -> int:
        """The bucket ends before a position that was seen. Believe it when it stays so."""
        for _ in range(SET_BACK_CHECKS):
            # A replica may have applied a write before its leader had.
            await asyncio.sleep(0.1)
            end = (await stream_info(self._connection, self._namespace, stream))["state"]["last_seq"]
            if end >= highest:
                return end
        log.error(
            "the bucket was set back to an older state; its clients start over. After a restore, provision "
            "with a new epoch stream=%s end=%d seen=%d",
            stream,
            end,
            highest,
        )
        # Timestamps count from now on, or clients would take the old state for older news.
        base_ms = max(known.epoch.base_ms, time.time_ns() // 1_000_000)
        name = f"{known.epoch.name.partition('~')[0]}~{secrets.token_hex(3)}"
        epoch = Epoch(name, base_ms, known.epoch.is_guarded)
        self._known[stream] = _Known(known.created, known.meta, epoch)
        self._highest[stream] = end
        return end


class _Listened:
    """The groups of one stream that are listened to, by their tokens in subjects."""

    def __init__(self) -> None:
        self.groups: dict[str, str] = {}
        self._times: dict[str, int] = {}
        """Those that are listened to more than once."""

    def add(self, group: str) -> None:
        token = encode(group)
        if token in self.groups:
            self._times[token] = self._times.get(token, 1) + 1
        else:
            self.groups[token] = group

    def remove(self, group: str) -> None:
        token = encode(group)
        times = self._times.pop(token, 1) - 1
        if times > 1:
            self._times[token] = times
        elif times == 0:
            del self.groups[token]


def _records(messages: Iterable[Msg], groups: Mapping[str, str]) -> Iterator[Record]:
    """Those of the records that are of some groups, given by their tokens."""
    for message in messages:
        # `$KV.<bucket>.<group>.<id>`; another program's keys may be shorter or longer.
        _, _, *tokens = subject_of(message).split(".")
        if len(tokens) == 2 and (group := groups.get(tokens[0])) and (item_id := decode(tokens[1])):
            yield Record(group, item_id, sequence(message), partial(stored, message))


def _live(message: Msg) -> Change | None:
    # Looked at first: the subjects of another program's keys can look like those of events.
    if is_record(message):
        return stored(message)
    is_event, item_id = event_item_of(message.subject)
    if not is_event:
        log.warning("a message on a live subject is not a committed change subject=%s", message.subject)
        return None
    event = json_object(message.data)
    if event is None or not isinstance(event.get("type"), str):
        log.warning("an event is not a JSON object with a type and is left out subject=%s", message.subject)
        return None
    return EventSent(item_id, message.data)
