"""Reads the newest records of a bucket, however many, and says how far the answer is complete.

Direct gets are answered by any replica, and a replica may be behind. Every
answer tells how far it had come (`Nats-UpTo-Sequence`); one that knows less
than it should is thrown away and asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from nats.aio.msg import Msg

from streams.access import Subscription
from streams.changes import Stored
from streams.errors import StoreUnavailable
from streams.jetstream.api import stream_info, subjects
from streams.jetstream.chunks import chunks_of
from streams.jetstream.connection import Connection
from streams.jetstream.questions import AnswerLost
from streams.jetstream.records import sequence, stored, subject_of
from streams.keys import Address, Namespace

PAGE_BYTES = 4 * 1024 * 1024
"""Most that one answer may hold. The server's own limit is what it may have waiting for a client,
and one such answer would make us a slow consumer."""

SCAN_RECORDS = 10_000
"""Of a group that is too large for one request, up to so many of the bucket's newest records are gone
through for its changes; beyond that, its names are listed, which costs the more the larger it is."""

RECENT_RECORDS = 256
"""Records of a bucket that are read at once, whatever they are of: some milliseconds of work."""

RECENT_BYTES = 1024 * 1024
"""Most that they may hold, so that one of them more than that comes at once."""

ATTEMPTS = 40
SCAN_ATTEMPTS = 7
"""The last record that a scan waits for may be a marker that has expired: then it never comes."""

DOUBTFUL_ATTEMPT = 12
"""With this one, after about 1.5 s, the leader is asked whether waiting can help."""

_TOO_MANY = "413"
_NONE = "404"
_END = "204"
_NOBODY = "503"


class SetBack(StoreUnavailable):
    """The bucket ends before what is known to have been written: it was made anew, or restored."""

    def __init__(self, stream: str, end: int, at_least: int) -> None:
        self.end = end
        super().__init__(f"the bucket of stream {stream!r} ends at {end}, before {at_least}: it was set back")


@dataclass(slots=True)
class Read:
    """What a read found, in one group or in many."""

    records: list[Msg] = field(default_factory=list)
    """The newest of every key, ascending by sequence."""
    meta: Msg | None = None
    """The bucket's own record, where it changed."""
    upto: int = 0
    """Complete up to this sequence."""
    more: int = 0
    """How many records there are above it, where not all were asked for."""

    @property
    def changes(self) -> list[Stored]:
        """What the records mean. Each is looked into every time."""
        return [change for record in self.records if (change := stored(record))]

    def take(self, message: Msg, meta: str) -> None:
        if subject_of(message) == meta:
            self.meta = message
        else:
            self.records.append(message)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one bucket."""

    connection: Connection
    namespace: Namespace
    stream: str

    async def room(self, room: Subscription, *, after: int, at_least: int) -> Read:
        """The newest record of every item of a room that changed after `after`, complete to `at_least` or
        further.

        Raises:
            SetBack: The bucket has not come as far as `at_least`.
            StoreUnavailable: No replica that knows enough answered.
            UnknownStream: There is no such bucket.
        """
        everything = self._subjects_of(room)
        read = await self._newest([everything], after, at_least)
        if read is None and after and at_least - after <= SCAN_RECORDS:
            read = await self._scanned(everything.removesuffix("*"), after, at_least)
        return read or await self._by_names(everything, after, at_least)

    async def rooms(self, rooms: Sequence[Subscription], *, after: int, at_least: int) -> Read:
        """What `room` finds, of several at once: in one request where the server allows it.

        Raises: As `room`.
        """
        if len(rooms) == 1:
            return await self.room(rooms[0], after=after, at_least=at_least)
        wanted = [self._subjects_of(room) for room in rooms]
        if (read := await self._newest(wanted, after, at_least)) is not None:
            return read
        middle = len(rooms) // 2
        first = await self.rooms(rooms[:middle], after=after, at_least=at_least)
        second = await self.rooms(rooms[middle:], after=after, at_least=at_least)
        records = sorted(first.records + second.records, key=sequence)
        return Read(records, second.meta or first.meta, min(first.upto, second.upto))

    async def recent(self, *, after: int, at_least: int) -> Read | None:
        """The next records of the bucket after `after`, as many as are read at once.

        Where there are no `more`, they go to `at_least` or further: whoever
        has that record, or a newer one, has all before it. None when that
        cannot be told, as where the newest record vanished without a trace.

        Raises:
            StoreUnavailable: There is no connection.
        """
        # Not only the bucket's own subjects, which are all there are: those the server counts for every page.
        request = {
            "seq": after + 1,
            "next_by_subj": ">",
            "batch": RECENT_RECORDS,
            "max_bytes": RECENT_BYTES,
        }
        meta, read = self.namespace.meta(self.stream), Read()
        for attempt in range(SCAN_ATTEMPTS):
            page = await self._asked(request)
            if page is not None and page.messages:
                upto = sequence(page.messages[-1])
                if page.more or upto >= at_least:
                    for message in page.messages:
                        read.take(message, meta)
                    read.upto, read.more = upto, page.more
                    return read
            await _pause(attempt)
        return None

    async def record(self, subject: str, *, at_least: int) -> Msg | None:
        """The newest record of one subject, as a replica has it that knows `at_least`.

        Raises: As `room`.
        """
        found: Msg | None = None
        async for page in self._pages([self.namespace.meta(self.stream), subject], 0, at_least):
            for message in page.messages:
                if subject_of(message) == subject:
                    found = message
        return found

    async def records(self, wanted: Sequence[str]) -> AsyncIterator[Msg]:
        """The newest records of any number of subjects, in no particular order."""
        meta = self.namespace.meta(self.stream)
        for chunk in chunks_of(wanted):
            async for page in self._pages([meta, *chunk], 0, 0):
                for message in page.messages:
                    if subject_of(message) != meta:
                        yield message

    def _subjects_of(self, room: Subscription) -> str:
        if room.id is None:
            return self.namespace.group_items(room.stream, room.group)
        return self.namespace.item(Address(room.stream, room.group, room.id))

    async def _newest(self, wanted: Sequence[str], after: int, at_least: int) -> Read | None:
        """The newest records of some subjects; None when they are more than the server allows."""
        meta, read = self.namespace.meta(self.stream), Read()
        try:
            async for page in self._pages([meta, *wanted], after, at_least):
                # The first page counts: what changed since then came up again later, or comes live.
                read.upto = read.upto or page.upto
                for message in page.messages:
                    read.take(message, meta)
        except _TooMany:
            return None
        return read

    async def _by_names(self, everything: str, after: int, at_least: int) -> Read:
        names, upto = await subjects(self.connection, self.namespace, self.stream, everything)
        # Items that came after the names were listed are not in: complete up to there only.
        whole = Read(upto=max(at_least, upto))
        for chunk in chunks_of(names):
            part = await self._newest(chunk, after, whole.upto)
            if part is None:
                raise StoreUnavailable(
                    f"{everything} cannot be read in parts: the server refuses {len(chunk)} names"
                )
            whole.records += part.records
            whole.meta = part.meta or whole.meta
        whole.records.sort(key=sequence)
        return whole

    async def _scanned(self, prefix: str, after: int, at_least: int) -> Read | None:
        """A group's changes among all of the bucket; None when it cannot be told whether these are all."""
        found, meta = dict[str, Msg](), None
        while (page := await self.recent(after=after, at_least=at_least)) is not None:
            after, meta = page.upto, page.meta or meta
            for message in page.records:
                subject = subject_of(message)
                if subject.startswith(prefix):
                    # An item that changed again between two pages comes twice, with the newer one last.
                    found[subject] = message
            # To the end, not to `at_least`: what was overwritten since is behind that.
            if not page.more:
                return Read(sorted(found.values(), key=sequence), meta, after)
        return None

    async def _pages(self, wanted: Sequence[str], after: int, at_least: int) -> AsyncIterator[_Page]:
        """All pages of one request.

        Raises:
            _TooMany: It matches more subjects than the server allows.
        """
        start = after + 1
        while True:
            page = await self._page(wanted, start, at_least)
            # A replica that knows less than the one before it would leave a hole.
            at_least = max(at_least, page.upto)
            yield page
            if not page.more:
                return
            start = sequence(page.messages[-1]) + 1

    async def _page(self, wanted: Sequence[str], start: int, at_least: int) -> _Page:
        request = {"multi_last": list(wanted), "seq": start, "max_bytes": PAGE_BYTES}
        for attempt in range(ATTEMPTS):
            page = await self._asked(request, is_first=attempt == 0)
            if page is not None and page.upto >= at_least and (page.messages or not page.more):
                return page
            if attempt == DOUBTFUL_ATTEMPT:
                await self._check_hope(at_least)
            # A replica that is behind, an election, a page that lost a message: ask again, a little later.
            await _pause(attempt)
        # Tells a bucket that is gone from one that nobody serves just now.
        await stream_info(self.connection, self.namespace, self.stream)
        raise StoreUnavailable(f"no replica of stream {self.stream!r} that knows enough answers")

    async def _asked(self, request: dict[str, Any], *, is_first: bool = False) -> _Page | None:
        """One whole answer, or None when it was not, or nobody gave one."""
        subject = f"$JS.API.DIRECT.GET.{self.namespace.bucket_stream(self.stream)}"
        try:
            *messages, end = await self.connection.request_many(subject, orjson.dumps(request), _is_status)
        except AnswerLost:
            return None
        headers = end.headers or {}
        match headers.get("Status"):
            case status if status == _TOO_MANY:
                raise _TooMany
            case status if status == _NOBODY and is_first:
                await self._check_hope(0)
            case status if status == _NONE:
                return _Page([], 0, 0)
            case status if status == _END:
                if not messages or sequence(messages[-1]) == int(headers["Nats-Last-Sequence"]):
                    upto = int(headers.get("Nats-UpTo-Sequence", 0))
                    return _Page(messages, upto, int(headers["Nats-Num-Pending"]))
        return None

    async def _check_hope(self, at_least: int) -> None:
        """Waiting helps where there is no leader just now, not where a bucket is gone or was set back."""
        try:
            info = await stream_info(self.connection, self.namespace, self.stream)
        except StoreUnavailable:
            return
        end = info["state"]["last_seq"]
        if end < at_least:
            raise SetBack(self.stream, end, at_least)


@dataclass(frozen=True, slots=True)
class _Page:
    messages: list[Msg]
    upto: int
    """What the replica knew that answered. 0: it does not say."""
    more: int


class _TooMany(Exception):
    """A request matches more subjects than the server allows."""


async def _pause(attempt: int) -> None:
    await asyncio.sleep(min(0.25, 0.002 * 2**attempt))


def _is_status(message: Msg) -> bool:
    return not message.data and "Status" in (message.headers or {})
