"""What every connection of a client has in common, whatever it speaks."""

from __future__ import annotations

import asyncio
import random
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, cast

from streams.gateway.admission import Admitted, admission
from streams.gateway.alarms import Alarms, Moment
from streams.gateway.begun import begun
from streams.gateway.guest import Guest
from streams.gateway.handshake import Opening
from streams.messages import CLOSE_SERVICE_RESTART, CLOSE_TOO_SLOW

if TYPE_CHECKING:
    from streams.auth.origins import Origins
    from streams.gateway.hub import Hub

MAX_WAITING_BYTES, FEW_WAITING_BYTES = 256 * 1024, 64 * 1024
"""When more waits for a client than the one, it is behind, and is written nothing of what happens until
no more waits than the other."""

MAX_REPLIES_BYTES = 64 * 1024
"""What a client that is behind may ask for by what it says, such as pongs. More closes it with 4408."""

HANDSHAKE_SECONDS = 10.0
PING_SECONDS = 25.0
NO_CLOSE = 1006
"""What stands for a close code where a line ended without one."""
CLOSE_SECONDS = 5.0
"""How long a peer may take to answer a close before the line is cut."""


class ClientLine(asyncio.Protocol):
    """One connection, from its request to its end.

    It is a protocol of uvicorn: constructed with `config, server_state,
    app_state`, and a member of `server_state.connections` while it lives;
    `shutdown()` when the server ends.
    """

    # There may be many thousands, so each is small.
    __slots__ = (
        "_alarms",
        "_connections",
        "_guest",
        "_hub",
        "_is_open",
        "_moment",
        "_most_bytes",
        "_origins",
        "_transport",
        "is_behind",
    )

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        self._hub: Hub = app_state["hub"]
        self._origins: Origins = app_state["origins"]
        self._alarms = Alarms.of(app_state)
        self._connections: set[Any] = server_state.connections
        self._guest: Guest | None = None
        self._is_open = False
        self.is_behind = False
        """Whether the client does not read what was written."""
        self._most_bytes = 0
        """What may wait for it while it is behind."""
        self._moment: Moment | None = None
        """Of its next ping, or of its end."""

    # What the hub asks of it.

    def write(self, frames: bytes) -> None:
        if self._is_open:
            self._transport.write(frames)
            if self.is_behind:
                self._check_replies()

    @property
    def unread_bytes(self) -> int:
        return self._transport.get_write_buffer_size()

    @abstractmethod
    def close(self, code: int, reason: str) -> None: ...

    def cut(self, code: int, reason: str) -> None:
        self.close(code, reason)
        self._transport.abort()

    def hold(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def go_on(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # What uvicorn asks of it.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)
        self._transport.set_write_buffer_limits(high=MAX_WAITING_BYTES, low=FEW_WAITING_BYTES)

    def eof_received(self) -> None:
        self._stop()
        # One that says no more and reads no more would stay for ever: the line ends when all is read.
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._end()
        # They know each other: without this, both would wait for the garbage collector.
        self._guest = None
        self._no_alarm()

    def pause_writing(self) -> None:
        self.is_behind = True
        self._most_bytes = self.unread_bytes + MAX_REPLIES_BYTES
        if self._guest is not None:
            self._guest.fall_behind()

    def resume_writing(self) -> None:
        self.is_behind = False
        if self._guest is not None:
            self._guest.catch_up()

    def shutdown(self) -> None:
        """The server ends: tell the client to come back."""
        if self._is_open:
            self.close(CLOSE_SERVICE_RESTART, "service restart")
        else:
            self._transport.close()

    def asked(self, opening: Opening) -> None:
        """Somebody wants to open it, and says so as one must."""
        admitting = self._admit(opening)
        rest = admitting if self._hub.access.needs_task else begun(admitting)
        if rest is not None:
            # What is said before the answer is heard after it, if there is anybody to say it then.
            self.hold()
            self._hub.start(rest, name="gateway: admit a client")
        if not self._is_open:
            # It is not known yet who it is; or it was refused, and may not take that.
            self._alarm_after(HANDSHAKE_SECONDS)

    def alarm(self) -> None:
        """Its deadline has come: for whatever it was to do, or to be done with it."""
        if not self._is_open:
            self._transport.abort()
        elif self.is_behind:
            # A ping would wait behind what is not read. Who reads nothing is sent away by the hub.
            self._ping_again()
        else:
            self._ping()

    # What its kinds do in their own ways.

    @abstractmethod
    def _begin(self, admitted: Admitted) -> Guest:
        """Answer that it is open. Who is there."""

    @abstractmethod
    def _ping(self) -> None:
        """Look whether the client is there, and `_ping_again`."""

    @abstractmethod
    def _close_code(self) -> int:
        """What it was closed with."""

    # What they have in common.

    async def _admit(self, opening: Opening) -> None:
        try:
            admitted = await admission(self._hub, self._origins, opening, self._peer())
            if isinstance(admitted, Admitted):
                self._open(admitted)
            else:
                self._refuse(admitted)
        finally:
            self.go_on()

    def _open(self, admitted: Admitted) -> None:
        if self._transport.is_closing():
            return
        self._is_open = True
        self._guest = self._begin(admitted)
        self._hub.guests.tally.opened += 1
        self._guest.welcome(PING_SECONDS)
        # Spread, so that ten thousand clients that came together do not answer together.
        self._alarm_after(PING_SECONDS * random.uniform(0.5, 1.0))

    def _refuse(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)
            self._transport.close()

    def _peer(self) -> str | None:
        address = self._transport.get_extra_info("peername")
        return str(address[0]) if isinstance(address, tuple) else None

    def _stop(self) -> None:
        """End it, and do not wait for ever until the line ends too."""
        if self._is_open:
            self._end()
            self._alarm_after(CLOSE_SECONDS)

    def _end(self) -> None:
        """No frame goes out any more, and nothing is watched."""
        if not self._is_open:
            return
        self._is_open = False
        self._hub.guests.tally.closed[self._close_code()] += 1
        if self._guest is not None:
            self._guest.gone()

    def _check_replies(self) -> None:
        if self._is_open and self.unread_bytes > self._most_bytes:
            self.close(CLOSE_TOO_SLOW, "too slow: come back for a fresh state")

    def _ping_again(self) -> None:
        self._alarm_after(PING_SECONDS)

    def _alarm_after(self, seconds: float) -> None:
        self._no_alarm()
        self._moment = self._alarms.add(self, seconds)

    def _no_alarm(self) -> None:
        if self._moment is not None:
            self._moment.pop(self, None)
            self._moment = None
