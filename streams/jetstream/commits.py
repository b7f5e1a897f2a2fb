"""One compare-and-set, until it is certain what became of it.

A write whose answer was lost may have been done, or may still be done. It is
published again as it is: the compare-and-set and the message id see to it
that it is done once. When it is refused then, the item itself tells: its
record names the last write of every process (`writers`). What cannot be told
is raised as `OutcomeUnknown`, and never tried in another form.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import Any

import orjson

from streams.errors import BucketNotUsable, OutcomeUnknown, StoreUnavailable, UnknownStream
from streams.jetstream.api import wait_for_leader
from streams.jetstream.connection import Connection, NobodyAnswers
from streams.jetstream.questions import AnswerLost
from streams.jetstream.reader import Reader
from streams.jetstream.records import EXPECTED, MARKER_SECONDS, MESSAGE_ID, sequence
from streams.jetstream.writers import writers_in
from streams.keys import Address, Namespace

SECONDS = 10.0
"""How long it is tried: an election takes about five."""

_CONFLICTS = frozenset({10071, 10164})
_LAST_SEQUENCE = re.compile(r"wrong last sequence: (\d+)")


@dataclass(eq=False, slots=True)
class Commit:
    """A write that is decided."""

    address: Address
    value: bytes
    headers: dict[str, str]
    decided_at: float = field(default_factory=time.time)
    """Seconds since 1970."""
    is_sent: bool = False
    """It was sent, and no answer says that it was not done: it may be, or may be yet."""


class Commits:
    """Publishes commits on one connection."""

    def __init__(self, connection: Connection, namespace: Namespace) -> None:
        self._connection, self._namespace = connection, namespace

    async def publish(self, commit: Commit) -> int | None:
        """Its revision; None when another write was first, and this one certainly was not done.

        When this was cancelled, calling it again finds out what happened.

        Raises:
            StoreUnavailable, BucketNotUsable: Nothing was written.
            OutcomeUnknown: It may have been written, and nothing shows whether it was.
        """
        subject = self._namespace.item(commit.address)
        deadline = asyncio.get_running_loop().time() + SECONDS
        while True:
            was_sent, commit.is_sent = commit.is_sent, True
            try:
                message = await self._connection.request(subject, commit.value, headers=commit.headers)
            except AnswerLost as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise OutcomeUnknown(commit.address) from error
            except NobodyAnswers as error:
                commit.is_sent = was_sent
                await self._wait(commit, deadline, error)
            except StoreUnavailable as error:
                commit.is_sent = was_sent
                raise self._failed(commit, error) from error
            else:
                answer: dict[str, Any] = orjson.loads(message.data)
                if "error" not in answer:
                    return int(answer["seq"])
                code, problem = answer["error"].get("err_code"), answer["error"].get("description", "")
                if code in _CONFLICTS:
                    return await self._traced(commit, problem) if was_sent else None
                commit.is_sent = was_sent
                refused = BucketNotUsable(f"{commit.address} was not written: {problem}")
                if answer["error"].get("code") != 503:
                    raise self._failed(commit, refused)
                await self._wait(commit, deadline, refused)

    async def _wait(self, commit: Commit, deadline: float, error: Exception) -> None:
        try:
            await wait_for_leader(self._connection, self._namespace, commit.address.stream, deadline, error)
        except (StoreUnavailable, UnknownStream) as problem:
            raise self._failed(commit, problem) from error

    async def _traced(self, commit: Commit, refusal: str) -> int | None:
        """What became of a write that was sent before, and is refused now."""
        found = _LAST_SEQUENCE.search(refusal)
        reader = Reader(self._connection, self._namespace, commit.address.stream)
        try:
            record = await reader.record(
                self._namespace.item(commit.address), at_least=int(found[1]) if found else 0
            )
        except (StoreUnavailable, UnknownStream) as error:
            raise OutcomeUnknown(commit.address) from error
        if record is None:
            raise OutcomeUnknown(commit.address)
        writers = writers_in(record.headers or {}, sequence(record))
        revision = writers.revision_of(commit.headers[MESSAGE_ID])
        # A process that was frozen for long may have missed a marker's whole life, and what it told.
        is_old = time.time() - commit.decided_at > MARKER_SECONDS / 2
        if revision is None and (is_old or writers.since > int(commit.headers[EXPECTED])):
            raise OutcomeUnknown(commit.address)
        return revision

    def _failed(self, commit: Commit, error: Exception) -> Exception:
        return OutcomeUnknown(commit.address) if commit.is_sent else error
