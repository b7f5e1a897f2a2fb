"""A gateway with everything that it needs, for the length of a block."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from streams.auth.revocations import Revocation
from streams.auth.rules import Rules
from streams.auth.tokens import Verifier
from streams.gateway.access import Access
from streams.gateway.cache import CACHE_BYTES
from streams.gateway.health import GRACE_SECONDS
from streams.gateway.hub import Hub
from streams.gateway.laggards import STALL_SECONDS, UNREAD_BYTES
from streams.gateway.measures import Measures
from streams.gateway.revoked import Revoked
from streams.jetstream.connection import Connection
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace


@asynccontextmanager
async def gateway(
    connection: Connection,
    namespace: Namespace,
    verifier: Verifier,
    rules: Rules,
    *,
    recheck_seconds: float | None = None,
    stall_seconds: float = STALL_SECONDS,
    unread_bytes: int = UNREAD_BYTES,
    cache_bytes: int = CACHE_BYTES,
    grace_seconds: float = GRACE_SECONDS,
    measures: Measures | None = None,
) -> AsyncIterator[Hub]:
    """A hub that serves the streams of a namespace. Entered when revocations are known.

    Rules are asked again about everybody every `recheck_seconds`; None: at
    fresh tokens and revocations only. The other limits are those of
    `Hub.running`. What the rules took is in `measures`, if whoever made the
    rules has put it there.

    Raises:
        BucketNotUsable: Revocations have no bucket: the namespace is not provisioned.
    """
    feed, let_go = JetStreamFeed(connection, namespace), list[Callable[[list[Revocation]], None]]()

    def changed(revocations: list[Revocation]) -> None:
        # Before there is a hub, nobody is in.
        for tell in let_go:
            tell(revocations)

    async with (
        Revoked.running(feed, changed, leeway_seconds=verifier.leeway_seconds) as revoked,
        Hub.running(
            feed,
            Access(verifier, rules, revoked, feed, is_connected=lambda: connection.is_connected),
            KvStore(connection, namespace),
            recheck_seconds=recheck_seconds,
            stall_seconds=stall_seconds,
            unread_bytes=unread_bytes,
            cache_bytes=cache_bytes,
            grace_seconds=grace_seconds,
            measures=measures,
        ) as hub,
    ):
        let_go.append(hub.guests.revoked)
        yield hub


COLLECTED_AFTER = (2_000, 10, 100)
"""After so many new objects Python's collector of cycles looks through them, after so many times of that
through those that were left, and after so many times of that through all."""


def collect_seldom() -> None:
    """Spare a process that serves clients most of the looking for unreachable cycles.

    Call it when all is loaded: what there is by then is never looked at
    again. All of some thousand groups take the collector a tenth of a second,
    in which nobody is served; what we let go is mostly freed without it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)
