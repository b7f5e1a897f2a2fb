"""Runs a command to its end: what goes wrong becomes one sentence and an exit code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

import typer
import uvloop
from typer.core import TyperGroup

from streams.cli.printing import print_error
from streams.errors import StoreUnavailable, StreamsError

T = TypeVar("T")
BlockT = TypeVar("BlockT")


class CommandRefused(StreamsError):
    """What was typed cannot be done. The sentence says what to do."""


class Commands(TyperGroup):
    """All commands. None of them shows a traceback for an error that is ours."""

    # Any: typer brings a click of its own in some versions and not in others.
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except StreamsError as error:
            print_error(error)
            raise typer.Exit(1) from None


def until_done(work: Coroutine[Any, Any, T]) -> T:
    """Run until it returns or is interrupted (exit code 130)."""
    try:
        return uvloop.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def inside(opened: AbstractAsyncContextManager[BlockT], work: Callable[[BlockT], Awaitable[T]]) -> T:
    """Run `work` inside a block that connects to NATS, and return its result.

    Raises:
        CommandRefused: NATS does not answer.
    """

    async def run() -> T:
        async with AsyncExitStack() as block:
            try:
                connected = await block.enter_async_context(opened)
            except StoreUnavailable as error:
                raise CommandRefused(
                    f"{error}; start it, or name another one with --nats "
                    "(`streams dev` prints the address of its own)"
                ) from error
            return await work(connected)

    return until_done(run())
