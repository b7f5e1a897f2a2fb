"""How much a gateway holds in memory of what is stored: the values of all that is followed, within a bound.

Above it, groups that nobody watches any more are let go before their time.
Then the values of watched groups are: first of those that are large and were
not needed for long. Clients of such a group notice nothing, as what is
relayed is relayed without the cache; who joins, or comes back, makes the
gateway read what it is to be told.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

from streams.errors import StoreUnavailable
from streams.gateway.audience import Audience
from streams.gateway.measures import Measures
from streams.gateway.watcher import Watcher
from streams.messages import CLOSE_INTERNAL_ERROR
from streams.tasks import BackgroundTasks

log = logging.getLogger(__name__)

CACHE_BYTES = 256 * 1024 * 1024
"""What the values of all groups may take, and the frames that are made of them."""

KEPT_SHARE = 0.9
"""When that is too much, so many are let go that no more than this share of what may be is left."""

LOOK_SECONDS = 0.05
"""How soon after it was too much. Until then it may be more."""


class Cache:
    """What all audiences hold. `let_go` ends one that nobody watches."""

    def __init__(
        self,
        most_bytes: int,
        audiences: Iterable[Audience],
        tasks: BackgroundTasks,
        measures: Measures,
        let_go: Callable[[Audience], None],
    ) -> None:
        self.bytes = 0
        """What is held now."""
        self._most_bytes, self._audiences, self._tasks = most_bytes, audiences, tasks
        self._measures, self._let_go = measures, let_go
        self._held: dict[Audience, int] = {}
        """What each held when it was looked at last."""
        self._needed: dict[Audience, int] = {}
        """Those whose values are needed now, and by how many."""
        self._needed_at: dict[Audience, float] = {}
        """When they were last, by the monotonic clock."""
        self._is_looking = False
        self._loop = asyncio.get_running_loop()

    def note(self, audience: Audience) -> None:
        """What it holds has changed."""
        held = audience.held_bytes
        self.bytes += held - self._held.get(audience, 0)
        self._held[audience] = held
        if self.bytes > self._most_bytes and not self._is_looking:
            self._is_looking = True
            self._loop.call_later(LOOK_SECONDS, self._look)

    def forget(self, audience: Audience) -> None:
        """It is not followed any more."""
        self.bytes -= self._held.pop(audience, 0)
        self._needed_at.pop(audience, None)

    def needed(self, audience: Audience) -> None:
        """Somebody was just told what it holds."""
        self._needed_at[audience] = time.monotonic()

    @contextmanager
    def needing(self, audience: Audience) -> Iterator[None]:
        """Nothing of it is let go within the block."""
        self._needed[audience] = self._needed.get(audience, 0) + 1
        try:
            yield
        finally:
            self._needed[audience] -= 1
            if not self._needed[audience]:
                del self._needed[audience]
            if audience in self._held:
                self.needed(audience)
                self.note(audience)

    async def read(self, audience: Audience, ids: list[str]) -> None:
        """Have the values of these items here. To be called where they are needed.

        Raises: As `Follower.read_values`.
        """
        self._measures.values_read += len(ids)
        await audience.follower.read_values(ids)

    def fetch(self, watcher: Watcher, audience: Audience, ids: list[str], then: Callable[[], None]) -> None:
        """Read these values for a watcher, and go on when they are here. Where they cannot be read, it is
        closed."""
        # From now on, not from when the task begins: who comes from `then` has other values of it here.
        needed = ExitStack()
        needed.enter_context(self.needing(audience))
        self._tasks.start(
            self._fetch(watcher, audience, ids, then, needed), name=f"gateway: read values of {audience.room}"
        )

    async def _fetch(
        self,
        watcher: Watcher,
        audience: Audience,
        ids: list[str],
        then: Callable[[], None],
        needed: ExitStack,
    ) -> None:
        with needed:
            try:
                await self.read(audience, ids)
                then()
            except StoreUnavailable as error:
                log.warning("values cannot be read; their socket is closed: %s room=%s", error, audience.room)
                watcher.close(CLOSE_INTERNAL_ERROR, "NATS is away; come back")
            except Exception:
                log.exception("values cannot be read; their socket is closed room=%s", audience.room)
                watcher.close(CLOSE_INTERNAL_ERROR, "internal error")

    def _look(self) -> None:
        self._is_looking = False
        most = self._most_bytes * KEPT_SHARE
        for audience in sorted(self._audiences, key=lambda each: self._needed_at.get(each, 0.0)):
            if self.bytes <= most:
                return
            if audience.empty:
                self._let_go(audience)
        now = time.monotonic()

        def uselessness(audience: Audience) -> float:
            # Of those that are needed equally often, the larger one: fewer groups have to be read again.
            return self._held[audience] * (now - self._needed_at.get(audience, 0.0))

        for audience in sorted(self._held, key=uselessness, reverse=True):
            if self.bytes <= most:
                return
            if self._held[audience] and audience not in self._needed:
                self._measures.values_let_go += audience.let_values_go()
                self.note(audience)
