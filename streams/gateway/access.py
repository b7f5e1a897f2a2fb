"""Who may have what, for as long as a socket lasts. Every question that cannot be answered is a no.

Three have a say: the application's rules, revocations, and the bucket of a
stream, where provisioning has written whether there is a rule at all. So a
gateway without the application's files serves open streams, and never opens
a guarded one.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable
from typing import Protocol

from streams.access import AuthRequest, Caller, Subscription
from streams.auth.rules import OwnRules, Rules
from streams.auth.tokens import Verifier
from streams.errors import NotLetIn, StoreUnavailable
from streams.keys import checked_stream_name
from streams.messages import Room
from streams.store import Feed

log = logging.getLogger(__name__)

ASK_BUCKETS_SECONDS = 5.0
"""How often a bucket is asked whether its stream has a rule, before anything of it is read."""


class KnownRevoked(Protocol):
    """Which tokens do not count any more, although they are good."""

    @property
    def is_stale(self) -> bool:
        """Whether that is not known well enough to let anybody in."""
        ...

    @property
    def is_verified(self) -> bool:
        """Whether everything is known that was revoked before the line to NATS was last renewed."""
        ...

    @property
    def age_seconds(self) -> float:
        """How long ago all of it was known last."""
        ...

    async def current(self) -> None:
        """Return when everything is known that was revoked before this call. Mostly at once."""
        ...

    def voids(self, caller: Caller, subscription: Subscription | None = None) -> bool: ...


class Access:
    """What a gateway asks before it lets anybody have anything.

    `is_connected` says whether the line to NATS stands, for whoever wants to know how it is.
    """

    def __init__(
        self,
        verifier: Verifier,
        rules: Rules,
        revoked: KnownRevoked,
        feed: Feed,
        *,
        is_connected: Callable[[], bool] = lambda: True,
    ) -> None:
        self._verifier, self._rules, self._revoked, self._feed = verifier, rules, revoked, feed
        self._is_connected = is_connected
        self.needs_task = not isinstance(rules, OwnRules)
        """Whether `caller` may only be called in a task: rules of others may ask which one it is."""
        self._asked: dict[str, tuple[float, bool]] = {}
        """When a bucket was asked whether its stream has a rule, and what it said; of those that exist."""

    @property
    def is_ready(self) -> bool:
        """Whether anybody can be let in at present."""
        return not self._revoked.is_stale

    @property
    def is_current(self) -> bool:
        """Whether frames may go out: not while a revocation may have been missed."""
        return self._revoked.is_verified

    @property
    def is_connected(self) -> bool:
        """Whether the line to NATS stands, as far as is known."""
        return self._is_connected()

    @property
    def revocations_seconds(self) -> float:
        """How long ago it was known last what was revoked. It grows while NATS does not answer."""
        return self._revoked.age_seconds

    async def current(self) -> None:
        """Return when frames may go out again. Mostly at once."""
        await self._revoked.current()

    async def caller(self, token: str | None, request: AuthRequest) -> Caller:
        """Who it is that comes with this token, or without one.

        Raises:
            NotLetIn: It is not let in at all.
        """
        if not self.is_ready:
            raise NotLetIn("AUTH_UNAVAILABLE", "what was revoked is not known: NATS has not answered lately")
        claims = None if token is None else await self._verifier.claims(token)
        caller = Caller(claims, await self._rules.context(request, claims))
        if self._revoked.voids(caller):
            raise NotLetIn("TOKEN_REVOKED", f"the token of {caller.sub!r} was revoked")
        return caller

    def seconds_left(self, caller: Caller) -> float | None:
        """How long the caller's token lasts; None: it needs none."""
        return None if caller.claims is None else self._verifier.ends_at(caller.claims) - time.time()

    def is_void(self, caller: Caller, room: Room | None = None) -> bool:
        """Whether it was revoked, as far as is known now."""
        return self._revoked.voids(caller, room)

    async def check(self, caller: Caller, room: Room) -> None:
        """Ask whether the caller may have the room. Reads nothing of it.

        Raises:
            NotLetIn: It may not.
            InvalidName: No stream can have that name.
            UnknownStream: There is no such stream, nor a rule for it.
            BucketNotUsable: Its bucket cannot be served.
        """
        checked_stream_name(room.stream)
        self._refuse_revoked(caller, room)
        if self._rules.is_guarded(room.stream):
            if not await self._rules.may_see(caller.context, room):
                raise NotLetIn("STREAM_ACCESS_DENIED", "the stream's rule says no")
        elif await self._is_guarded_by_its_bucket(room.stream):
            raise _unknown_rule()

    async def check_sending(self, caller: Caller, room: Room) -> None:
        """Ask whether the caller may send events to the room.

        Raises:
            NotLetIn: It may not.
        """
        self._refuse_revoked(caller, room)
        if not await self._rules.may_send(caller.context, room):
            raise NotLetIn("SEND_DENIED", "the stream's rule says no, or there is none")

    async def confirm(
        self, whose: Callable[[], Caller], room: Room | None = None, *, is_guarded: bool = False
    ) -> None:
        """The last look before anything is told: what was revoked while we asked and read counts too.

        `is_guarded` is what the bucket said when the room was read: the stream
        may have got a rule meanwhile. Nothing waits between the answer and the return.

        Raises:
            NotLetIn: It was revoked, or there is a rule that was not asked.
        """
        await self._revoked.current()
        self._refuse_revoked(whose(), room)
        if is_guarded and room is not None and not self._rules.is_guarded(room.stream):
            raise _unknown_rule()

    def _refuse_revoked(self, caller: Caller, room: Room | None) -> None:
        if self.is_void(caller, room):
            raise NotLetIn("TOKEN_REVOKED", f"revoked for {caller.sub!r}")

    async def _is_guarded_by_its_bucket(self, stream: str) -> bool:
        """What the bucket said lately. What has changed since then, `confirm` finds."""
        now = asyncio.get_running_loop().time()
        asked_at, is_guarded = self._asked.get(stream, (-math.inf, True))
        if now - asked_at < ASK_BUCKETS_SECONDS:
            return is_guarded
        while True:
            try:
                is_guarded = await self._feed.is_guarded(stream)
                self._asked[stream] = (now, is_guarded)
                return is_guarded
            except StoreUnavailable as error:
                log.warning("cannot ask for a stream's rules, trying again: %s stream=%s", error, stream)
                await asyncio.sleep(random.uniform(0.2, 1.0))


def _unknown_rule() -> NotLetIn:
    return NotLetIn(
        "STREAM_ACCESS_DENIED",
        "the stream has a rule, and this gateway has not: start it with the application's folder",
    )
