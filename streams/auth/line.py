"""A few threads that call functions, and the line of those who wait for one of them.

Threads of our own, not a `ThreadPoolExecutor`: Python waits for that one's
threads at the end of the process, and one that hangs would keep a gateway
from ending. They take the next question without the event loop, which may be
busy for long when everybody comes at once.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Generic, TypeVar

T = TypeVar("T")


class Question(Generic[T]):
    """A call that some thread will make, and when it was made. Needs a running event loop."""

    def __init__(self, call: Callable[[], T]) -> None:
        self.answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.asked = time.monotonic()
        self.began: float | None = None
        """By `time.monotonic`; None: it waits in line."""
        self.is_answered = False
        """Whether the call has ended. The answer itself may take until the event loop has time for it."""
        self._call: Callable[[], T] | None = call
        self._context: Context | None = copy_context()
        self._loop = self.answer.get_loop()

    def run(self, late: Callable[[T], None]) -> None:
        """Make the call, in a thread. What nobody waits for any more goes to `late`."""
        call, context = self._call, self._context
        assert call is not None, "each is called once"
        assert context is not None
        self.forget()
        answer = context.run(call)
        self.is_answered = True
        # The loop may have ended long before a function that hung.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._tell, answer, late)
            return
        late(answer)

    def forget(self) -> None:
        """Hold on to nothing that the call needs: somebody may hold on to this."""
        self._call = self._context = None

    def _tell(self, answer: T, late: Callable[[T], None]) -> None:
        if self.answer.done():
            late(answer)
        else:
            self.answer.set_result(answer)


class Line(Generic[T]):
    """The threads and the questions. Calls must raise nothing."""

    def __init__(self, threads: int, late: Callable[[T], None]) -> None:
        self._most, self._late = threads, late
        self._waiting: dict[Question[T], None] = {}
        self._changed = threading.Condition()
        self._threads = self._idle = 0
        self._is_closed = False

    def ask(self, call: Callable[[], T]) -> Question[T]:
        """Let the next thread that is free call this."""
        question = Question(call)
        with self._changed:
            self._waiting[question] = None
            if self._idle >= len(self._waiting):
                self._changed.notify()
                return question
            is_more = self._threads < self._most
            self._threads += is_more
        if is_more:
            try:
                threading.Thread(target=self._serve, name="asks rules", daemon=True).start()
            except BaseException:
                # There may be no more just now. The next question tries again.
                with self._changed:
                    self._threads -= 1
                    self._waiting.pop(question, None)
                raise
        return question

    def leave(self, question: Question[T]) -> None:
        """Nobody waits for the answer any more. A call that was begun goes on."""
        question.answer.cancel()
        with self._changed:
            if question in self._waiting:
                del self._waiting[question]
                question.forget()

    def close(self) -> None:
        """Threads that are free end; the others do when their calls return."""
        with self._changed:
            self._is_closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _serve(self) -> None:
        while (question := self._next()) is not None:
            question.run(self._late)
            # Not until the next one comes: it holds what somebody was asked about.
            del question

    def _next(self) -> Question[T] | None:
        with self._changed:
            self._idle += 1
            while not self._waiting and not self._is_closed:
                self._changed.wait()
            self._idle -= 1
            if self._is_closed:
                return None
            question = next(iter(self._waiting))
            del self._waiting[question]
            question.began = time.monotonic()
            return question
