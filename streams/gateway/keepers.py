"""The keepers of one process: one for every stream that is watched."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from streams.gateway.follower import Follower
from streams.gateway.keeper import Keeper
from streams.gateway.measures import Measures
from streams.gateway.pace import Share
from streams.store import Feed
from streams.tasks import BackgroundTasks

SHARE = 0.1
"""Of one processor: what looking for losses may take, in all buckets together."""


class Keepers:
    """Made with the first watched group of a stream, and gone with the last."""

    def __init__(self, feed: Feed, tasks: BackgroundTasks, measures: Measures, seconds: float) -> None:
        self._feed, self._tasks, self._measures, self._seconds = feed, tasks, measures, seconds
        self._share = Share(SHARE)
        self._running: dict[str, tuple[Keeper, asyncio.Task[None]]] = {}

    @contextmanager
    def keeping(self, stream: str, follower: Follower) -> Iterator[None]:
        """Keep a group while the block lasts, in which its follower runs."""
        if stream not in self._running:
            keeper = Keeper(self._feed, stream, self._measures, self._share, self._seconds)
            task = self._tasks.start(self._keep(stream, keeper), name=f"gateway: keep {stream}")
            self._running[stream] = (keeper, task)
        keeper, task = self._running[stream]
        keeper.add(follower)
        try:
            yield
        finally:
            keeper.remove(follower)
            if not len(keeper):
                self._end(stream, keeper)
                task.cancel()

    @property
    def age_seconds(self) -> float:
        """How long ago the question began by which all watched groups were last known to be complete."""
        return max((keeper.age_seconds for keeper, _ in self._running.values()), default=0.0)

    @property
    def least_age_seconds(self) -> float:
        """The same of the stream of which it was known last: others may be in trouble."""
        read = [keeper for keeper, _ in self._running.values() if keeper.position is not None]
        return min((keeper.age_seconds for keeper in read), default=0.0)

    async def _keep(self, stream: str, keeper: Keeper) -> None:
        try:
            await keeper.run()
        finally:
            # The groups of one that failed go with it. Whoever comes after that has a new one.
            self._end(stream, keeper)

    def _end(self, stream: str, keeper: Keeper) -> None:
        if stream in self._running and self._running[stream][0] is keeper:
            del self._running[stream]
