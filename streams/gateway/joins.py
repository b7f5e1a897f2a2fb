"""Joins: who may have a room is told what it holds, and from then on what changes there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack

from streams.errors import (
    BucketNotUsable,
    InvalidName,
    NotLetIn,
    StoreUnavailable,
    UnknownStream,
)
from streams.gateway.access import Access
from streams.gateway.audience import Audience
from streams.gateway.audiences import Audiences
from streams.gateway.cache import Cache
from streams.gateway.group import ValuesAbsent
from streams.gateway.measures import Measures
from streams.gateway.not_told import TOO_LARGE, TOO_LARGE_SENTENCE, NotYet
from streams.gateway.outbox import Outbox
from streams.gateway.states import GroupTooLarge
from streams.gateway.watcher import Watcher
from streams.messages import CLOSE_INTERNAL_ERROR, Join, Room

log = logging.getLogger(__name__)


class Joins:
    """What it takes to join. `follow` finds the audience of what is followed, or begins one; `end_later`
    is called with one that may have nobody left."""

    def __init__(
        self,
        access: Access,
        audiences: Audiences,
        outbox: Outbox,
        cache: Cache,
        measures: Measures,
        *,
        follow: Callable[[Room], Audience],
        end_later: Callable[[Audience], None],
    ) -> None:
        self._access, self._audiences, self._outbox = access, audiences, outbox
        self._cache, self._measures = cache, measures
        self._follow, self._end_later = follow, end_later

    async def join(self, watcher: Watcher, join: Join) -> None:
        """Send the room's state, and let the watcher in. What cannot be joined is refused in the room."""
        room = join.room
        try:
            # Before anything is read: a refusal says nothing of what there is, not even by its time.
            async with watcher.questions:
                await self._access.check(watcher.caller, room)
            with ExitStack() as needed:
                while (not_yet := await self._told_state(watcher, join)) is not None:
                    needed.enter_context(self._cache.needing(not_yet.audience))
                    await self._cache.read(not_yet.audience, not_yet.ids)
        except NotLetIn as error:
            log.info("a join was refused: %s session=%s room=%s", error.reason, watcher.session, room)
            _refuse(watcher, room, error.code, str(error))
        except GroupTooLarge:
            _refuse(watcher, room, TOO_LARGE, TOO_LARGE_SENTENCE)
        except (InvalidName, UnknownStream) as error:
            _refuse(watcher, room, "STREAM_NOT_FOUND", str(error))
        except BucketNotUsable as error:
            log.error("a join was refused: %s", error)
            _refuse(watcher, room, "STREAM_NOT_USABLE", "this stream cannot be served at present")
        except StoreUnavailable as error:
            log.warning("a join failed; its socket is closed: %s room=%s", error, room)
            watcher.close(CLOSE_INTERNAL_ERROR, "NATS is away; come back")
        except Exception:
            log.exception("a join failed; its socket is closed room=%s", room)
            watcher.close(CLOSE_INTERNAL_ERROR, "internal error")

    async def _told_state(self, watcher: Watcher, join: Join) -> NotYet | None:
        """Tell what there is, and let the watcher in. What has to be read first comes back.

        Raises: What a join is refused with.
        """
        room = join.room
        audience = await self._confirmed(watcher, room)
        # From here on nothing waits: what is pending was committed before
        # the state that is sent now, and goes to those who were here before.
        if not watcher.watches(room):
            return None
        try:
            if room.id is None:
                self._take_items(watcher, audience)
            self._outbox.flush()
            is_watched = audience.is_watched(watcher, room)
            is_new = audience.add(watcher, room)
            try:
                self._outbox.tell_state(watcher, audience, join, is_new=is_new)
            except ValuesAbsent:
                if not is_watched:
                    audience.remove(watcher, room)
                raise
        except ValuesAbsent as absent:
            return NotYet(audience, absent.ids)
        self._measures.joins += 1
        self._cache.needed(audience)
        return None

    async def _confirmed(self, watcher: Watcher, room: Room) -> Audience:
        """The group, fresh, when it is certain that the watcher may have it.

        Raises: What a join is refused with.
        """
        while True:
            audience = await self._fresh(watcher, room)
            group = audience.follower.group
            await self._access.confirm(lambda: watcher.caller, room, is_guarded=audience.is_guarded)
            # That may have taken long: the group may have been let go, or begun anew with other rules,
            # or the watcher, who asks for an item, has joined its group.
            if (
                audience in self._audiences
                and audience.follower.group is group
                and audience.room == self._audiences.followed_for(watcher, room)
            ):
                return audience

    async def _fresh(self, watcher: Watcher, room: Room) -> Audience:
        audience = self._follow(self._audiences.followed_for(watcher, room))
        audience.joining += 1
        try:
            # Also where the group is known already: the state that is sent
            # must not be older than what this client has seen elsewhere.
            await audience.follower.fresh()
        finally:
            audience.joining -= 1
            self._end_later(audience)
        return audience

    def _take_items(self, watcher: Watcher, audience: Audience) -> None:
        """The watcher joins a group of which it has joined items: it is told of all by one from now on.

        Raises:
            ValuesAbsent: Not yet. Nothing has happened to it.
        """
        alone, group = self._audiences.alone(watcher, audience.room), audience.follower.group
        for room, before in alone.items():
            # The two hear of a change one after the other. The group must not know less than it was told.
            change = before.follower.group.last_change(room.id or "")
            if change is not None:
                audience.follower.hear(change)
        self._outbox.flush()
        later = {
            room: audience.states.item_sync(room.id or "")
            for room, before in alone.items()
            if before.is_behind(watcher)
            or group.revision_of(room.id or "") > before.follower.group.revision_of(room.id or "")
        }
        for room, before in alone.items():
            before.remove(watcher, room)
            audience.add(watcher, room)
            self._end_later(before)
        if watcher.is_behind:
            audience.fall_behind(watcher)
        for room, frame in later.items():
            if audience.is_behind(watcher):
                audience.owe(watcher, room)
            else:
                self._outbox.tell(watcher, frame)


def _refuse(watcher: Watcher, room: Room, code: str, sentence: str) -> None:
    # It may have left meanwhile, or lost the room already.
    if watcher.watches(room):
        watcher.refuse(room, code, sentence)
