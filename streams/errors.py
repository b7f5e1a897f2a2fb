"""Everything that can go wrong, as one tree.

StreamsError
├── InvalidName            a name cannot become part of a key
├── ItemRefused            an item does not fit its stream; nothing was written
├── OpRefused              an update operation cannot be applied; nothing was written
├── ItemDoesNotFit         a stored item no longer fits its model
├── EventRefused           an ephemeral event cannot be sent as it is
├── UnknownStream          no stream of that name exists
├── StoreNotBound          a stream was used where no store is bound to it
├── PreconditionFailed     an item is not what `if_absent`, `if_revision` or `before` say; nothing was written
├── StoreUnavailable       NATS cannot be reached; nothing was written
│   └── ServerNotUsable    NATS answers, and cannot be used as it is
│       ├── CredentialsRefused  it does not let us in
│       └── ServerTooOld   it is older than what is supported
├── CredentialsNotUsable   credentials for NATS are given in a way that cannot work
├── Contention             other writers won every time; nothing was written
├── OutcomeUnknown         the answer to a write was lost
├── BucketNotUsable        a bucket is missing its layout, or has a newer one
├── DefinitionRefused      a stream or step is declared wrongly
├── DiscoveryFailed        files that could not be loaded, all of them
├── DevFailed              `streams dev` or `streams serve` cannot start, and what to do about it
├── BuildFailed            `streams build` cannot make a package, and what to do about it
├── NotLetIn               a caller may not, or nobody can say who it is
├── StepTimedOut           a step took longer than its time-out
├── EventNotTaken          a function was given something that is no HTTP request
└── HttpError              a step's own answer: a status and a JSON body
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class StreamsError(Exception):
    """Base of everything this library raises on purpose."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence on what exists, and the likeliest name first."""
    names = sorted(known)
    if not names:
        return "there are none yet"
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    listed = ", ".join(names)
    return f"did you mean {close[0]!r}? There are: {listed}" if close else f"there are: {listed}"


class InvalidName(StreamsError, ValueError):
    """A stream, group or item name cannot become part of a key."""

    def __init__(self, kind: str, name: object, problem: str) -> None:
        self.kind, self.name = kind, name
        super().__init__(f"{kind} {_shortened(name)} {problem}")


class ItemRefused(StreamsError, ValueError):
    """An item does not fit its stream. Nothing was written."""

    def __init__(self, address: object, problem: str, fields: Sequence[str] = ()) -> None:
        self.address, self.fields = address, tuple(fields)
        super().__init__(f"{address} was not written: {problem}")


class OpRefused(StreamsError, ValueError):
    """An update operation cannot be applied. Nothing was written."""

    def __init__(self, index: int, code: str, problem: str) -> None:
        self.index, self.code, self.problem = index, code, problem
        super().__init__(f"operation {index} was refused ({code}): {problem}")


class ItemDoesNotFit(StreamsError):
    """A stored item no longer fits its stream's model."""

    def __init__(self, address: object, problem: str, fields: Sequence[str] = ()) -> None:
        self.address, self.fields = address, tuple(fields)
        super().__init__(
            f"{address} is stored in a form that its model no longer accepts: {problem}; "
            "give new fields a default, or write the item again"
        )


class EventRefused(StreamsError, ValueError):
    """An ephemeral event cannot be sent as it is."""


class UnknownStream(StreamsError, LookupError):
    """No stream of that name exists where it was looked for."""

    def __init__(self, name: str, known: Iterable[str] | None = None) -> None:
        self.name = name
        hint = did_you_mean(name, known) if known is not None else "it has no bucket yet: provision it first"
        super().__init__(f"there is no stream {name!r}; {hint}")


