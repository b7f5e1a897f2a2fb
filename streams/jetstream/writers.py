"""Who wrote a key last, as the key's own record tells it. Pure.

A process has one write of a key under way at most, so the last write of each
process is all that anybody has to find to know what became of its own. Every
record carries those of the others on, the latest first, and says from where
on they are complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from streams.jetstream.records import EXPECTED, MESSAGE_ID

HEADER = "Streams-Writers"
"""`<since> <operation>@<revision> <operation>@<revision> ...`"""

MAX_WRITERS = 8
"""Other processes that one record names."""


Last: TypeAlias = tuple[str, int]
"""An operation, and the revision that it made."""


@dataclass(frozen=True, slots=True)
class Writers:
    """What is known of the writes of a key."""

    since: int
    """Of every process that wrote after this revision, the last write is known."""
    newest: Last | None
    """The one that made the newest record; None: another program's, or there is none."""
    others: tuple[Last, ...] = ()
    """The last ones of other processes, the latest first."""

    def last(self) -> tuple[Last, ...]:
        """The last write of every process that is known of, the latest first."""
        return self.others if self.newest is None else (self.newest, *self.others)

    def revision_of(self, operation: str) -> int | None:
        return next((revision for name, revision in self.last() if name == operation), None)

    def before(self, operation: str) -> tuple[int, tuple[Last, ...]]:
        """`since` and `others` of a record that `operation` puts over this one."""
        process = process_of(operation)
        if self.newest is None or (not self.others and process_of(self.newest[0]) == process):
            return self.since, self.others
        others = [last for last in self.last() if process_of(last[0]) != process]
        since = max([self.since, *(revision for _, revision in others[MAX_WRITERS:])])
        return since, tuple(others[:MAX_WRITERS])


NOBODY = Writers(0, None)
"""The key has no record."""


def process_of(operation: str) -> str:
    """Operations are numbered per process: `<process>.<number>`."""
    return operation.partition(".")[0]


def header(since: int, others: tuple[Last, ...], expected: int) -> str | None:
    """What a record says that replaces revision `expected`; None: nothing needs saying."""
    if not others:
        return None if since == expected else str(since)
    return " ".join([str(since), *(f"{operation}@{revision}" for operation, revision in others)])


def writers_in(headers: Mapping[str, str], revision: int) -> Writers:
    """What a record says. Of one that another program wrote, nothing before it is known."""
    operation, expected = headers.get(MESSAGE_ID), headers.get(EXPECTED, "")
    if operation is None or not expected.isdecimal():
        return Writers(revision, None)
    since, *named = headers.get(HEADER, expected).split(" ")
    others = []
    for entry in named:
        known, _, at = entry.rpartition("@")
        if not at.isdecimal():
            return Writers(revision, None)
        others.append((known, int(at)))
    return Writers(int(since) if since.isdecimal() else revision, (operation, revision), tuple(others))
