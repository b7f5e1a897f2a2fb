"""Who watches what: joins, leaves, and what is kept of a group for as long as it is watched.

A hub exists only while it runs. It owns one audience for every watched
group, each with a follower of its own; one group's trouble never ends the
others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from streams.errors import (
    BucketNotUsable,
    StoreUnavailable,
    UnknownStream,
)
from streams.gateway.access import Access
from streams.gateway.audience import Audience
from streams.gateway.audiences import Audiences
from streams.gateway.cache import CACHE_BYTES, Cache
from streams.gateway.guests import Guests
from streams.gateway.health import GRACE_SECONDS, Health, Signs
from streams.gateway.joins import Joins
from streams.gateway.keepers import Keepers
from streams.gateway.laggards import STALL_SECONDS, UNREAD_BYTES, Laggards
from streams.gateway.measures import Measures
from streams.gateway.outbox import Outbox
from streams.gateway.staleness import Staleness
from streams.gateway.watcher import Watcher
from streams.messages import CLOSE_INTERNAL_ERROR, Join, Room
from streams.store import Feed, Store
from streams.tasks import BackgroundTasks, background_tasks

log = logging.getLogger(__name__)

LOOK_FOR_LOSSES_SECONDS = 15.0
"""How often what is watched of a bucket is compared with it. One request where nothing was written."""

LINGER_SECONDS = 10.0
"""How long a group is followed after its last watcher left: a page that reloads finds it warm."""


class Hub:
    """All groups that are watched through this process, and who watches them."""

    def __init__(
        self,
        feed: Feed,
        access: Access,
        events: Store,
        tasks: BackgroundTasks,
        *,
        measures: Measures,
        linger_seconds: float,
        look_for_losses_seconds: float,
        stall_seconds: float,
        unread_bytes: int,
        cache_bytes: int,
        grace_seconds: float,
    ) -> None:
        self.access, self.measures = access, measures
        self.health = Health(grace_seconds)
        self.guests = Guests(access, tasks)
        self.is_leaving = False
        """Whether this gateway is about to end: it serves, and new clients had better go elsewhere."""
        self._feed, self._events, self._tasks, self._linger = feed, events, tasks, linger_seconds
        self.keepers = Keepers(feed, tasks, self.measures, look_for_losses_seconds)
        self.staleness = Staleness(lambda: access.is_connected, self.keepers, self.guests.say_stale)
        self.audiences = Audiences()
        self._followers: dict[Audience, asyncio.Task[None]] = {}
        self.cache = Cache(cache_bytes, self.audiences, tasks, measures, self._end_if_empty)
        laggards = Laggards(measures, stall_seconds=stall_seconds, unread_bytes=unread_bytes)
        self.outbox = Outbox(
            self.audiences, access, tasks, measures, laggards, self.cache, self.guests.send_away
        )
        self._joins = Joins(
            access,
            self.audiences,
            self.outbox,
            self.cache,
            measures,
            follow=self._audience,
            end_later=self._end_later,
        )
        self._loop = asyncio.get_running_loop()

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        feed: Feed,
        access: Access,
        events: Store,
        *,
        linger_seconds: float = LINGER_SECONDS,
        look_for_losses_seconds: float = LOOK_FOR_LOSSES_SECONDS,
        recheck_seconds: float | None = None,
        stall_seconds: float = STALL_SECONDS,
        unread_bytes: int = UNREAD_BYTES,
        cache_bytes: int = CACHE_BYTES,
        grace_seconds: float = GRACE_SECONDS,
        measures: Measures | None = None,
    ) -> AsyncIterator[Hub]:
        """A hub for the length of the block. What clients send goes out through `events`.

        Rules are asked again about everybody every `recheck_seconds`. A
        client that takes nothing for `stall_seconds` is sent away, and some
        are when more than `unread_bytes` wait for all of them. Of what groups
        hold, about `cache_bytes` are kept at most, the rest is read when it is
        needed. Without NATS this gateway says for `grace_seconds` that it is ready.
        """
        async with background_tasks() as tasks:
            hub = cls(
                feed,
                access,
                events,
                tasks,
                linger_seconds=linger_seconds,
                look_for_losses_seconds=look_for_losses_seconds,
                stall_seconds=stall_seconds,
                unread_bytes=unread_bytes,
                cache_bytes=cache_bytes,
                grace_seconds=grace_seconds,
                measures=measures or Measures(),
            )
            tasks.start(hub.staleness.watch(), name="gateway: look whether NATS is away")
            if recheck_seconds is not None:
                tasks.start(hub.guests.recheck_every(recheck_seconds), name="gateway: ask rules again")
            yield hub

    def join(self, watcher: Watcher, join: Join) -> None:
        """Send the room's state, and from then on every change, for as long as the watcher wants it.

        Returns at once. A room that cannot be joined is refused in the room.
        """
        self._tasks.start(self._joins.join(watcher, join), name=f"gateway: join {join.room}")

    def start(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Run something for a client beside everything else. It handles whatever it raises."""
        self._tasks.start(work, name=name)

    async def send(self, room: Room, event: bytes, *, is_awaited: bool) -> None:
        """Tell everyone who watches the room, on every gateway.

        Raises: As `Store.send`.
        """
        await self._events.send(room.stream, room.group, room.id, event, is_awaited=is_awaited)

    def leave(self, watcher: Watcher, room: Room) -> None:
        """Send nothing more of this room. Leaving what is not watched changes nothing."""
        for audience in self.audiences.leave(watcher, room):
            self._end_later(audience)

    @property
    def watched_groups(self) -> int:
        """Single items that are followed alone count as well."""
        return len(self.audiences)

    @property
    def watched_rooms(self) -> int:
        """Groups and single items, each once for every client that watches it."""
        return sum(audience.rooms_watched for audience in self.audiences)

    @property
    def behind(self) -> int:
        """Clients that do not read."""
        return len(self.outbox.laggards)

    @property
    def unread_bytes(self) -> int:
        """What was written to clients that do not read, and is not yet on its way."""
        return self.outbox.laggards.unread_bytes

    @property
    def oldest_check_seconds(self) -> float:
        """How long ago the question began by which all that is watched was last known to be complete."""
        return self.keepers.age_seconds

    @property
    def is_stale(self) -> bool:
        """Whether what clients have may be old, because NATS is away or was a moment ago."""
        return self.staleness.is_stale

    @property
    def signs(self) -> Signs:
        """What says how this gateway is."""
        return Signs(
            is_connected=self.access.is_connected,
            revocations_seconds=self.access.revocations_seconds,
            feeds_seconds=self.keepers.least_age_seconds,
            is_leaving=self.is_leaving,
        )

    def not_ready(self) -> list[str]:
        """Why new clients had better go elsewhere; empty: they need not. Anybody may read it."""
        return self.health.not_ready(self.signs)

    def _audience(self, followed: Room) -> Audience:
        audience = self.audiences.get(followed)
        if audience is None:
            audience = Audience(self._feed, followed, self.measures, self.outbox.mark, self.cache.note)
            self.audiences.add(audience)
            self._followers[audience] = self._tasks.start(
                self._follow(audience), name=f"gateway: follow {followed}"
            )
        return audience

    async def _follow(self, audience: Audience) -> None:
        try:
            with self.keepers.keeping(audience.room.stream, audience.follower):
                await audience.follower.run()
        except (UnknownStream, BucketNotUsable):
            # Told to everybody who waited; nobody watches what never began.
            audience.send_away()
        except StoreUnavailable as error:
            log.warning("a group could not be followed: %s room=%s", error, audience.room)
            for watcher in audience.watchers():
                watcher.close(CLOSE_INTERNAL_ERROR, "NATS is away; come back")
        except Exception:
            log.exception(
                "a group cannot be followed any more; its sockets are closed room=%s", audience.room
            )
            for watcher in audience.watchers():
                watcher.close(CLOSE_INTERNAL_ERROR, "internal error")
        finally:
            self._forget(audience)

    def _end_later(self, audience: Audience) -> None:
        if audience.empty:
            self._loop.call_later(self._linger, self._end_if_empty, audience)

    def _end_if_empty(self, audience: Audience) -> None:
        if audience.empty and audience in self.audiences:
            self._followers[audience].cancel()
            self._forget(audience)

    def _forget(self, audience: Audience) -> None:
        self.audiences.discard(audience)
        self._followers.pop(audience, None)
        self.cache.forget(audience)
