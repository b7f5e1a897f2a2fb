"""What JetStream says of buckets when it is asked: its API, and lists made of its answers."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
from nats.aio.msg import Msg

from streams.errors import StoreUnavailable, UnknownStream
from streams.jetstream.connection import ANSWER_SECONDS, Connection, NobodyAnswers
from streams.jetstream.questions import AnswerLost
from streams.keys import INTERNAL_STREAMS, Namespace

LISTING_SECONDS = 60.0
"""How long a list of names may take: half a minute where there are a million."""

_NOT_FOUND = 10059


@dataclass(frozen=True, slots=True)
class Existing:
    """A bucket that is there."""

    stream: str
    bucket: str
    items_at_most: int
    """Items, and those that were deleted within the last hour."""


async def api(
    connection: Connection, what: str, request: dict[str, Any], *, seconds: float = ANSWER_SECONDS
) -> dict[str, Any]:
    """Ask the API of JetStream. The answer may say that it is an error.

    Raises:
        StoreUnavailable: Nobody answered.
    """
    try:
        answer = await asked_twice(connection, f"$JS.API.{what}", orjson.dumps(request), seconds)
    except NobodyAnswers as error:
        raise StoreUnavailable(
            f"NATS at {connection.url} has no JetStream (yet): start nats-server with `--jetstream`"
        ) from error
    except AnswerLost as error:
        raise StoreUnavailable(f"NATS at {connection.url} did not answer {what}: {error}") from error
    value: dict[str, Any] = orjson.loads(answer.data)
    return value


async def asked_twice(
    connection: Connection, subject: str, data: bytes = b"", seconds: float = ANSWER_SECONDS
) -> Msg:
    """Ask what may be done twice: the connection may just have been renewed.

    Raises: As `Connection.request`.
    """
    try:
        return await connection.request(subject, data, seconds=seconds)
    except AnswerLost:
        return await connection.request(subject, data, seconds=seconds)


async def stream_info(
    connection: Connection,
    namespace: Namespace,
    stream: str,
    request: dict[str, Any] | None = None,
    *,
    seconds: float = ANSWER_SECONDS,
) -> dict[str, Any]:
    """What the leader says of the bucket's stream.

    Raises:
        UnknownStream: There is no such bucket.
        StoreUnavailable: No leader answered.
    """
    asked = f"STREAM.INFO.{namespace.bucket_stream(stream)}"
    answer = await api(connection, asked, request or {}, seconds=seconds)
    if error_code(answer) == _NOT_FOUND:
        raise UnknownStream(stream)
    if "error" in answer:
        raise StoreUnavailable(f"the bucket of stream {stream!r} cannot be asked: {reason(answer)}")
    return answer


async def wait_for_leader(
    connection: Connection, namespace: Namespace, stream: str, deadline: float, error: Exception
) -> None:
    """A stream did not answer. Wait a little, as long as that can help: to `deadline` of the loop's clock.

    Raises:
        StoreUnavailable: It is too late.
        UnknownStream: There is no such bucket.
    """
    if asyncio.get_running_loop().time() > deadline:
        raise StoreUnavailable(
            f"stream {stream!r} has no leader at {connection.url}; nothing was written"
        ) from error
    await asyncio.sleep(random.uniform(0.05, 0.2))
    with suppress(StoreUnavailable):
        await stream_info(connection, namespace, stream)


async def subjects(
    connection: Connection, namespace: Namespace, stream: str, pattern: str
) -> tuple[list[str], int]:
    """Every subject that matches, and the leader's position before the first was listed.

    The leader makes a list of all of them for every 100,000 that it hands out.

    Raises: As `stream_info`.
    """
    names: list[str] = []
    position = 0
    while True:
        request = {"subjects_filter": pattern, "offset": len(names)}
        info = await stream_info(connection, namespace, stream, request, seconds=LISTING_SECONDS)
        position = position or info["state"]["last_seq"]
        page = info["state"].get("subjects") or {}
        names += page
        if not page or len(names) >= info.get("total", 0):
            return names, position


async def existing(connection: Connection, namespace: Namespace) -> list[Existing]:
    """The buckets of an application's streams that have a `_meta` record, by the names of the streams.

    Raises:
        StoreUnavailable: NATS did not answer.
    """
    names: list[str] = []
    while True:
        answer = await api(connection, "STREAM.NAMES", {"offset": len(names)})
        if "error" in answer:
            raise StoreUnavailable(f"the streams at {connection.url} cannot be listed: {reason(answer)}")
        page = answer.get("streams") or []
        names += page
        if not page or len(names) >= answer["total"]:
            break
    prefix, found = namespace.bucket_streams, []
    streams = {name.removeprefix(prefix) for name in names if name.startswith(prefix)} - INTERNAL_STREAMS
    for stream in sorted(streams):
        with suppress(UnknownStream):  # Deleted since it was listed.
            only_meta = {"subjects_filter": namespace.meta(stream)}
            state = (await stream_info(connection, namespace, stream, only_meta))["state"]
            if state.get("subjects"):
                found.append(Existing(stream, namespace.bucket(stream), state["messages"] - 1))
    return found


def error_code(answer: dict[str, Any]) -> int | None:
    error = answer.get("error")
    return error.get("err_code") if isinstance(error, dict) else None


def reason(answer: dict[str, Any]) -> str:
    return str(answer["error"].get("description", "no reason given"))
