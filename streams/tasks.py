"""Tasks that accompany a block: they begin in it, and are cancelled at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class BackgroundTasks:
    """The tasks of one block. Use `background_tasks`."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Run `work` beside the block. What it raises ends the block, so it handles what it expects."""
        task = self._group.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def _cancel(self) -> None:
        for task in self._running:
            task.cancel()


@asynccontextmanager
async def background_tasks() -> AsyncIterator[BackgroundTasks]:
    """Tasks for the length of the block, which has ended when they have.

    A bare `TaskGroup` would wait for tasks that never end, and would wrap
    what the block itself raises into an `ExceptionGroup`: nobody who writes
    `async with connected(url):` expects that. Here it stays as it is; only
    the failure of a task comes as a group.
    """
    raised: BaseException | None = None
    async with asyncio.TaskGroup() as group:
        tasks = BackgroundTasks(group)
        try:
            yield tasks
        except GeneratorExit:
            raise
        except BaseException as error:
            raised = error
        finally:
            tasks._cancel()
    if raised is not None:
        raise raised
