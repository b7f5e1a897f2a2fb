"""One client: who it is, what it asks for, and what it has joined. Its socket is elsewhere.

A message that proves who the client is holds up those behind it, so that
whoever sends a token and then a join joins as who it is.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import TYPE_CHECKING

from streams import envelope
from streams.access import AuthRequest, Caller
from streams.envelope import PING, PONG, Envelope
from streams.gateway.frames import text_frame
from streams.gateway.not_told import NotNow, NotYet
from streams.gateway.pace import Pace
from streams.gateway.proof import Line, Proof
from streams.gateway.session import MAX_SUBSCRIPTIONS, Session, TooManySubscriptions
from streams.gateway.speech import Speech
from streams.messages import (
    CLOSE_UNAUTHORIZED,
    Auth,
    BadMessage,
    BadRoom,
    Ids,
    Join,
    Leave,
    Page,
    Ping,
    Pong,
    Room,
    Send,
    parse,
)

if TYPE_CHECKING:
    from streams.gateway.hub import Hub

log = logging.getLogger(__name__)

FEATURES = ("auth", "send", "resume", "pages")
"""What this gateway has of the extended dialect, beside what every one has."""

SENDS = (20.0, 40)
"""Events and tokens of one client: so many a second, so many at once."""

QUESTIONS_AT_ONCE = 4
"""Joins of one client that rules are asked about at the same time; the others wait in line."""

LONGEST_TIMER_SECONDS = 24 * 3600.0
"""A token may last for years; it is looked at again after so long."""


class Guest:
    """One client that was let in, until `gone`."""

    # There may be many thousands, so each is small.
    __slots__ = (
        "_alive_at",
        "_expiry",
        "_hub",
        "_line",
        "_loop",
        "_pace",
        "_proof",
        "_questions",
        "_request",
        "_rooms",
        "_speech",
        "caller",
        "is_extended",
        "is_gone",
        "session",
        "write",
    )

    def __init__(
        self, hub: Hub, line: Line, caller: Caller, request: AuthRequest, *, is_extended: bool
    ) -> None:
        self.caller, self.session = caller, secrets.token_urlsafe(12)
        self.is_extended = is_extended
        # Not a method that calls it: this is called for every frame of every client.
        self.write = line.write
        self._hub, self._line = hub, line
        # Only they bring fresh tokens, for which it is needed again; it is most of what a client takes.
        self._request = request if is_extended else None
        self._loop = asyncio.get_running_loop()
        self._rooms = Session()
        self.is_gone = False
        self._alive_at = time.monotonic()
        self._proof: Proof | None = None
        self._speech: Speech | None = None
        self._pace: Pace | None = None
        self._questions: asyncio.Semaphore | None = None
        self._expiry: asyncio.TimerHandle | None = None

    def welcome(self, ping_seconds: float) -> None:
        """The socket is open."""
        self._hub.guests.enter(self)
        self._expire_later()
        if self.is_extended:
            told = envelope.hello(
                self.session,
                ping_seconds=ping_seconds,
                sub=self.caller.sub,
                expires=self._expires(),
                features=FEATURES,
            )
            self.write(text_frame(told))
            if self._hub.is_stale:
                self.say_stale(True)

    def gone(self) -> None:
        """The socket is closed, or about to be."""
        if self.is_gone:
            return
        self.is_gone = True
        if self._expiry is not None:
            self._expiry.cancel()
        if self._proof is not None:
            self._proof.end()
        if self._speech is not None:
            self._speech.end()
        for room in self._rooms.rooms():
            self._hub.leave(self, room)
        self._hub.guests.exit(self)
        self._hub.outbox.forget(self)

    def fall_behind(self) -> None:
        """The client does not read any more what is written."""
        if not self.is_gone:
            self._hub.outbox.fall_behind(self)

    def catch_up(self) -> None:
        """It does again."""
        if not self.is_gone:
            self._hub.outbox.catch_up(self)

    # What the hub asks of it.

    def close(self, code: int, reason: str) -> None:
        self._line.close(code, reason)

    def cut(self, code: int, reason: str) -> None:
        self._line.cut(code, reason)

    @property
    def is_behind(self) -> bool:
        return self._line.is_behind

    @property
    def unread_bytes(self) -> int:
        return self._line.unread_bytes

    def watches(self, room: Room) -> bool:
        return not self.is_gone and self._rooms.watches(room)

    def rooms(self) -> set[Room]:
        return self._rooms.rooms()

    def window(self, room: Room) -> int | None:
        return self._rooms.window(room)

    def alive(self) -> bytes:
        """The ping that pages see, and what its rooms hold, in short. None of it for Motia's clients."""
        if not self.is_extended or self.is_gone:
            return b""
        since, self._alive_at = self._alive_at, time.monotonic()
        return _PING + self._hub.outbox.heartbeats(self, since)

    @property
    def questions(self) -> asyncio.Semaphore:
        """Held while a rule is asked about this client: one client alone does not keep all their threads."""
        if self._questions is None:
            self._questions = asyncio.Semaphore(QUESTIONS_AT_ONCE)
        return self._questions

    def refuse(self, room: Room, code: str, sentence: str) -> None:
        self._rooms.forget(room)
        self._hub.leave(self, room)
        self._say_refused(room, code, sentence)

    def forget_what_was_allowed(self) -> None:
        """Ask anew before the next event of this client is sent."""
        if self._speech is not None:
            self._speech.forget_what_was_allowed()

    def say_bye(self, after_seconds: float) -> None:
        """Tell the client to go elsewhere after so long."""
        if self.is_extended:
            self.write(text_frame(envelope.bye(after_seconds)))

    def say_stale(self, is_stale: bool) -> None:
        """Tell the client that what it has may be old, or is not any more."""
        if self.is_extended:
            self.write(text_frame(envelope.stale(is_stale)))

    def say_no(self, code: str, sentence: str, ref: str | int | None = None) -> None:
        """Tell the client that what it said is not done."""
        self.write(text_frame(envelope.error(code, sentence, ref)))

    # What the client says.

    def hear(self, message: bytes) -> None:
        """Take one message of the client."""
        if self.is_gone:
            return
        if self._proof is not None and self._proof.is_under_way:
            self._proof.hold(message)
            return
        try:
            command = parse(message, is_extended=self.is_extended)
        except BadRoom as error:
            self.refuse(Room(error.stream, error.group, error.id), "INVALID_NAME", str(error))
            return
        except BadMessage as error:
            self.say_no("BAD_MESSAGE", str(error), error.ref)
            return
        match command:
            case Join():
                self._join(command)
            case Leave():
                left = self._rooms.leave(command)
                if left is not None:
                    self._hub.leave(self, left)
            case Ids() | Page():
                self._ask(command)
            case Ping():
                self.write(text_frame(PONG))
            case Pong():
                pass
            case Auth():
                self._authenticate_later(command)
            case Send():
                self._send_later(command)

    def _join(self, join: Join) -> None:
        try:
            left = self._rooms.join(join)
        except TooManySubscriptions:
            sentence = f"this connection holds {MAX_SUBSCRIPTIONS} subscriptions, which is the limit"
            # Not `refuse`: the room may be watched by another subscription.
            self._say_refused(join.room, "TOO_MANY_SUBSCRIPTIONS", sentence)
            return
        if left is not None:
            self._hub.leave(self, left)
        self._hub.join(self, join)

    def _ask(self, question: Ids | Page) -> None:
        if self._is_in_pace():
            self._answer(question)
        else:
            self.say_no("TOO_FAST", "questions come too fast; wait a moment", question.subscription)

    def _answer(self, question: Ids | Page) -> None:
        room = self._rooms.room(question.subscription)
        try:
            if room is None:
                raise NotNow("NOT_JOINED", "there is no such subscription")
            if isinstance(question, Ids):
                self._hub.outbox.tell_ids(self, room)
            else:
                self._hub.outbox.tell_page(self, room, question.before, question.last)
        except NotNow as refused:
            self.say_no(refused.code, str(refused), question.subscription)
        except NotYet as first:
            self._hub.cache.fetch(self, first.audience, first.ids, lambda: self._answer(question))

    def _say_refused(self, room: Room, code: str, sentence: str) -> None:
        self._hub.guests.tally.refused[code] += 1
        frames = Envelope(room.stream, room.group)
        if self.is_extended:
            self.write(text_frame(frames.unauthorized(room.id, code, sentence)))
        else:
            self.write(b"".join(map(text_frame, frames.refused(room.id, code, sentence))))

    # Who it is, over time.

    def become(self, caller: Caller) -> None:
        """It has shown a fresh token."""
        self._hub.guests.exit(self)
        self.caller = caller
        self._hub.guests.enter(self)
        self.forget_what_was_allowed()
        self._expire_later()
        self.write(text_frame(envelope.authenticated(caller.sub, self._expires())))

    def _authenticate_later(self, auth: Auth) -> None:
        if not self._is_in_pace():
            self.say_no("TOO_FAST", "tokens come too fast; wait a moment")
            return
        if self._proof is None:
            assert self._request is not None, "other clients have no message for this"
            self._proof = Proof(self._hub, self, self._line, self._request)
        self._proof.take_later(auth.token)

    def _expires(self) -> float | None:
        return None if self.caller.claims is None else self.caller.claims.exp

    def _expire_later(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        left = self._hub.access.seconds_left(self.caller)
        if left is not None:
            self._expiry = self._loop.call_later(min(max(0.0, left), LONGEST_TIMER_SECONDS), self._expire)

    def _expire(self) -> None:
        left = self._hub.access.seconds_left(self.caller)
        if left is not None and left <= 0:
            self.close(CLOSE_UNAUTHORIZED, "the token has ended; come back with a new one")
        else:
            self._expire_later()

    def _send_later(self, send: Send) -> None:
        if not self._is_in_pace():
            self.say_no("TOO_FAST", "events come too fast; this one was dropped", send.ref)
            return
        if self._speech is None:
            self._speech = Speech(self._hub, self)
        self._speech.say(send)

    def _is_in_pace(self) -> bool:
        now = self._loop.time()
        if self._pace is None:
            self._pace = Pace(*SENDS, now)
        return self._pace.allows(now)


_PING = text_frame(PING)
