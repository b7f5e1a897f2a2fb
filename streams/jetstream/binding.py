"""Streams outside of handlers: a script, a shell, a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streams.jetstream.connection import connected_to
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.store import Store, bound_to


@asynccontextmanager
async def connected(
    url: str = "nats://127.0.0.1:4222", *, namespace: str = "streams"
) -> AsyncIterator[Store]:
    """Let every stream used inside the block talk to NATS at `url`.

    Raises:
        StoreUnavailable: The server does not answer.
    """
    async with connected_to(url, name="streams.connected") as connection:
        store = KvStore(connection, Namespace(namespace))
        with bound_to(store):
            yield store