class StoreNotBound(StreamsError):
    """A stream was used where no store is bound to it."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"stream {name!r} is not bound to a store here: use it inside a step handler, "
            "or inside `async with streams.connected(url):`"
        )


class PreconditionFailed(StreamsError):
    """An item is not what the call said it must be. Nothing was written."""

    def __init__(self, address: object, problem: str) -> None:
        self.address = address
        super().__init__(f"{address} {problem}")


class StoreUnavailable(StreamsError):
    """NATS cannot be reached or has no leader. Nothing was written."""


class ServerNotUsable(StoreUnavailable):
    """NATS answers, but cannot be used as it is. Trying again does not help; the sentence says what does."""


class CredentialsRefused(ServerNotUsable):
    """NATS does not let us in."""


class ServerTooOld(ServerNotUsable):
    """NATS is older than the oldest release that has everything we need."""

    def __init__(self, url: str, version: str, oldest: str) -> None:
        self.url, self.version, self.oldest = url, version, oldest
        super().__init__(
            f"NATS at {url} is nats-server {version}, and Streams needs {oldest} or later; "
            "upgrade it, or name another server"
        )


class CredentialsNotUsable(StreamsError, ValueError):
    """Credentials for NATS cannot work as they are given: twice, by half, or in a file with none."""


class Contention(StreamsError):
    """Other writers won every attempt. Nothing was written."""

    def __init__(self, address: object, attempts: int) -> None:
        self.address, self.attempts = address, attempts
        super().__init__(
            f"{address} was changed by other writers {attempts} times in a row; "
            "nothing was written, try again"
        )


class OutcomeUnknown(StreamsError):
    """The answer to a write was lost: it may or may not have happened."""

    def __init__(self, address: object) -> None:
        self.address = address
        super().__init__(
            f"the answer to a write of {address} was lost; read the item to see whether it happened"
        )


class BucketNotUsable(StreamsError):
    """A bucket is missing its layout, or has one that is newer than this release."""


class DefinitionRefused(StreamsError, ValueError):
    """A stream or a step is declared in a way that cannot work."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a file could not be loaded."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class DiscoveryFailed(StreamsError):
    """Some files could not be loaded. Names every one of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  {problem}" for problem in problems)
        count = len(self.problems)
        super().__init__(f"{count} problem{'s' if count > 1 else ''} in the streams and steps:\n{lines}")


class DevFailed(StreamsError):
    """`streams dev` or `streams serve` cannot start. The sentence says what to do."""


class BuildFailed(StreamsError):
    """`streams build` cannot make a package. The sentence says what to do."""


class NotLetIn(StreamsError):
    """A caller may not have what it asks for, or nobody can say who it is.

    `code` and the sentence are for the caller and say nothing of why;
    `reason` is for the log.
    """

    def __init__(self, code: str, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(_NOT_LET_IN[code])


_NOT_LET_IN = {
    "TOKEN_REQUIRED": "a token is needed here: send `Authorization: Bearer <token>`",
    "TOKEN_REFUSED": "the token is not accepted; get a new one and come back",
    "TOKEN_REVOKED": "the token was revoked; get a new one and come back",
    "STREAM_ACCESS_DENIED": "you may not see this",
    "SEND_DENIED": "you may not send here",
    "AUTH_UNAVAILABLE": "it cannot be checked at present who you are; try again",
}


class StepTimedOut(StreamsError):
    """A step took longer than its `timeout_seconds`. What it wrote until then is written."""

    def __init__(self, step: str, seconds: float) -> None:
        self.step, self.seconds = step, seconds
        super().__init__(f"step {step} took longer than {seconds:g} s; what it wrote until then is written")


class EventNotTaken(StreamsError):
    """Whoever hosts functions gave one something that is no HTTP request."""


class HttpError(StreamsError):
    """Raise this in a step handler to answer with a status and a JSON body of your own."""

    def __init__(self, status: int, body: Any) -> None:
        self.status, self.body = status, body
        super().__init__(f"HTTP {status}: {body!r}")


def _shortened(name: object) -> str:
    text = repr(name)
    return text if len(text) <= 80 else f"{text[:76]}...'"
