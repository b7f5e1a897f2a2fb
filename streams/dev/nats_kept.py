"""Starts a nats-server again that ends by itself: on the same port, with the same data.

Everything that is connected comes back by itself then, and no client
notices more than a pause. A server that does not stay ends the block, so
that whoever started the process sees it, and can start it anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streams.dev.nats_server import NatsServer
from streams.errors import DevFailed
from streams.tasks import background_tasks

log = logging.getLogger(__name__)

MAX_ENDS = 5
"""So often it may end by itself within `WINDOW_SECONDS`."""

WINDOW_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.5
"""Before it is started for the second time in that window; twice as long before every other time."""


@asynccontextmanager
async def kept_running(nats: NatsServer) -> AsyncIterator[None]:
    """Start the server again whenever it ends by itself, for the length of the block.

    Raises:
        DevFailed: From inside the block, which is cancelled: it does not start, or ends again and again.
    """
    failed: BaseExceptionGroup[DevFailed] | None = None
    try:
        async with background_tasks() as tasks:
            tasks.start(_starting_again(nats), name="keep nats-server running")
            yield
    except* DevFailed as group:
        failed = group
    if failed is not None:
        raise failed.exceptions[0]


async def _starting_again(nats: NatsServer) -> None:
    now, ends = asyncio.get_running_loop().time, list[float]()
    while True:
        await nats.ended()
        ends = [end for end in ends if now() - end < WINDOW_SECONDS]
        if len(ends) == MAX_ENDS:
            raise DevFailed(
                f"nats-server ended by itself {MAX_ENDS + 1} times within a minute; its log: {nats.log_path}"
            )
        pause = FIRST_PAUSE_SECONDS * 2 ** (len(ends) - 1) if ends else 0.0
        ends.append(now())
        when = f" in {pause:g} s" if pause else ""
        log.error("nats-server ended by itself; starting it again%s. Its log: %s", when, nats.log_path)
        await asyncio.sleep(pause)
        await nats.restart()
        log.info("nats-server runs again")
