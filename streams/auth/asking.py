"""Calls functions of an application, which may fail or hang or try to end the process.

There is an outcome in time, whatever they do.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass
from threading import Thread
from typing import Any, TypeAlias

from streams.tasks import BackgroundTasks, background_tasks


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

    def __init__(self, tasks: BackgroundTasks, threads: int) -> None:
        self._tasks = tasks
        # With every thread hung, who waits here leaves when its time is up.
        self._free = asyncio.Semaphore(threads)
        self._loop = asyncio.get_running_loop()

    @classmethod
    @asynccontextmanager
    async def running(cls, *, threads: int) -> AsyncIterator[Asking]:
        """Something that asks, for the length of the block, whose end waits for no thread.

        A function that never returns keeps its thread; the process can end all the same.
        """
        async with background_tasks() as tasks:
            yield cls(tasks, threads)

    async def ask(self, function: Callable[..., Any], *arguments: Any, seconds: float) -> Outcome:
        """What a function says within so many seconds, of which waiting for a thread takes its part.

        What it does later is seen by nobody. Cancelling this cancels a
        coroutine; a function in a thread goes on until it returns.
        """
        # In a task of its own: a coroutine may be slow to end when it is cancelled, or not end at all.
        asked = self._tasks.start(self._outcome(function, arguments), name=f"ask {_name_of(function)}")
        try:
            await asyncio.wait({asked}, timeout=seconds)
            if not asked.done():
                return Failed(f"it took longer than {seconds:g} seconds")
            return Failed("it was cancelled") if asked.cancelled() else asked.result()
        finally:
            asked.cancel()

    async def _outcome(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
        try:
            if _is_coroutine_function(function):
                return Said(await function(*arguments))
            outcome = await self._in_a_thread(function, arguments)
            if isinstance(outcome, Said) and inspect.isawaitable(outcome.value):
                return Said(await outcome.value)
            return outcome
        except (Exception, SystemExit) as error:
            # `sys.exit()` in a function of the application is no reason to end a gateway.
            return Failed(sentence(error), error)

    async def _in_a_thread(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
        await self._free.acquire()
        running: Future[Outcome] = Future()
        running.add_done_callback(self._is_free)
        context = copy_context()

        def run() -> None:
            running.set_result(context.run(_called, function, arguments))

        # Not a `ThreadPoolExecutor`: Python waits for its threads at the end of the process, and one that
        # hangs would keep a gateway from ending. The price: some 50 us for a thread of its own.
        Thread(target=run, name=f"ask {_name_of(function)}", daemon=True).start()
        try:
            # Shielded: cancelling it would cancel what the thread has to answer into.
            return await asyncio.shield(asyncio.wrap_future(running))
        except asyncio.CancelledError:
            running.add_done_callback(_forget)
            raise

    def _is_free(self, _: Future[Outcome]) -> None:
        # The loop may have ended long before a function that hung.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._free.release)


def sentence(error: BaseException) -> str:
    """An error on one line, and not a long one."""
    try:
        said = f"{type(error).__name__}: {error}"
    except Exception:
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


def _forget(answered: Future[Outcome]) -> None:
    """Nobody awaits a coroutine that came too late, and Python would warn of that."""
    match answered.result():
        case Said(Coroutine() as late):
            late.close()


def _is_coroutine_function(function: Callable[..., Any]) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", type(function).__name__)
