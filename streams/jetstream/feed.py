"""How gateways hear of changes: the server's republished copies, and reads of what they missed."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from nats.aio.msg import Msg

from streams.changes import Change, EventSent, json_object
from streams.errors import StoreUnavailable, StreamsError
from streams.jetstream.api import stream_info
from streams.jetstream.bucket import Meta, checked_meta, parse_meta, read_meta
from streams.jetstream.connection import Connection
from streams.jetstream.reader import Reader
from streams.jetstream.records import SEQUENCE, sequence, stored
from streams.keys import Namespace, event_item_of
from streams.store import Delta, Epoch, EpochChanged, Position

log = logging.getLogger(__name__)

READS_AT_ONCE = 64
"""Group reads under way per process; the others wait their turn."""

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
        self._questions: dict[str, asyncio.Future[Position | StreamsError | None]] = {}
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._reads = asyncio.Semaphore(READS_AT_ONCE)

    @asynccontextmanager
    async def listening(
        self, stream: str, group: str, deliver: Callable[[Change], None], lost: Callable[[], None]
    ) -> AsyncIterator[None]:
        def handle(message: Msg) -> None:
            change = _live(message)
            if change is not None:
                deliver(change)

        subject = self._namespace.live_group(stream, group)
        async with self._connection.subscribed(subject, handle, lost):
            yield

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

    async def changes(self, stream: str, group: str, after: int, at_least: Position) -> Delta:
        async with self._reads:
            read = await Reader(self._connection, self._namespace, stream).group(
                group, after=after, at_least=at_least.revision
            )
        known = self._known.get(stream)
        if read.meta is not None and (
            known is None or parse_meta(read.meta.data, sequence(read.meta)) != known.meta
        ):
            self._known.pop(stream, None)
            raise EpochChanged
        if known is None or known.epoch != at_least.epoch:
            raise EpochChanged
        self._highest[stream] = max(read.upto, self._highest.get(stream, 0))
        return Delta(read.changes, Position(known.epoch, read.upto))

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
        elif end < self._highest[stream]:
            end = await self._set_back(stream, known, end)
            known = self._known[stream]
        self._highest[stream] = max(end, self._highest[stream])
        return Position(known.epoch, end)

    async def _set_back(self, stream: str, known: _Known, end: int) -> int:
        """The bucket ends before a position that was seen. Believe it when it stays so."""
        highest = self._highest[stream]
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


def _live(message: Msg) -> Change | None:
    # The subjects of another program's keys can look like those of events.
    is_committed = message.headers is not None and SEQUENCE in message.headers
    is_event, item_id = event_item_of(message.subject)
    if is_event and not is_committed:
        event = json_object(message.data)
        if event is None or not isinstance(event.get("type"), str):
            log.warning(
                "an event is not a JSON object with a type and is left out subject=%s", message.subject
            )
            return None
        return EventSent(item_id, message.data)
    if not is_committed:
        log.warning("a message on a live subject is not a committed change subject=%s", message.subject)
        return None
    return stored(message)
