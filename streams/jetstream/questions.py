"""A question to NATS, and its answers: one, or as many as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nats.aio.msg import Msg


class AnswerLost(Exception):
    """A request was sent, and no answer came in time, or none can come any more."""


class Question:
    """What was asked, and the answers so far. Needs a running event loop."""

    __slots__ = ("_came", "_last", "_loop", "_seconds", "answers", "deadline")

    def __init__(self, loop: asyncio.AbstractEventLoop, last: Callable[[Msg], bool], seconds: float) -> None:
        self.answers: asyncio.Future[list[Msg]] = loop.create_future()
        """All answers, the one that `last` said yes to included; or `AnswerLost`."""
        self.deadline = loop.time() + seconds
        """When the next answer must have come, by the loop's clock."""
        self._loop, self._last, self._seconds = loop, last, seconds
        self._came: list[Msg] = []

    def take(self, message: Msg) -> None:
        self._came.append(message)
        if not self._last(message):
            self.deadline = self._loop.time() + self._seconds
        elif not self.answers.done():
            self.answers.set_result(self._came)

    def lose(self, reason: str) -> None:
        """No answer will come."""
        if not self.answers.done():
            self.answers.set_exception(AnswerLost(reason))

    def close(self) -> None:
        if not self.answers.cancel() and not self.answers.cancelled():
            # Whoever asked may have failed before it looked at the answer.
            self.answers.exception()


class Questions:
    """The questions that wait for answers, by the subject on which these come.

    One timer for all: a thousand questions a second would make and take back
    as many.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open: dict[str, Question] = {}
        self._is_looking = False

    def ask(self, reply: str, last: Callable[[Msg], bool], seconds: float) -> Question:
        question = self._open[reply] = Question(self._loop, last, seconds)
        if not self._is_looking:
            self._is_looking = True
            self._loop.call_later(LOOK_SECONDS, self._look)
        return question

    def close(self, reply: str) -> None:
        self._open.pop(reply).close()

    def take(self, message: Msg) -> None:
        # The answer to a question that nobody waits for any more is dropped.
        if question := self._open.get(message.subject):
            question.take(message)

    def lose(self, reason: str) -> None:
        for question in self._open.values():
            question.lose(reason)

    def _look(self) -> None:
        now = self._loop.time()
        for question in self._open.values():
            if now > question.deadline:
                question.lose("no answer came in time")
        self._is_looking = bool(self._open)
        if self._is_looking:
            self._loop.call_later(LOOK_SECONDS, self._look)


LOOK_SECONDS = 0.1
"""How exactly times are kept."""
