"""Whether NATS answers now: what a load balancer wants to know of a process that needs it."""

from __future__ import annotations

import asyncio

import nats.errors

from streams.errors import StoreUnavailable
from streams.jetstream.barriers import barrier
from streams.jetstream.connection import Connection

ANSWER_SECONDS = 1.0


async def is_answering(connection: Connection) -> bool:
    """Ask NATS for a sign of life. Needs no right to anything, and ends no line that is only slow.

    Takes a round trip, and a second when NATS is away. Cancelling this loses nothing.
    """
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await barrier(await connection.client(), ANSWER_SECONDS)
    except (nats.errors.Error, OSError, TimeoutError, StoreUnavailable):
        return False
    return True
