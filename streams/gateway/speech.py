"""What one client sends to the others of a room: asked about, signed with its name, and never stored."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import orjson

from streams import envelope
from streams.channels import event_text
from streams.errors import EventRefused, NotLetIn, StoreUnavailable, UnknownStream
from streams.gateway.frames import text_frame
from streams.messages import Room, Send

if TYPE_CHECKING:
    from streams.gateway.guest import Guest
    from streams.gateway.hub import Hub

log = logging.getLogger(__name__)

MAX_EVENT_BYTES = 4096
"""Longest event that is taken from a client, as JSON text."""

ROOMS_REMEMBERED = 100
"""Rooms of which it is remembered that the client may send there. Beyond them the rule is asked again."""


class Speech:
    """The events of one client, in their order."""

    __slots__ = ("_allowed", "_guest", "_hub", "_is_over", "_waiting")

    def __init__(self, hub: Hub, guest: Guest) -> None:
        self._hub, self._guest = hub, guest
        self._waiting: list[Send] = []
        self._allowed: dict[Room, None] = {}
        self._is_over = False

    def say(self, send: Send) -> None:
        """Send it after those of before. The client is told how it went where it wants to know."""
        self._waiting.append(send)
        if len(self._waiting) == 1:
            self._hub.start(self._send_all(), name="gateway: send a client's events")

    def forget_what_was_allowed(self) -> None:
        self._allowed.clear()

    def end(self) -> None:
        """Send nothing more."""
        self._is_over = True
        self._waiting.clear()

    async def _send_all(self) -> None:
        while self._waiting:
            send = self._waiting[0]
            refused = await self._refusal(send)
            if refused is not None:
                self._guest.say_no(*refused, send.ref)
            elif send.ref is not None:
                self._guest.write(text_frame(envelope.ack(send.ref)))
            del self._waiting[:1]

    async def _refusal(self, send: Send) -> tuple[str, str] | None:
        """Send one event, or say why not: a code and a sentence."""
        try:
            await self._send(send)
        except NotLetIn as error:
            log.info(
                "an event was refused: %s session=%s room=%s", error.reason, self._guest.session, send.room
            )
            return error.code, str(error)
        except EventRefused as error:
            return "EVENT_REFUSED", str(error)
        except UnknownStream as error:
            return "STREAM_NOT_FOUND", str(error)
        except StoreUnavailable:
            return "STORE_UNAVAILABLE", "it may not have been sent; try again"
        except Exception:
            log.exception("an event was not sent session=%s room=%s", self._guest.session, send.room)
            return "INTERNAL_ERROR", "it was not sent"
        return None

    async def _send(self, send: Send) -> None:
        event, room, access = event_text(send.event), send.room, self._hub.access
        if len(event) > MAX_EVENT_BYTES:
            raise EventRefused(f"the event is {len(event)} bytes long, and {MAX_EVENT_BYTES} is the limit")
        if room not in self._allowed:
            caller = self._guest.caller
            await access.check_sending(caller, room)
            if len(self._allowed) >= ROOMS_REMEMBERED:
                self._allowed.clear()
            if self._guest.caller is caller:
                self._allowed[room] = None
        await access.confirm(lambda: self._guest.caller, room)
        if self._is_over:
            return
        # At the very beginning, where nothing that a client says can stand.
        speaker = orjson.dumps({"session": self._guest.session, "sub": self._guest.caller.sub})
        signed = b'{"from":%s,%s' % (speaker, event[1:])
        await self._hub.send(room, signed, is_awaited=send.ref is not None)
