"""Real-time streams for Python on NATS JetStream.

Declare a stream, set its items in steps; every client that watches sees
them at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams import ops
from streams.access import AuthRequest, Claims, Subscription
from streams.context import Context, context_for
from streams.errors import (
    BucketNotUsable,
    Contention,
    CredentialsNotUsable,
    CredentialsRefused,
    DefinitionRefused,
    DiscoveryFailed,
    EventRefused,
    HttpError,
    InvalidName,
    ItemDoesNotFit,
    ItemRefused,
    OpRefused,
    OutcomeUnknown,
    PreconditionFailed,
    ServerNotUsable,
    ServerTooOld,
    StoreNotBound,
    StoreUnavailable,
    StreamsError,
    UnknownStream,
)
from streams.keys import Address
from streams.results import Entry, StreamDeleteResult, StreamSetResult, StreamUpdateResult
from streams.step import StepConfig, http
from streams.store import bound_to
from streams.stream import Stream

if TYPE_CHECKING:
    from streams.jetstream.binding import connected
    from streams.jetstream.credentials import Credentials

__all__ = [
    # Declaring
    "Stream",
    "StepConfig",
    "http",
    "ops",
    # Handling
    "Address",
    "Context",
    "Entry",
    "HttpError",
    "StreamDeleteResult",
    "StreamSetResult",
    "StreamUpdateResult",
    # Saying who may
    "AuthRequest",
    "Claims",
    "Subscription",
    # Outside of handlers
    "Credentials",
    "bound_to",
    "connected",
    "context_for",
    # Errors
    "BucketNotUsable",
    "Contention",
    "CredentialsNotUsable",
    "CredentialsRefused",
    "DefinitionRefused",
    "DiscoveryFailed",
    "EventRefused",
    "InvalidName",
    "ItemDoesNotFit",
    "ItemRefused",
    "OpRefused",
    "OutcomeUnknown",
    "PreconditionFailed",
    "ServerNotUsable",
    "ServerTooOld",
    "StoreNotBound",
    "StoreUnavailable",
    "StreamsError",
    "UnknownStream",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # Importing `streams` loads no network library: cold starts pay for what they use.
    if name == "connected":
        from streams.jetstream.binding import connected

        return connected
    if name == "Credentials":
        from streams.jetstream.credentials import Credentials

        return Credentials
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
