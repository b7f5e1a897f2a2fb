"""A coroutine is begun where it is called, and becomes a task only if it has to wait."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any


def begun(work: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None] | None:
    """Run `work` until it waits for something. What is left is for a task; None: nothing is.

    Until then it is no task, so it may not ask which one it is, as
    `asyncio.timeout` does: what needs that, belongs into a task of its own.
    What it raises before it waits is raised here.
    """
    try:
        awaited = work.send(None)
    except StopIteration:
        return None
    return _Rest(work, awaited)


class _Rest(Coroutine[Any, Any, None]):
    """A coroutine that waits already, for a task that takes it for a new one."""

    __slots__ = ("_awaited", "_is_new", "_work")

    def __init__(self, work: Coroutine[Any, Any, None], awaited: Any) -> None:
        self._work, self._awaited, self._is_new = work, awaited, True

    def send(self, value: Any) -> Any:
        if self._is_new:
            # What it waits for is told to the task, and not to anybody before it.
            awaited, self._awaited, self._is_new = self._awaited, None, False
            return awaited
        return self._work.send(value)

    def throw(
        self,
        kind: type[BaseException] | BaseException,
        value: BaseException | object = None,
        traceback: TracebackType | None = None,
        /,
    ) -> Any:
        self._is_new = False
        return self._work.throw(value if isinstance(value, BaseException) else kind)

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, None]:
        raise TypeError("this is for a task, which runs it to its end")
