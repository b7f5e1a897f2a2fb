"""Reads the newest records of a group, however many, and says how far the answer is complete.

Direct gets are answered by any replica, and a replica may be behind. Every
answer tells how far it had come (`Nats-UpTo-Sequence`); one that knows less
than it should is thrown away and asked for again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import orjson
from nats.aio.msg import Msg

from streams.errors import StoreUnavailable
from streams.jetstream.bucket import stream_info
from streams.jetstream.connection import AnswerLost, Connection
from streams.jetstream.records import sequence
from streams.keys import Namespace

PAGE_BYTES = 4 * 1024 * 1024
"""Most that one answer may hold. The server's own limit is what it may have waiting for a client,
and one such answer would make us a slow consumer."""

NAMES_PER_REQUEST = 1000
"""The server refuses requests that match more than 1024 subjects."""

REQUEST_BYTES = 512 * 1024
"""Longest request: a thousand of the longest names would not fit into a message."""

ATTEMPTS = 40

DOUBTFUL_ATTEMPT = 12
"""With this one, after about 1.5 s, the leader is asked whether waiting can help."""

_TOO_MANY = "413"
_END = "204"
_NOBODY = "503"


class SetBack(StoreUnavailable):
    """The bucket ends before what is known to have been written: it was made anew, or restored."""

    def __init__(self, stream: str, end: int, at_least: int) -> None:
        self.end = end
        super().__init__(f"the bucket of stream {stream!r} ends at {end}, before {at_least}: it was set back")


@dataclass(frozen=True, slots=True)
class Records:
    """Newest records, ascending by sequence, `_meta` among them where it changed."""

    messages: list[Msg]
    upto: int
    """Complete up to this sequence."""


async def read_group(
    connection: Connection, namespace: Namespace, stream: str, group: str, *, after: int, at_least: int
) -> Records:
    """The newest record of every item that changed after sequence `after`, complete to `at_least` or further.

    Raises:
        SetBack: The bucket has not come as far as `at_least`.
        StoreUnavailable: No replica that knows enough answered.
        UnknownStream: There is no such bucket.
    """
    meta, everything = namespace.meta(stream), namespace.group_items(stream, group)
    records = await _pages(connection, namespace, stream, [meta, everything], after, at_least)
    if records is not None:
        return records
    names, upto = await _names(connection, namespace, stream, everything)
    messages: list[Msg] = []
    at_least = max(at_least, upto)
    for chunk in _chunks(names):
        part = await _pages(connection, namespace, stream, [meta, *chunk], after, at_least)
        if part is None:
            raise StoreUnavailable(
                f"{stream}/{group} cannot be read in parts: the server refuses {len(chunk)} names"
            )
        messages += part.messages
    messages.sort(key=sequence)
    # Items that came after the names were listed are not in: complete up to there only.
    return Records(messages, at_least)


async def _pages(
    connection: Connection, namespace: Namespace, stream: str, subjects: list[str], after: int, at_least: int
) -> Records | None:
    """All pages of one request; None when it matches more subjects than the server allows."""
    messages: list[Msg] = []
    start, upto = after + 1, 0
    while True:
        page = await _page(connection, namespace, stream, subjects, start, max(at_least, upto))
        if page is None:
            return None
        # The first page counts: what changed since then came up again later, or comes live.
        upto = upto or page.upto
        messages += page.messages
        if not page.more:
            return Records(messages, upto)
        start = sequence(page.messages[-1]) + 1


@dataclass(frozen=True, slots=True)
class _Page:
    messages: list[Msg]
    upto: int
    more: bool


async def _page(
    connection: Connection, namespace: Namespace, stream: str, subjects: list[str], start: int, at_least: int
) -> _Page | None:
    request = orjson.dumps({"multi_last": subjects, "seq": start, "max_bytes": PAGE_BYTES})
    subject = f"$JS.API.DIRECT.GET.{namespace.bucket_stream(stream)}"
    for attempt in range(ATTEMPTS):
        try:
            *messages, end = await connection.request_many(subject, request, _is_status)
        except AnswerLost:
            continue
        headers = end.headers or {}
        match headers.get("Status"):
            case status if status == _TOO_MANY:
                return None
            case status if status == _END:
                page = _Page(messages, int(headers["Nats-UpTo-Sequence"]), headers["Nats-Num-Pending"] != "0")
                whole = not messages or sequence(messages[-1]) == int(headers["Nats-Last-Sequence"])
                if whole and page.upto >= at_least and (messages or not page.more):
                    return page
            case status if status == _NOBODY and attempt == 0:
                await _check_hope(connection, namespace, stream, 0)
        if attempt == DOUBTFUL_ATTEMPT:
            await _check_hope(connection, namespace, stream, at_least)
        # A replica that is behind, an election, a page that lost a message: ask again, a little later.
        await asyncio.sleep(min(0.25, 0.002 * 2**attempt))
    # Tells a bucket that is gone from one that nobody serves just now.
    await stream_info(connection, namespace, stream)
    raise StoreUnavailable(f"no replica of stream {stream!r} that knows enough answers")


async def _check_hope(connection: Connection, namespace: Namespace, stream: str, at_least: int) -> None:
    """Waiting helps where there is no leader just now, not where a bucket is gone or was set back."""
    try:
        info = await stream_info(connection, namespace, stream)
    except StoreUnavailable:
        return
    end = info["state"]["last_seq"]
    if end < at_least:
        raise SetBack(stream, end, at_least)


async def _names(
    connection: Connection, namespace: Namespace, stream: str, subjects: str
) -> tuple[list[str], int]:
    """Every subject of a group, and the leader's position before the first was listed."""
    names: list[str] = []
    position = 0
    while True:
        request = {"subjects_filter": subjects, "offset": len(names)}
        info = await stream_info(connection, namespace, stream, request)
        position = position or info["state"]["last_seq"]
        page = info["state"].get("subjects") or {}
        names += page
        if not page or len(names) >= info.get("total", 0):
            return names, position


def _chunks(names: list[str]) -> list[list[str]]:
    chunks: list[list[str]] = []
    size = REQUEST_BYTES
    for name in names:
        if size + len(name) + 3 > REQUEST_BYTES or len(chunks[-1]) >= NAMES_PER_REQUEST:
            chunks.append([])
            size = 0
        chunks[-1].append(name)
        size += len(name) + 3
    return chunks


def _is_status(message: Msg) -> bool:
    return not message.data and "Status" in (message.headers or {})
