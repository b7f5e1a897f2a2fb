"""Who a client is, over time: the tokens that it brings on an open socket, one after the other.

What it says after a token waits until the token is taken, so that whoever
sends one and then a join joins as who it is.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from streams.access import AuthRequest
from streams.errors import NotLetIn
from streams.messages import CLOSE_INTERNAL_ERROR, CLOSE_UNAUTHORIZED

if TYPE_CHECKING:
    from streams.gateway.guest import Guest
    from streams.gateway.hub import Hub

log = logging.getLogger(__name__)


class Line(Protocol):
    """The socket of a client."""

    def write(self, frames: bytes) -> None:
        """Send one or more whole frames. Never waits; a socket that is gone ignores it."""
        ...

    def close(self, code: int, reason: str) -> None: ...

    def cut(self, code: int, reason: str) -> None:
        """Close, and let go at once of what was not read."""
        ...

    @property
    def is_behind(self) -> bool:
        """Whether the client does not read what was written."""
        ...

    @property
    def unread_bytes(self) -> int:
        """What was written and is not yet on its way."""
        ...

    def hold(self) -> None:
        """Read nothing until `go_on`."""
        ...

    def go_on(self) -> None: ...


class Proof:
    """The tokens of one client."""

    __slots__ = ("_guest", "_held", "_hub", "_line", "_request", "is_under_way")

    def __init__(self, hub: Hub, guest: Guest, line: Line, request: AuthRequest) -> None:
        self._hub, self._guest, self._line, self._request = hub, guest, line, request
        self._held: list[bytes] = []
        self.is_under_way = False
        """Whether it is not known yet who the client is by its newest token."""

    def take_later(self, token: str) -> None:
        self.is_under_way = True
        self._line.hold()
        self._hub.start(self._authenticate(token), name="gateway: take a token")

    def hold(self, message: bytes) -> None:
        """Hear something that the client said when it is known who it is."""
        self._held.append(message)

    def end(self) -> None:
        """The client is gone."""
        self._held.clear()

    async def _authenticate(self, token: str) -> None:
        try:
            await self._take(token)
        except Exception:
            log.exception("a token could not be taken session=%s", self._guest.session)
            self._guest.close(CLOSE_INTERNAL_ERROR, "internal error")
        finally:
            self.is_under_way = False
            while self._held and not self.is_under_way:
                self._guest.hear(self._held.pop(0))
            if not self.is_under_way:
                self._line.go_on()

    async def _take(self, token: str) -> None:
        access, guest = self._hub.access, self._guest
        try:
            caller = await access.caller(token, self._request)
            await access.confirm(lambda: caller)
        except NotLetIn as error:
            log.info("a token was not taken: %s session=%s", error.reason, guest.session)
            if guest.caller.claims is None and error.code != "AUTH_UNAVAILABLE":
                # Who meant to be somebody is not served as nobody.
                guest.close(CLOSE_UNAUTHORIZED, str(error))
            else:
                guest.say_no(error.code, str(error))
            return
        if guest.caller.sub not in (None, caller.sub):
            # What is on this socket was for the other one.
            log.warning("a token of another user came session=%s", guest.session)
            guest.close(CLOSE_UNAUTHORIZED, "this token is another user's; open a socket of its own")
            return
        if not guest.is_gone:
            guest.become(caller)
            await self._hub.guests.recheck(guest)
