"""What is revoked, as this gateway knows it, and how old that knowledge is.

Revocations are a group like any other, so a follower keeps them. What
differs is that nobody may be let in on knowledge that is too old: a line to
NATS that is down tells of no revocation.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from streams.access import Caller, Subscription
from streams.auth.revocations import GROUP, STREAM, Revocation, Revocations, read
from streams.errors import BucketNotUsable, StoreUnavailable, UnknownStream
from streams.gateway.follower import Follower
from streams.gateway.group import Shown
from streams.messages import Room
from streams.store import Feed
from streams.tasks import background_tasks

log = logging.getLogger(__name__)

VERIFY_SECONDS = 5.0
"""How often they are compared with their bucket. Costs one request where nothing was revoked."""

VERIFIED_SECONDS = 10.0
"""How old knowledge may be for a join. Longer than between two comparisons, so that joins do not wait."""

TRUSTED_SECONDS = 30.0
"""How old it may be for a new socket. Afterwards nobody is let in before NATS is back."""

RETRY_SECONDS = 1.0
"""How soon it is tried again where nothing could be followed at all."""


class Revoked:
    """The revocations, for as long as the gateway runs."""

    def __init__(
        self, feed: Feed, changed: Callable[[list[Revocation]], None], leeway_seconds: float
    ) -> None:
        self._table = Revocations(leeway_seconds=leeway_seconds)
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._known: asyncio.Future[None] = self._loop.create_future()
        self._follower = Follower(
            feed,
            Room(STREAM, GROUP),
            shown=self._show,
            event=lambda _: None,
            # Nothing is forgotten yet: what was revoked stays so until the new bucket was read.
            restarted=lambda: None,
            begun=self._begin,
        )

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        feed: Feed,
        changed: Callable[[list[Revocation]], None],
        *,
        leeway_seconds: float = 0.0,
        verify_seconds: float = VERIFY_SECONDS,
    ) -> AsyncIterator[Revoked]:
        """The revocations, followed for the length of the block, which begins when all are known.

        `changed` is called with those that came or became later, once they
        count here. While NATS is away, entering the block waits.

        Raises:
            BucketNotUsable: They have no bucket, or one of a newer release.
        """
        async with background_tasks() as tasks:
            revoked = cls(feed, changed, leeway_seconds)
            tasks.start(revoked._follow(), name="gateway: follow the revocations")
            await revoked._known
            tasks.start(revoked._verify(verify_seconds), name="gateway: verify the revocations")
            yield revoked

    def voids(self, caller: Caller, subscription: Subscription | None = None) -> bool:
        """Whether the caller's token does not count: at all or, with a subscription, for that."""
        return self._table.voids(caller, subscription)

    def __len__(self) -> int:
        return len(self._table)

    @property
    def age_seconds(self) -> float:
        """How long ago the question began by which all of them were known last."""
        return self._loop.time() - self._follower.verified_at

    @property
    def is_stale(self) -> bool:
        """Whether they are too old for new sockets: NATS has been away for long."""
        return self.age_seconds > TRUSTED_SECONDS

    @property
    def is_verified(self) -> bool:
        """Whether the leader was asked since something may have been missed, as when a line is renewed."""
        return self._follower.loaded and self._follower.is_verified

    async def current(self) -> None:
        """Return when what is known is new enough for a join; mostly at once.

        A gateway that was cut from NATS must not let a join through on what
        it knew before the cut. So what is known counts until the connection
        is renewed, and `VERIFIED_SECONDS` at most; then the leader is asked,
        once for everybody who waits here. While NATS is away this waits.
        Cancelling this loses nothing.

        Raises:
            StoreUnavailable, UnknownStream, BucketNotUsable: Nobody can say what is revoked.
        """
        while not self._is_current:
            await self._follower.fresh()

    @property
    def _is_current(self) -> bool:
        return self.is_verified and self.age_seconds <= VERIFIED_SECONDS

    async def _follow(self) -> None:
        while True:
            try:
                await self._follower.run()
            except StoreUnavailable as error:
                log.warning("cannot follow the revocations, trying again: %s", error)
            except (UnknownStream, BucketNotUsable) as error:
                if not self._known.done():
                    self._known.set_exception(_not_provisioned(error))
                    return
                log.error("what is revoked cannot be known any more, trying again: %s", error)
            await asyncio.sleep(RETRY_SECONDS * random.uniform(0.5, 1.0))

    async def _verify(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds * random.uniform(0.8, 1.2))
            self._follower.check()

    def _begin(self) -> None:
        """The whole group was read: at first, and after its bucket was made anew."""
        items = self._follower.group.items()
        found = {item.id: read(item.id, item.value, item.time_ms) for item in items}
        more = self._table.replace_all({id: each for id, each in found.items() if each is not None})
        if self._known.done():
            self._tell(more)
        else:
            self._known.set_result(None)

    def _show(self, shown: list[Shown]) -> None:
        more: list[Revocation] = []
        for change in shown:
            if change.kind == "delete":
                self._table.remove(change.id)
                continue
            revocation = read(change.id, change.item, change.time_ms)
            # One that is not understood leaves in place what the item said before.
            if revocation is not None and self._table.put(change.id, revocation):
                more.append(revocation)
        self._tell(more)

    def _tell(self, revocations: list[Revocation]) -> None:
        if revocations:
            self._changed(revocations)


def _not_provisioned(error: UnknownStream | BucketNotUsable) -> BucketNotUsable:
    if isinstance(error, BucketNotUsable):
        return error
    return BucketNotUsable("revocations have no bucket in this namespace yet; run `streams provision`")
