"""Who watches what: joins, leaves, and one flush per tick of the event loop.

A hub exists only while it runs. It owns one audience for every watched
group, each with a follower of its own; one group's trouble never ends the
others.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streams.errors import BucketNotUsable, InvalidName, StoreUnavailable, UnknownStream
from streams.gateway.audience import Audience, Watcher, refusal
from streams.keys import checked_stream_name
from streams.messages import CLOSE_INTERNAL_ERROR, Room
from streams.store import Feed
from streams.tasks import BackgroundTasks, background_tasks

log = logging.getLogger(__name__)

LOOK_FOR_LOSSES_SECONDS = 15.0
"""How often every watched group is compared with its bucket. Costs one request where nothing was written."""

LINGER_SECONDS = 10.0
"""How long a group is followed after its last watcher left: a page that reloads finds it warm."""


class Hub:
    """All groups that are watched through this process."""

    def __init__(self, feed: Feed, tasks: BackgroundTasks, linger_seconds: float) -> None:
        self._feed, self._tasks, self._linger = feed, tasks, linger_seconds
        self._audiences: dict[tuple[str, str], Audience] = {}
        self._followers: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._dirty: list[Audience] = []
        self._loop = asyncio.get_running_loop()

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        feed: Feed,
        *,
        linger_seconds: float = LINGER_SECONDS,
        look_for_losses_seconds: float = LOOK_FOR_LOSSES_SECONDS,
    ) -> AsyncIterator[Hub]:
        """A hub for the length of the block."""
        async with background_tasks() as tasks:
            hub = cls(feed, tasks, linger_seconds)
            tasks.start(hub._look_for_losses(look_for_losses_seconds), name="gateway: look for losses")
            yield hub

    def join(self, watcher: Watcher, room: Room) -> None:
        """Send the room's state, and from then on every change, for as long as the watcher wants it.

        Returns at once. A room that cannot be joined is refused in the room.
        """
        self._tasks.start(self._join(watcher, room), name=f"gateway: join {room}")

    def leave(self, watcher: Watcher, room: Room) -> None:
        """Send nothing more of this room. Leaving what is not watched changes nothing."""
        if audience := self._audiences.get((room.stream, room.group)):
            audience.remove(watcher, room)
            self._end_later(audience)

    def flush(self) -> None:
        """Write every frame that waits, in one write per socket."""
        dirty, self._dirty = self._dirty, []
        if not dirty:
            return
        if len(dirty) == 1:
            for watchers, frames in dirty[0].take():
                for watcher in watchers:
                    watcher.write(frames)
            return
        parts: dict[Watcher, list[bytes]] = {}
        for audience in dirty:
            for watchers, frames in audience.take():
                for watcher in watchers:
                    parts.setdefault(watcher, []).append(frames)
        for watcher, own in parts.items():
            watcher.write(own[0] if len(own) == 1 else b"".join(own))

    @property
    def watched_groups(self) -> int:
        return len(self._audiences)

    async def _join(self, watcher: Watcher, room: Room) -> None:
        try:
            checked_stream_name(room.stream)
            audience = await self._fresh(room)
        except (InvalidName, UnknownStream) as error:
            watcher.write(refusal(room, "STREAM_NOT_FOUND", str(error)))
            return
        except BucketNotUsable as error:
            log.error("a join was refused: %s", error)
            watcher.write(refusal(room, "STREAM_NOT_USABLE", "this stream cannot be served at present"))
            return
        except Exception:
            log.exception("a join failed; its socket is closed room=%s", room)
            watcher.close(CLOSE_INTERNAL_ERROR, "internal error")
            return
        # From here on nothing waits: what is pending was committed before
        # the state that is sent now, and goes to those who were here before.
        if watcher.watches(room):
            self.flush()
            watcher.write(audience.state(room))
            audience.add(watcher, room)

    async def _fresh(self, room: Room) -> Audience:
        audience = self._audience(room.stream, room.group)
        audience.joining += 1
        try:
            # Also where the group is known already: the state that is sent
            # must not be older than what this client has seen elsewhere.
            await audience.follower.fresh()
        finally:
            audience.joining -= 1
            self._end_later(audience)
        return audience

    def _audience(self, stream: str, group: str) -> Audience:
        key = (stream, group)
        audience = self._audiences.get(key)
        if audience is None:
            audience = self._audiences[key] = Audience(self._feed, stream, group, self._mark)
            self._followers[key] = self._tasks.start(
                self._follow(audience), name=f"gateway: follow {stream}/{group}"
            )
        return audience

    async def _follow(self, audience: Audience) -> None:
        key = (audience.stream, audience.name)
        try:
            await audience.follower.run()
        except (UnknownStream, BucketNotUsable):
            # Told to everybody who waited; nobody watches what never began.
            audience.send_away()
        except Exception:
            log.exception("a group cannot be followed any more; its sockets are closed group=%s/%s", *key)
            for watcher in audience.watchers():
                watcher.close(CLOSE_INTERNAL_ERROR, "internal error")
        finally:
            if self._audiences.get(key) is audience:
                del self._audiences[key], self._followers[key]

    def _mark(self, audience: Audience) -> None:
        if not self._dirty:
            self._loop.call_soon(self.flush)
        self._dirty.append(audience)

    def _end_later(self, audience: Audience) -> None:
        if audience.empty:
            self._loop.call_later(self._linger, self._end_if_empty, audience)

    def _end_if_empty(self, audience: Audience) -> None:
        key = (audience.stream, audience.name)
        if audience.empty and self._audiences.get(key) is audience:
            self._followers[key].cancel()
            del self._audiences[key], self._followers[key]

    async def _look_for_losses(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds * random.uniform(0.8, 1.2))
            for stream in {stream for stream, _ in self._audiences}:
                try:
                    end = await self._feed.end(stream)
                except (StoreUnavailable, UnknownStream):
                    continue  # the followers say so themselves
                for audience in list(self._audiences.values()):
                    if audience.stream == stream and audience.follower.behind(end):
                        audience.follower.check()
