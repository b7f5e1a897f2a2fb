"""What an invocation ends with, in Lambda's words."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

MAX_RESPONSE_BYTES = 6_291_556
MAX_REQUEST_BYTES = 6_291_456
MAX_EVENT_BYTES = 1_048_576
"""The same for invocations that nobody waits for (`InvocationType="Event"`)."""


class InvokeRefused(Exception):
    """Lambda did not run the function, and says why with a status and a code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status, self.code, self.message = status, code, message


class SnapshotFailed(Exception):
    """The function did not get as far as its snapshot, so no version of it could be published."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a phase of the process, or all of it, came to."""

    body: bytes = b""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One invocation, as its caller and its log stream see it."""

    request_id: str
    body: bytes
    """What the function answered, or the description of its error: JSON."""
    error: str | None
    """None: the handler returned. Else the type of its error: the class that was raised, or one of Lambda's,
    as `Sandbox.Timedout`, `Runtime.ExitError`, `Runtime.ImportModuleError`,
    `Function.ResponseSizeTooLarge`."""
    logs: str
    """Everything written since the invocation before, with Lambda's START, END and REPORT lines."""
    environment: int
    """The number of the execution environment that ran it: 1 is the first."""
    duration_ms: float
    init_ms: float | None
    """How long the process took until it asked for its first event. None: it was warm, or restored."""
    restore_ms: float | None
    """SnapStart: how long the process took from its snapshot to its first event. None: it was warm."""
    billed_ms: int

    @property
    def payload(self) -> Any:
        """The body read as JSON."""
        return json.loads(self.body)

    @property
    def is_cold(self) -> bool:
        """The invocation had to wait for a process: for a new one, or for the restore of a snapshot."""
        return self.init_ms is not None or self.restore_ms is not None


def billed(duration_ms: float, init_ms: float | None, restore_ms: float | None) -> int:
    """Whole milliseconds; the start counts, and so do the hooks after a restore."""
    return math.ceil(duration_ms + (init_ms or 0.0)) + math.ceil(restore_ms or 0.0)


def timed_out(request_id: str, seconds: float) -> Outcome:
    message = f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds"
    return _error("Sandbox.Timedout", message)


def exited(request_id: str, returncode: int) -> Outcome:
    """`returncode` as `subprocess` gives it: negative is a signal."""
    if returncode == 0:
        reason = "Runtime exited without providing a reason"
    elif returncode < 0:
        reason = f"Runtime exited with error: signal: {_SIGNALS.get(-returncode, str(-returncode))}"
    else:
        reason = f"Runtime exited with error: exit status {returncode}"
    return _error("Runtime.ExitError", f"RequestId: {request_id} Error: {reason}")


def too_large(size: int) -> Outcome:
    message = (
        f"Response payload size ({size} bytes) exceeded maximum allowed payload size "
        f"({MAX_RESPONSE_BYTES} bytes)."
    )
    return _error("Function.ResponseSizeTooLarge", message)


def reported(body: bytes) -> Outcome:
    """An error that the runtime describes itself."""
    try:
        kind = str(json.loads(body)["errorType"])
    except (ValueError, KeyError, TypeError):
        kind = "Unhandled"
    return Outcome(body, kind or "Unhandled")


def _error(kind: str, message: str) -> Outcome:
    return Outcome(json.dumps({"errorType": kind, "errorMessage": message}).encode(), kind)


# As Go writes them, in which Lambda's supervisor is written.
_SIGNALS = {6: "aborted", 9: "killed", 11: "segmentation fault", 15: "terminated"}
