"""Streams outside of handlers: a script, a shell, a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streams.jetstream.connection import connected_to
from streams.jetstream.credentials import NOBODY, Credentials
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.store import Store, bound_to


@asynccontextmanager
async def connected(
    url: str = "nats://127.0.0.1:4222",
    *,
    namespace: str = "streams",
    credentials: Credentials = NOBODY,
) -> AsyncIterator[Store]:
    """Let every stream used inside the block talk to NATS at `url`.

    Nothing is read from the environment: what STREAMS_NATS_URL and the like
    say is for the `streams` command; `streams.settings` reads it for others, too.

    Raises:
        StoreUnavailable: The server does not answer.
        ServerNotUsable: It does, but refuses the credentials, is too old, or has no JetStream or no TLS.
        CredentialsNotUsable: They are given twice or by half, or are in a file that holds none.
    """
    async with connected_to(url, name="streams.connected", credentials=credentials) as connection:
        store = KvStore(connection, Namespace(namespace))
        with bound_to(store):
            yield store
