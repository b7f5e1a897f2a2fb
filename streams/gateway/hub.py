"""Who watches what: joins, leaves, and one flush per tick of the event loop.

A hub exists only while it runs. It owns one audience for every watched
group, each with a follower of its own; one group's trouble never ends the
others.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from streams.errors import (
    BucketNotUsable,
    InvalidName,
    NotLetIn,
    StoreUnavailable,
    StreamsError,
    UnknownStream,
)
from streams.gateway.access import Access
from streams.gateway.audience import Audience
from streams.gateway.guests import Guests
from streams.gateway.laggards import STALL_SECONDS, UNREAD_BYTES, Laggards
from streams.gateway.measures import Measures
from streams.gateway.watcher import Watcher
from streams.messages import CLOSE_INTERNAL_ERROR, Room
from streams.store import Feed, Store
from streams.tasks import BackgroundTasks, background_tasks

log = logging.getLogger(__name__)

LOOK_FOR_LOSSES_SECONDS = 15.0
"""How often every watched group is compared with its bucket. Costs one request where nothing was written."""

LINGER_SECONDS = 10.0
"""How long a group is followed after its last watcher left: a page that reloads finds it warm."""


HELD_SECONDS = 30.0
"""How long frames may wait for revocations to be known, before everybody is sent away."""


class Hub:
    """All groups that are watched through this process, and who watches them."""

    def __init__(
        self,
        feed: Feed,
        access: Access,
        events: Store,
        tasks: BackgroundTasks,
        *,
        linger_seconds: float,
        stall_seconds: float,
        unread_bytes: int,
    ) -> None:
        self.access, self.measures = access, Measures()
        self.guests = Guests(access, tasks)
        self.is_leaving = False
        """Whether this gateway is about to end: it serves, and new clients had better go elsewhere."""
        self._feed, self._events, self._tasks, self._linger = feed, events, tasks, linger_seconds
        self._audiences: dict[tuple[str, str], Audience] = {}
        self._followers: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._dirty: list[Audience] = []
        self._laggards = Laggards(self.measures, stall_seconds=stall_seconds, unread_bytes=unread_bytes)
        self._reading: dict[Watcher, None] = {}
        """Those who were behind and read again, and must be told what they missed."""
        self._is_held = False
        """Whether frames wait for revocations to be known."""
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
    ) -> AsyncIterator[Hub]:
        """A hub for the length of the block. What clients send goes out through `events`.

        Rules are asked again about everybody every `recheck_seconds`. A
        client that takes nothing for `stall_seconds` is sent away, and some
        are when more than `unread_bytes` wait for all of them.
        """
        async with background_tasks() as tasks:
            hub = cls(
                feed,
                access,
                events,
                tasks,
                linger_seconds=linger_seconds,
                stall_seconds=stall_seconds,
                unread_bytes=unread_bytes,
            )
            tasks.start(hub._look_for_losses(look_for_losses_seconds), name="gateway: look for losses")
            if recheck_seconds is not None:
                tasks.start(hub.guests.recheck_every(recheck_seconds), name="gateway: ask rules again")
            yield hub

    def join(self, watcher: Watcher, room: Room) -> None:
        """Send the room's state, and from then on every change, for as long as the watcher wants it.

        Returns at once. A room that cannot be joined is refused in the room.
        """
        self._tasks.start(self._join(watcher, room), name=f"gateway: join {room}")

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
        if audience := self._audiences.get((room.stream, room.group)):
            audience.remove(watcher, room)
            self._end_later(audience)

    def fall_behind(self, watcher: Watcher) -> None:
        """Write nothing to a watcher that does not read, until it does."""
        for audience in self._watched_by(watcher):
            audience.fall_behind(watcher)
        self._laggards.add(watcher)

    def catch_up(self, watcher: Watcher) -> None:
        """It reads again: tell it, at the end of this tick, what it has missed."""
        self._laggards.discard(watcher)
        self._wake()
        self._reading[watcher] = None

    def forget(self, watcher: Watcher) -> None:
        """It is gone, and has left its rooms."""
        self._laggards.discard(watcher)
        self._reading.pop(watcher, None)

    def flush(self) -> None:
        """Write every frame that waits, in one write per socket.

        Not while a revocation may have been missed: whoever it is about must not be told what came after.
        """
        if not (self._dirty or self._reading):
            return
        if not self.access.is_current:
            if not self._is_held:
                self._is_held = True
                self._tasks.start(
                    self._flush_when_current(), name="gateway: flush when revocations are known"
                )
            return
        dirty, self._dirty = self._dirty, []
        told = [each for audience in dirty for each in audience.take()]
        self.measures.frames += sum(len(each.watchers) * each.messages for each in told)
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
            self._tell_what_was_missed(self._reading.popitem()[0])

    def _write(self, frames: bytes, watchers: Sequence[Watcher]) -> None:
        for watcher in watchers:
            watcher.write(frames)
        self.measures.writes += len(watchers)
        self.measures.bytes += len(watchers) * len(frames)

    def _tell_what_was_missed(self, watcher: Watcher) -> None:
        rooms: dict[tuple[str, str], list[Room]] = {}
        for room in watcher.rooms():
            rooms.setdefault((room.stream, room.group), []).append(room)
        for key, own in rooms.items():
            audience = self._audiences.get(key)
            if watcher.is_behind or audience is None or not audience.is_behind(watcher):
                # It did not read for long. What is left comes when it reads again.
                continue
            frames = audience.catch_up(watcher, [room for room in own if audience.is_watched(watcher, room)])
            if frames:
                self.measures.frames += len(frames)
                self._write(b"".join(frames), (watcher,))

    async def _flush_when_current(self) -> None:
        try:
            async with asyncio.timeout(HELD_SECONDS):
                while not self.access.is_current:
                    try:
                        await self.access.current()
                    except StreamsError as error:
                        log.warning("frames wait, because what was revoked is not known: %s", error)
                        await asyncio.sleep(random.uniform(0.2, 1.0))
        except TimeoutError:
            log.error("what was revoked cannot be known; all sockets are closed")
            self._dirty.clear()
            self._reading.clear()
            for audience in self._audiences.values():
                audience.take()
            self.guests.send_away(CLOSE_INTERNAL_ERROR, "it is not known what was revoked; come back")
        finally:
            self._is_held = False
        self.flush()

    @property
    def watched_groups(self) -> int:
        return len(self._audiences)

    @property
    def watched_rooms(self) -> int:
        """Groups and single items, each once for every client that watches it."""
        return sum(audience.rooms_watched for audience in self._audiences.values())

    @property
    def behind(self) -> int:
        """Clients that do not read."""
        return len(self._laggards)

    @property
    def unread_bytes(self) -> int:
        """What was written to clients that do not read, and is not yet on its way."""
        return self._laggards.unread_bytes

    @property
    def cached_bytes(self) -> int:
        """The values of all items of all groups that are watched."""
        return sum(audience.follower.group.size for audience in self._audiences.values())

    def not_ready(self) -> list[str]:
        """Why new clients had better go elsewhere; empty: they need not. Anybody may read it."""
        reasons = []
        if not self.access.is_ready:
            reasons.append("NATS is away")
        if self.is_leaving:
            reasons.append("this gateway is about to end")
        return reasons

    async def _join(self, watcher: Watcher, room: Room) -> None:
        try:
            # Before anything is read: a refusal says nothing of what there is, not even by its time.
            async with watcher.questions:
                await self.access.check(watcher.caller, room)
            audience = await self._fresh(room)
            await self.access.confirm(lambda: watcher.caller, room, is_guarded=audience.is_guarded)
        except NotLetIn as error:
            log.info("a join was refused: %s session=%s room=%s", error.reason, watcher.session, room)
            _refuse(watcher, room, error.code, str(error))
            return
        except (InvalidName, UnknownStream) as error:
            _refuse(watcher, room, "STREAM_NOT_FOUND", str(error))
            return
        except BucketNotUsable as error:
            log.error("a join was refused: %s", error)
            _refuse(watcher, room, "STREAM_NOT_USABLE", "this stream cannot be served at present")
            return
        except StoreUnavailable as error:
            log.warning("a join failed; its socket is closed: %s room=%s", error, room)
            watcher.close(CLOSE_INTERNAL_ERROR, "NATS is away; come back")
            return
        except Exception:
            log.exception("a join failed; its socket is closed room=%s", room)
            watcher.close(CLOSE_INTERNAL_ERROR, "internal error")
            return
        # From here on nothing waits: what is pending was committed before
        # the state that is sent now, and goes to those who were here before.
        if watcher.watches(room):
            self.flush()
            audience.add(watcher, room)
            if watcher.is_behind:
                # It would wait with all else that is not read.
                audience.fall_behind(watcher, is_outdated=True)
            else:
                self.measures.frames += 1
                self._write(audience.state(room), (watcher,))

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
            audience = self._audiences[key] = Audience(self._feed, stream, group, self.measures, self._mark)
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
        except StoreUnavailable as error:
            log.warning("a group could not be followed: %s group=%s/%s", error, *key)
            for watcher in audience.watchers():
                watcher.close(CLOSE_INTERNAL_ERROR, "NATS is away; come back")
        except Exception:
            log.exception("a group cannot be followed any more; its sockets are closed group=%s/%s", *key)
            for watcher in audience.watchers():
                watcher.close(CLOSE_INTERNAL_ERROR, "internal error")
        finally:
            if self._audiences.get(key) is audience:
                del self._audiences[key], self._followers[key]

    def _watched_by(self, watcher: Watcher) -> list[Audience]:
        keys = {(room.stream, room.group) for room in watcher.rooms()}
        return [audience for key in keys if (audience := self._audiences.get(key)) is not None]

    def _mark(self, audience: Audience) -> None:
        self._wake()
        self._dirty.append(audience)

    def _wake(self) -> None:
        """Flush at the end of this tick."""
        if not (self._dirty or self._reading):
            self._loop.call_soon(self.flush)

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


def _refuse(watcher: Watcher, room: Room, code: str, sentence: str) -> None:
    # It may have left meanwhile, or lost the room already.
    if watcher.watches(room):
        watcher.refuse(room, code, sentence)
