"""What a caller over HTTP is told of an error: a status, a code and a sentence, never an inside.

The only place where HTTP statuses are chosen. The body has one shape:

    {"error": "<sentence>", "code": "<CODE>"}

and beside it what a program may want to know: `fields` that an item was
refused for, or the `op` (index and code) of an update.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from streams.errors import (
    Contention,
    EventRefused,
    InvalidName,
    ItemRefused,
    NotLetIn,
    OpRefused,
    OutcomeUnknown,
    PreconditionFailed,
    StepTimedOut,
    StoreUnavailable,
    StreamsError,
    UnknownStream,
)

INTERNAL_ERROR = "INTERNAL_ERROR"


@dataclass(frozen=True, slots=True)
class Answer:
    """How an error is answered."""

    status: int
    code: str
    sentence: str
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        return {"error": self.sentence, "code": self.code, **self.details}

    @property
    def headers(self) -> dict[str, str]:
        match self.status:
            case 401:
                return {"WWW-Authenticate": "Bearer"}
            case 503:
                return {"Retry-After": "1"}
            case _:
                return {}


FAULT = Answer(500, INTERNAL_ERROR, "Internal Server Error")
"""What is nobody's fault but the server's. What it is stands in the log."""

_KINDS: tuple[tuple[type[StreamsError], int, str], ...] = (
    (InvalidName, 422, "INVALID_NAME"),
    (ItemRefused, 422, "ITEM_REFUSED"),
    (EventRefused, 422, "EVENT_REFUSED"),
    (OpRefused, 422, "OP_REFUSED"),
    (UnknownStream, 404, "STREAM_NOT_FOUND"),
    (Contention, 409, "CONTENTION"),
    (PreconditionFailed, 412, "PRECONDITION_FAILED"),
    (StoreUnavailable, 503, "STORE_UNAVAILABLE"),
    (OutcomeUnknown, 503, "OUTCOME_UNKNOWN"),
    (StepTimedOut, 504, "STEP_TIMEOUT"),
)


_NOT_LET_IN = {"STREAM_ACCESS_DENIED": 403, "SEND_DENIED": 403, "AUTH_UNAVAILABLE": 503}
"""401 for the others: another token may help."""


def answer_to(error: Exception) -> Answer:
    """The answer to an error of ours; 500 for what is nobody's fault but the server's."""
    if isinstance(error, NotLetIn):
        return Answer(_NOT_LET_IN.get(error.code, 401), error.code, str(error))
    status, code = next(
        ((status, code) for kind, status, code in _KINDS if isinstance(error, kind)), (500, INTERNAL_ERROR)
    )
    return Answer(status, code, _sentence(error, status), _details(error))


def _sentence(error: Exception, status: int) -> str:
    if status == 500:
        return FAULT.sentence
    if isinstance(error, StoreUnavailable):
        # Its own text says where our NATS is.
        return "the streams cannot be reached at present; nothing was written, try again"
    return str(error)


def _details(error: Exception) -> dict[str, Any]:
    match error:
        case OpRefused():
            return {"op": {"index": error.index, "code": error.code}}
        case ItemRefused() if error.fields:
            return {"fields": list(error.fields)}
        case _:
            return {}
