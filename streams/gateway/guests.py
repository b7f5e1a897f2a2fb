"""Everybody who is in, and the question, asked again, whether they may stay."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from streams.auth.revocations import Revocation
from streams.errors import BucketNotUsable, InvalidName, NotLetIn, UnknownStream
from streams.gateway.access import Access
from streams.gateway.watcher import Watcher
from streams.messages import CLOSE_UNAUTHORIZED, Room
from streams.tasks import BackgroundTasks

log = logging.getLogger(__name__)

ASKED_AT_ONCE = 32
"""Questions to rules that one look at everybody has under way."""


class Insider(Watcher, Protocol):
    """A client that was let in."""

    is_gone: bool
    """Whether its socket is closed, or about to be."""

    def say_bye(self, after_seconds: float) -> None:
        """Tell it to go elsewhere after so long. It is closed a little later."""
        ...

    def say_stale(self, is_stale: bool) -> None:
        """Tell it that what it has may be old, or is not any more."""
        ...

    def forget_what_was_allowed(self) -> None:
        """Ask anew before the next event of this client is sent."""
        ...


@dataclass(slots=True)
class Tally:
    """What happened to clients since this process started, for whoever asks; by codes, which are few."""

    opened: int = 0
    """Sockets."""
    turned_away: Counter[str] = field(default_factory=Counter)
    """Sockets that were not opened, by the code of the answer."""
    closed: Counter[int] = field(default_factory=Counter)
    """Sockets that were open, by close code. It may be the client's, and so any number."""
    refused: Counter[str] = field(default_factory=Counter)
    """Rooms that a client asked for, or had, and does not get."""


class Guests:
    """All clients of this process."""

    def __init__(self, access: Access, tasks: BackgroundTasks) -> None:
        self.tally = Tally()
        self._access, self._tasks = access, tasks
        self._everybody: dict[Insider, None] = {}
        self._by_sub: dict[str, dict[Insider, None]] = {}

    def __len__(self) -> int:
        return len(self._everybody)

    def everybody(self) -> list[Insider]:
        return list(self._everybody)

    def enter(self, guest: Insider) -> None:
        self._everybody[guest] = None
        if (sub := guest.caller.sub) is not None:
            self._by_sub.setdefault(sub, {})[guest] = None

    def exit(self, guest: Insider) -> None:
        """Forget a client. Who was never in, or is somebody else by now, is no error."""
        self._everybody.pop(guest, None)
        sub = guest.caller.sub
        if sub is not None and (others := self._by_sub.get(sub)) is not None:
            others.pop(guest, None)
            if not others:
                del self._by_sub[sub]

    def revoked(self, revocations: Iterable[Revocation]) -> None:
        """Let those go whom a revocation is about, at once, and ask the rules about those who may stay."""
        asked: dict[Insider, None] = {}
        for revocation in revocations:
            log.info("revoked: %s", revocation)
            meant = self._everybody if revocation.sub is None else self._by_sub.get(revocation.sub, {})
            for guest in list(meant):
                guest.forget_what_was_allowed()
                if self._access.is_void(guest.caller):
                    guest.close(CLOSE_UNAUTHORIZED, "the token was revoked; come back with a new one")
                    continue
                for room in guest.rooms():
                    if self._access.is_void(guest.caller, room):
                        _refuse(guest, room, NotLetIn("TOKEN_REVOKED", "revoked"))
                    elif revocation.concerns(room.stream, room.group):
                        asked[guest] = None
        if asked:
            self._tasks.start(self._recheck_all(list(asked)), name="gateway: ask again after a revocation")

    def send_away(self, code: int, reason: str) -> None:
        """Close every socket."""
        for guest in list(self._everybody):
            guest.close(code, reason)

    def say_stale(self, is_stale: bool) -> None:
        """Tell everybody that what they have may be old, or is not any more."""
        for guest in list(self._everybody):
            guest.say_stale(is_stale)

    async def recheck(self, guest: Insider) -> None:
        """Ask again about every room that a client has, and take away those that it may not have any more."""
        await self._recheck_all([guest])

    async def recheck_everybody(self) -> None:
        """The same about every client."""
        everybody = list(self._everybody)
        for guest in everybody:
            guest.forget_what_was_allowed()
        await self._recheck_all(everybody)

    async def recheck_every(self, seconds: float) -> None:
        """Ask again about everybody, for ever."""
        while True:
            await asyncio.sleep(seconds * random.uniform(0.9, 1.1))
            await self.recheck_everybody()

    async def _recheck_all(self, guests: Sequence[Insider]) -> None:
        questions = ((guest, room) for guest in guests for room in guest.rooms())
        while some := list(islice(questions, ASKED_AT_ONCE)):
            await asyncio.gather(*(self._recheck(guest, room) for guest, room in some))

    async def _recheck(self, guest: Insider, room: Room) -> None:
        caller = guest.caller
        try:
            await self._access.check(caller, room)
        except NotLetIn as error:
            # Somebody with a fresh token by now is asked about with that.
            if guest.caller is caller and guest.watches(room):
                _refuse(guest, room, error)
        except (UnknownStream, InvalidName, BucketNotUsable) as error:
            log.debug("not asked again: %s", error)
        except Exception:
            log.exception("it could not be asked again; the room is taken away room=%s", room)
            if guest.caller is caller and guest.watches(room):
                _refuse(guest, room, NotLetIn("STREAM_ACCESS_DENIED", "the question failed"))


def _refuse(guest: Insider, room: Room, error: NotLetIn) -> None:
    log.info("taken away: %s session=%s room=%s", error.reason, guest.session, room)
    guest.refuse(room, error.code, str(error))
