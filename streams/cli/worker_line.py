"""What a gateway's process and its workers say to each other. Pure.

One JSON document a line. From a worker: once what it knows, when it is
ready; then an answer to every question. A question is a path of its internal
listener, so that a worker answers as a gateway with one process does.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TypeAlias

import orjson

MAX_LINE_BYTES = 16 * 1024 * 1024
"""All numbers of a worker are some 20 KB."""


@dataclass(frozen=True, slots=True)
class Question:
    """What it is asked."""

    number: int
    """An answer says which question it is to: one that comes too late is not taken for another's."""
    path: str


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker takes clients."""

    known: str
    """What it knows of them, in words."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered."""

    number: int
    status: int
    body: str


Said: TypeAlias = Ready | Answer


def line_of(said: Question | Said) -> bytes:
    return orjson.dumps(asdict(said)) + b"\n"


def question_in(line: bytes) -> Question:
    return Question(**orjson.loads(line))


def said_in(line: bytes) -> Said:
    said = orjson.loads(line)
    return Ready(**said) if "known" in said else Answer(**said)
