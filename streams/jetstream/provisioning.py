"""Everything that an application needs in NATS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

from streams.jetstream.bucket import Provisioned, provision
from streams.jetstream.connection import Connection
from streams.keys import REVOKED_STREAM, Namespace
from streams.stream import Stream


async def provision_application(
    connection: Connection,
    namespace: Namespace,
    streams: Iterable[Stream[Any]],
    *,
    replicas: int = 1,
    is_restored: bool = False,
) -> AsyncIterator[Provisioned]:
    """Make or bring up to date the bucket of the revocations, then that of every stream; each as it is done.

    `is_restored` says that they are older copies, see `provision`.

    Raises: What `provision` does. Those before it are done then.
    """
    # First, since no gateway serves a stream without. Its rule is that no client may ever see it.
    yield await provision(
        connection, namespace, REVOKED_STREAM, replicas=replicas, guarded=True, is_restored=is_restored
    )
    for stream in streams:
        guarded = stream.can_access is not None
        yield await provision(
            connection, namespace, stream.name, replicas=replicas, guarded=guarded, is_restored=is_restored
        )
