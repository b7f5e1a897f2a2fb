"""The bucket behind a stream: what it must be, and how it is made.

One bucket per stream, history 1, its committed writes republished for the
gateways. Beside the items stands one record of the bucket's own, `_meta`:

    {"v": 1, "epoch": "<random>", "base": <ms since 1970>, "guarded": <bool>}

It has the layout's version, what clients' positions and timestamps count
from, and whether a rule says who may see the stream. Because it is part of
every read, an answer is never empty, and so always says how far the replica
that gave it had come.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson
from nats.aio.msg import Msg

from streams.changes import MAX_VALUE_BYTES, json_object
from streams.errors import BucketNotUsable, Contention, StoreUnavailable
from streams.jetstream.api import api, asked_twice, error_code, reason, stream_info
from streams.jetstream.connection import Connection, NobodyAnswers
from streams.jetstream.questions import AnswerLost
from streams.jetstream.records import EXPECTED, MARKER_SECONDS, SEQUENCE, TTL
from streams.keys import LAYOUT_VERSION, Namespace

_NAME_IN_USE = 10058
_WRONG_LAST_SEQUENCE = 10071

SERVED_SECONDS = 5.0
"""How long a bucket that is there may be without a server that leads it, before that is an error."""

ATTEMPTS = 10
"""How often provisioning writes the record again when others have changed it meanwhile."""


@dataclass(frozen=True, slots=True)
class Meta:
    """The bucket's own record."""

    version: int
    epoch: str
    base_ms: int
    is_guarded: bool
    """Whether a rule must be asked who may see the stream. So too where the record does not say."""
    revision: int


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What provisioning did to one bucket."""

    stream: str
    bucket: str
    outcome: Literal["created", "updated", "unchanged"]


async def provision(
    connection: Connection,
    namespace: Namespace,
    stream: str,
    *,
    replicas: int = 1,
    guarded: bool = False,
    is_restored: bool = False,
) -> Provisioned:
    """Make the bucket of a stream, or bring it up to date. Safe to run again, and by several at once.

    `guarded` says that nobody may see the stream whom a rule does not let.
    `is_restored` says that the bucket is an older copy: what clients know of
    it is void, and they start over, which nobody could tell them otherwise
    once it has come as far again as they have seen it.

    Raises:
        BucketNotUsable: It has a newer layout than this release knows.
        StoreUnavailable: NATS did not answer.
        Contention: Others changed its record all the time.
    """
    wanted, bucket = _wanted(namespace, stream, replicas), namespace.bucket(stream)
    outcome: Literal["created", "updated", "unchanged"] = "unchanged"
    answer = await api(connection, f"STREAM.CREATE.{wanted['name']}", wanted)
    if error_code(answer) == _NAME_IN_USE:
        meta = await _leaders_meta(connection, namespace, stream)
        if meta is not None and meta.version > LAYOUT_VERSION:
            raise _newer(bucket, meta)
        outcome = await _update(connection, wanted)
    elif "error" in answer:
        raise BucketNotUsable(f"the bucket of stream {stream!r} cannot be made: {reason(answer)}")
    now_ms = time.time_ns() // 1_000_000
    first = Meta(LAYOUT_VERSION, secrets.token_hex(6), now_ms, guarded, revision=0)
    # The server says "created" of one that was there and is the same, too.
    if await _write_meta(connection, namespace, stream, first) and outcome == "unchanged":
        outcome = "created"
    if await _correct(connection, namespace, stream, guarded, is_restored) and outcome == "unchanged":
        outcome = "updated"
    return Provisioned(stream, bucket, outcome)


async def read_meta(connection: Connection, namespace: Namespace, stream: str) -> Meta | None:
    """The bucket's own record as any replica has it; None when there is none.

    Raises:
        UnknownStream: There is no such bucket.
        StoreUnavailable: Nobody answered.
    """
    subject = f"$JS.API.DIRECT.GET.{namespace.bucket_stream(stream)}.{namespace.meta(stream)}"
    try:
        answer = await asked_twice(connection, subject)
    except (NobodyAnswers, AnswerLost) as error:
        # Tells a stream that does not exist from one that nobody serves just now.
        await stream_info(connection, namespace, stream)
        raise StoreUnavailable(f"the bucket of stream {stream!r} does not answer reads") from error
    headers = answer.headers or {}
    return parse_meta(answer.data, int(headers[SEQUENCE])) if SEQUENCE in headers else None


def parse_meta(data: bytes, revision: int) -> Meta | None:
    match json_object(data):
        case {"v": int(version)} if version > LAYOUT_VERSION:
            # What else such a record has is not known here.
            return Meta(version, "", 0, True, revision)
        case {"v": int(version), "epoch": str(epoch), "base": int(base), **rest}:
            return Meta(version, epoch, base, rest.get("guarded") is not False, revision)
        case _:
            return None


def checked_meta(namespace: Namespace, stream: str, meta: Meta | None) -> Meta:
    """`meta`, when this release can use the bucket.

    Raises:
        BucketNotUsable: The record is missing, or of a newer layout.
    """
    if meta is None:
        raise BucketNotUsable(
            f"bucket {namespace.bucket(stream)!r} has no usable `_meta` record; provision the stream again"
        )
    if meta.version > LAYOUT_VERSION:
        raise _newer(namespace.bucket(stream), meta)
    return meta


def _wanted(namespace: Namespace, stream: str, replicas: int) -> dict[str, Any]:
    bucket = namespace.bucket(stream)
    return {
        "name": namespace.bucket_stream(stream),
        "description": f"items of stream {stream}",
        "subjects": [namespace.items(stream)],
        "retention": "limits",
        "storage": "file",
        "num_replicas": replicas,
        "discard": "new",
        "duplicate_window": 120 * 10**9,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "max_consumers": -1,
        # Headers count too.
        "max_msg_size": MAX_VALUE_BYTES + 8192,
        "max_msgs_per_subject": 1,
        "allow_direct": True,
        "deny_delete": True,
        "allow_rollup_hdrs": True,
        "allow_msg_ttl": True,
        "subject_delete_marker_ttl": MARKER_SECONDS * 10**9,
        "republish": {"src": f"$KV.{bucket}.>", "dest": namespace.live(stream)},
    }


async def _update(connection: Connection, wanted: dict[str, Any]) -> Literal["updated", "unchanged"]:
    info = await api(connection, f"STREAM.INFO.{wanted['name']}", {})
    now = info.get("config", {})
    # What somebody chose for this deployment (replicas, placement, limits) stays.
    kept = {key: now[key] for key in ("num_replicas", "storage", "max_bytes") if key in now}
    merged = {**now, **wanted, **kept}
    if merged == now:
        return "unchanged"
    answer = await api(connection, f"STREAM.UPDATE.{wanted['name']}", merged)
    if "error" in answer:
        raise BucketNotUsable(f"{wanted['name']} cannot be brought up to date: {reason(answer)}")
    return "updated"


async def _leaders_meta(connection: Connection, namespace: Namespace, stream: str) -> Meta | None:
    """As `read_meta`, but of the leader, and also where direct reads are switched off."""
    request = {"last_by_subj": namespace.meta(stream)}
    answer = await api(connection, f"STREAM.MSG.GET.{namespace.bucket_stream(stream)}", request)
    message = answer.get("message", {})
    return parse_meta(base64.b64decode(message.get("data", "")), message.get("seq", 0))


async def _correct(
    connection: Connection, namespace: Namespace, stream: str, guarded: bool, is_restored: bool
) -> bool:
    """Let the bucket's own record say whether there is a rule, and begin an epoch where that is asked for.

    Whether it said something else.
    """
    for _ in range(ATTEMPTS):
        meta = await _leaders_meta(connection, namespace, stream)
        if meta is None:
            raise BucketNotUsable(
                f"bucket {namespace.bucket(stream)!r} has no usable `_meta` record; another program has "
                "written over it, so put it back or delete the bucket"
            )
        if meta.version > LAYOUT_VERSION:
            raise _newer(namespace.bucket(stream), meta)
        wanted = replace(meta, is_guarded=guarded)
        if is_restored:
            # Timestamps count from now on, or Motia's clients would take the old state for older news.
            base_ms = max(meta.base_ms, time.time_ns() // 1_000_000)
            wanted = replace(wanted, epoch=secrets.token_hex(6), base_ms=base_ms)
        if wanted == meta:
            return False
        # Without a new epoch, positions mean what they meant.
        if await _write_meta(connection, namespace, stream, wanted):
            return True
    raise Contention(f"the record of bucket {namespace.bucket(stream)!r}", ATTEMPTS)


async def _write_meta(connection: Connection, namespace: Namespace, stream: str, meta: Meta) -> bool:
    """Write the bucket's own record over revision `meta.revision` of it (0: none). Whether that was it."""
    record = {"v": meta.version, "epoch": meta.epoch, "base": meta.base_ms, "guarded": meta.is_guarded}
    # Never expires.
    headers = {EXPECTED: str(meta.revision), TTL: "never"}
    try:
        message = await _asked_until_served(connection, namespace.meta(stream), orjson.dumps(record), headers)
    except (NobodyAnswers, AnswerLost) as error:
        why = str(error) or "no server leads it"
        raise StoreUnavailable(f"the bucket of stream {stream!r} cannot be written: {why}") from error
    answer = orjson.loads(message.data)
    if "error" in answer and error_code(answer) != _WRONG_LAST_SEQUENCE:
        raise BucketNotUsable(f"the bucket of stream {stream!r} cannot be written: {reason(answer)}")
    return "error" not in answer


async def _asked_until_served(
    connection: Connection, subject: str, data: bytes, headers: dict[str, str]
) -> Msg:
    """In a cluster, a bucket that was just made is served only when one of its servers leads it."""
    until = time.monotonic() + SERVED_SECONDS
    while True:
        try:
            return await connection.request(subject, data, headers=headers)
        except NobodyAnswers:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.05)


def _newer(bucket: str, meta: Meta) -> BucketNotUsable:
    return BucketNotUsable(
        f"bucket {bucket!r} has layout {meta.version}, and this release knows {LAYOUT_VERSION}; "
        "update the library"
    )
