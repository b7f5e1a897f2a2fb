"""What waits to be told, and the one flush that tells it: at the end of a tick, or soon where that is much.

A socket gets one write for all that happened until then, in however many
groups: writes are what serving many sockets costs.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence

from streams.errors import StreamsError
from streams.gateway.access import Access
from streams.gateway.audience import Audience
from streams.gateway.audiences import Audiences
from streams.gateway.cache import Cache
from streams.gateway.group import ValuesAbsent
from streams.gateway.laggards import Laggards
from streams.gateway.measures import Measures
from streams.gateway.not_told import TOO_LARGE, TOO_LARGE_SENTENCE, NotNow, NotYet
from streams.gateway.states import GroupTooLarge
from streams.gateway.waiting import Told
from streams.gateway.watcher import Watcher
from streams.messages import CLOSE_INTERNAL_ERROR, Join, Room
from streams.tasks import BackgroundTasks

log = logging.getLogger(__name__)

MOST_QUIET_SECONDS = 0.005
"""After a flush nothing is written for as long as it took, and not longer than this: what comes meanwhile
goes out together. So telling takes half of the time at most, and the rest is for hearing."""

QUIET_FROM_SECONDS = 0.002
"""A flush that is shorter is followed by the next at once."""

HELD_SECONDS = 30.0
"""How long frames may wait for revocations to be known, before everybody is sent away."""


class Outbox:
    """What all audiences have to tell, and who does not read it."""

    def __init__(
        self,
        audiences: Audiences,
        access: Access,
        tasks: BackgroundTasks,
        measures: Measures,
        laggards: Laggards,
        cache: Cache,
        send_away: Callable[[int, str], None],
    ) -> None:
        self.laggards, self._cache = laggards, cache
        self._audiences, self._access, self._tasks = audiences, access, tasks
        self._measures, self._send_away = measures, send_away
        self._dirty: list[Audience] = []
        self._reading: dict[Watcher, None] = {}
        """Those who were behind and read again, and must be told what they missed."""
        self._is_scheduled = False
        """Whether there will be a flush."""
        self._quiet_until = 0.0
        """When the next one may be."""
        self._is_held = False
        """Whether frames wait for revocations to be known."""
        self._loop = asyncio.get_running_loop()

    def mark(self, audience: Audience) -> None:
        """It has something to tell."""
        self._wake()
        self._dirty.append(audience)

    def tell_state(self, watcher: Watcher, audience: Audience, join: Join, *, is_new: bool) -> None:
        """Tell one who has just joined what there is. Nothing else may wait: call `flush` before.

        `is_new` says that it was told nothing of the group before.

        Raises:
            GroupTooLarge: It cannot be told.
            ValuesAbsent: Not yet. Nothing has happened.
        """
        if watcher.is_behind:
            # It would wait with all else that is not read.
            audience.fall_behind(watcher)
        if audience.is_behind(watcher):
            audience.owe(watcher, join.room)
            return
        if join.since is not None and join.room.id is None and watcher.window(join.room) is None:
            frame = audience.states.since(join.since)
        else:
            frame = audience.states.of(join.room, watcher)
        if frame is not None:
            self.tell(watcher, frame)
            self._tell_drafts(watcher, audience, [join.room])
        else:
            audience.begin_parts(watcher, is_new=is_new)
            self._send_parts(watcher, audience, self._watched_by(watcher)[audience])

    def tell(self, watcher: Watcher, frame: bytes) -> None:
        """Tell one something of a room. Nothing else may wait."""
        self._measures.frames += 1
        self._write(frame, (watcher,))

    def tell_ids(self, watcher: Watcher, room: Room) -> None:
        """Tell one who has something else than the digest says which items there are.

        Raises:
            NotNow: It cannot be told.
        """
        self.tell(watcher, self._ready(watcher, room).states.ids())

    def tell_page(self, watcher: Watcher, room: Room, before: str, count: int) -> None:
        """Tell one who has the newest items of a group those before one that it names.

        Raises:
            NotNow: It cannot be told.
        """
        audience = self._ready(watcher, room)
        try:
            page = audience.states.page(before, count)
        except ValuesAbsent as absent:
            raise NotYet(audience, absent.ids) from None
        if page is None:
            raise NotNow("ITEM_NOT_FOUND", "there is no such item any more; join again")
        self.tell(watcher, page)

    def heartbeats(self, watcher: Watcher, since: float) -> bytes:
        """The digests of the rooms of a watcher that changed since then, by the monotonic clock.

        What waits is written before they are made, and they are to be written at once.
        """
        self.flush()
        if not self._access.is_current:
            return b""
        found = [
            frame
            for room in watcher.rooms()
            if (audience := self._audiences.telling(watcher, room)) is not None
            and audience.changed_at >= since
            and (frame := audience.heartbeat(watcher, room)) is not None
        ]
        self._measures.frames += len(found)
        return b"".join(found)

    def fall_behind(self, watcher: Watcher) -> None:
        """Write nothing to a watcher that does not read, until it does."""
        for audience in self._watched_by(watcher):
            audience.fall_behind(watcher)
        self.laggards.add(watcher)

    def catch_up(self, watcher: Watcher) -> None:
        """It reads again: tell it, with the next flush, what it has missed."""
        self.laggards.discard(watcher)
        self._wake()
        self._reading[watcher] = None

    def forget(self, watcher: Watcher) -> None:
        """It is gone, and has left its rooms."""
        self.laggards.discard(watcher)
        self._reading.pop(watcher, None)

    def flush(self) -> None:
        """Write every frame that waits, in one write per socket.

        Not while a revocation may have been missed: whoever it is about must not be told what came after.
        """
        if not (self._dirty or self._reading):
            return
        if not self._access.is_current:
            if not self._is_held:
                self._is_held = True
                self._tasks.start(
                    self._flush_when_current(), name="gateway: flush when revocations are known"
                )
            return
        dirty, self._dirty = self._dirty, []
        told = [each for audience in dirty for each in self._taken(audience)]
        self._measures.frames += sum(len(each.watchers) * each.messages for each in told)
        if len(told) == 1:
            self._write(told[0].frames, told[0].watchers)
        else:
            parts: dict[Watcher, list[bytes]] = {}
            for each in told:
                for watcher in each.watchers:
                    parts.setdefault(watcher, []).append(each.frames)
            for watcher, own in parts.items():
                self._write(own[0] if len(own) == 1 else b"".join(own), (watcher,))
        # Last: what they are told is the newest, and nothing that waits is older than that.
        while self._reading:
            watcher, _ = self._reading.popitem()
            try:
                self._tell_what_was_missed(watcher)
            except Exception:
                # Of one; the others are told theirs.
                log.exception("what was missed could not be told; its socket is closed")
                watcher.close(CLOSE_INTERNAL_ERROR, "internal error")

    def _taken(self, audience: Audience) -> list[Told]:
        try:
            return audience.take()
        except Exception:
            log.exception("a group cannot be told of; its sockets are closed room=%s", audience.room)
            for watcher in audience.watchers():
                watcher.close(CLOSE_INTERNAL_ERROR, "internal error")
            return []

    def _ready(self, watcher: Watcher, room: Room) -> Audience:
        """The audience of a group that a watcher has joined, when nothing waits there."""
        audience = self._audiences.telling(watcher, room)
        if room.id is not None or audience is None:
            raise NotNow("NOT_JOINED", "this subscription is of no group, or its state has not come yet")
        if watcher.is_behind or audience.is_behind(watcher):
            raise NotNow("TOO_FAST", "read first what was sent; ask again then")
        self.flush()
        if not self._access.is_current:
            raise NotNow("AUTH_UNAVAILABLE", "it is not known at present what was revoked")
        return audience

    def _write(self, frames: bytes, watchers: Sequence[Watcher]) -> None:
        for watcher in watchers:
            watcher.write(frames)
        self._measures.writes += len(watchers)
        self._measures.bytes += len(watchers) * len(frames)

    def _tell_what_was_missed(self, watcher: Watcher) -> None:
        for audience, rooms in self._watched_by(watcher).items():
            if watcher.is_behind or not audience.is_behind(watcher):
                # It did not read for long. What is left comes when it reads again.
                continue
            if audience.is_receiving(watcher):
                self._send_parts(watcher, audience, rooms)
            else:
                self._catch_up(watcher, audience, rooms)

    def _catch_up(self, watcher: Watcher, audience: Audience, rooms: list[Room]) -> None:
        try:
            frames = audience.catch_up(watcher, rooms)
        except GroupTooLarge:
            for room in rooms:
                if room.id is None:
                    watcher.refuse(room, TOO_LARGE, TOO_LARGE_SENTENCE)
            if items := [room for room in rooms if room.id is not None]:
                audience.fall_behind(watcher, is_outdated=True)
                self._catch_up(watcher, audience, items)
            return
        except ValuesAbsent as absent:
            self._catch_up_later(watcher, audience, absent.ids)
            return
        if frames:
            self._measures.frames += len(frames)
            self._write(b"".join(frames), (watcher,))
        if audience.is_receiving(watcher):
            self._send_parts(watcher, audience, rooms)
        else:
            self._tell_drafts(watcher, audience, rooms)

    def _catch_up_later(self, watcher: Watcher, audience: Audience, absent: list[str]) -> None:
        """When these values are here. Until then it is behind."""

        def go_on() -> None:
            self.flush()
            if not self._access.is_current:
                self._reading[watcher] = None
            elif audience.is_behind(watcher) and not (watcher.is_behind or audience.is_receiving(watcher)):
                self._catch_up(watcher, audience, self._watched_by(watcher)[audience])

        self._cache.fetch(watcher, audience, absent, go_on)

    def _tell_drafts(self, watcher: Watcher, audience: Audience, rooms: Sequence[Room]) -> None:
        for frame in audience.drafts(watcher, rooms):
            self.tell(watcher, frame)

    def _send_parts(self, watcher: Watcher, audience: Audience, rooms: list[Room]) -> None:
        """Send the parts that it takes now. When it has all of them, it is told what became of it since."""
        while not watcher.is_behind:
            part = audience.next_part(watcher)
            if part is None:
                self._catch_up(watcher, audience, rooms)
                return
            self.tell(watcher, part)

    async def _flush_when_current(self) -> None:
        try:
            async with asyncio.timeout(HELD_SECONDS):
                while not self._access.is_current:
                    try:
                        await self._access.current()
                    except StreamsError as error:
                        log.warning("frames wait, because what was revoked is not known: %s", error)
                        await asyncio.sleep(random.uniform(0.2, 1.0))
        except TimeoutError:
            log.error("what was revoked cannot be known; all sockets are closed")
            self._dirty.clear()
            self._reading.clear()
            for audience in self._audiences:
                audience.take()
            self._send_away(CLOSE_INTERNAL_ERROR, "it is not known what was revoked; come back")
        finally:
            self._is_held = False
        self.flush()

    def _watched_by(self, watcher: Watcher) -> dict[Audience, list[Room]]:
        """The rooms whose states a watcher was sent, or is owed, by those who tell it of them."""
        found: dict[Audience, list[Room]] = {}
        for room in watcher.rooms():
            if (audience := self._audiences.telling(watcher, room)) is not None:
                found.setdefault(audience, []).append(room)
        return found

    def _wake(self) -> None:
        """Flush at the end of this tick, or when the quiet after a long flush is over."""
        if self._is_scheduled:
            return
        self._is_scheduled = True
        if self._loop.time() < self._quiet_until:
            self._loop.call_at(self._quiet_until, self._end_tick)
        else:
            self._loop.call_soon(self._end_tick)

    def _end_tick(self) -> None:
        self._is_scheduled = False
        began = time.monotonic()
        self.flush()
        took = time.monotonic() - began
        # Not `loop.time()`, which stands still for the length of a turn.
        if took > QUIET_FROM_SECONDS:
            self._quiet_until = began + took + min(took, MOST_QUIET_SECONDS)
