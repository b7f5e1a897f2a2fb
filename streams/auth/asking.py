"""Calls functions of an application, which may fail or hang or try to end the process.

There is an outcome in time, whatever they do.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from streams.auth.line import Line, Question
from streams.tasks import BackgroundTasks, background_tasks

LINE_TIMES = 5
"""How much longer than it may take, a question may wait for a thread: where others hang in all of them."""


@dataclass(frozen=True, slots=True)
class Said:
    """A function has returned."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """A function has raised, or not returned in time."""

    why: str
    """One line, for the log."""
    error: BaseException | None = None


Outcome: TypeAlias = Said | Failed


class Asking:
    """Calls coroutine functions on the event loop, and all others in threads. Use `Asking.running`."""

    def __init__(self, tasks: BackgroundTasks, line: Line[Outcome]) -> None:
        self._tasks, self._line = tasks, line

    @classmethod
    @asynccontextmanager
    async def running(cls, *, threads: int) -> AsyncIterator[Asking]:
        """Something that asks, for the length of the block, whose end waits for no thread.

        A function that never returns keeps its thread; the process can end all the same.
        """
        line: Line[Outcome] = Line(threads, _forget)
        async with background_tasks() as tasks:
            try:
                yield cls(tasks, line)
            finally:
                line.close()

    async def ask(self, function: Callable[..., Any], *arguments: Any, seconds: float) -> Outcome:
        """What a function says within so many seconds from when it was called.

        One that needs a thread may wait in line `LINE_TIMES` as long. What it
        does later is seen by nobody. Cancelling this cancels a coroutine; a
        function in a thread goes on until it returns.
        """
        if _is_coroutine_function(function):
            return await self._outcome_of(_said(function, arguments), _Clock(seconds), function)
        try:
            question = self._line.ask(functools.partial(_called, function, arguments))
        except RuntimeError as error:
            # There are no more threads to be had at present.
            return Failed(sentence(error), error)
        try:
            return await self._outcome_of(_answered(question), _Clock(seconds, question), function)
        finally:
            self._line.leave(question)

    async def _outcome_of(
        self, answering: Coroutine[Any, Any, Outcome], clock: _Clock, function: Callable[..., Any]
    ) -> Outcome:
        # In a task of its own: a coroutine may be slow to end when it is cancelled, or not end at all.
        asked = self._tasks.start(answering, name=f"ask {_name_of(function)}")
        try:
            while not asked.done():
                if (left := clock.seconds_left()) <= 0:
                    return Failed(clock.sentence)
                await asyncio.wait({asked}, timeout=left)
            return Failed("it was cancelled") if asked.cancelled() else asked.result()
        finally:
            asked.cancel()


class _Clock:
    """How long a question may still take. A busy event loop is not held against who has answered."""

    def __init__(self, seconds: float, question: Question[Outcome] | None = None) -> None:
        self._seconds, self._question = seconds, question
        self._began = time.monotonic()

    def seconds_left(self) -> float:
        now, question = time.monotonic(), self._question
        if question is not None and question.is_answered:
            if not question.answer.done():
                # On its way, however long the event loop takes to bring it.
                return self._seconds
            # What it may still have to await has its time from here.
            self._question, self._began = None, now
        elif question is not None and question.began is None:
            # Not at the end of its time in line: it may be called at any moment, and then hang.
            left = question.asked + LINE_TIMES * self._seconds - now
            return min(left, self._seconds)
        elif question is not None and question.began is not None:
            self._began = question.began
        return self._began + self._seconds - now

    @property
    def sentence(self) -> str:
        if self._question is not None and self._question.began is None:
            return f"no thread was free for it for {LINE_TIMES * self._seconds:g} seconds"
        return f"it took longer than {self._seconds:g} seconds"


async def _said(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    try:
        return Said(await function(*arguments))
    except (Exception, SystemExit) as error:
        # `sys.exit()` in a function of the application is no reason to end a gateway.
        return Failed(sentence(error), error)


async def _answered(question: Question[Outcome]) -> Outcome:
    outcome = await question.answer
    if not (isinstance(outcome, Said) and inspect.isawaitable(outcome.value)):
        return outcome
    try:
        return Said(await outcome.value)
    except (Exception, SystemExit) as error:
        return Failed(sentence(error), error)


def sentence(error: BaseException) -> str:
    """An error on one line, and not a long one."""
    try:
        said = f"{type(error).__name__}: {error}"
    except BaseException:
        # Its `__str__` may be the application's too.
        said = type(error).__name__
    return one_line(said)


def one_line(text: str) -> str:
    """Its first 300 characters, without those that would begin a line of their own in a log."""
    return "".join(character if character.isprintable() else " " for character in text[:300])


def _called(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    try:
        return Said(function(*arguments))
    except BaseException as error:
        # Whatever it is, it was raised in this thread, and is no signal to the process.
        return Failed(sentence(error), error)


def _forget(outcome: Outcome) -> None:
    """Nobody awaits a coroutine that came too late, and Python would warn of that."""
    match outcome:
        case Said(Coroutine() as late):
            late.close()


def _is_coroutine_function(function: Callable[..., Any]) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", type(function).__name__)
