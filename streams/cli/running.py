"""Runs a command to its end: what goes wrong becomes one sentence and an exit code."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

import typer
import uvloop
from typer.core import TyperGroup

from streams.cli.printing import print_error
from streams.errors import CredentialsRefused, ServerNotUsable, StoreUnavailable, StreamsError

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
    logging.getLogger("asyncio").addFilter(_is_worth_saying)
    try:
        return uvloop.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _is_worth_saying(record: logging.LogRecord) -> bool:
    # uvloop's word on how nats-py ends a line with TLS. It means nothing, and would be said by every command.
    return "eof_received() has no effect when using ssl" not in record.getMessage()


def inside(opened: AbstractAsyncContextManager[BlockT], work: Callable[[BlockT], Awaitable[T]]) -> T:
    """Run `work` inside a block that connects to NATS, and return its result.

    Raises:
        CommandRefused: NATS does not answer, or does not let us in.
    """

    async def run() -> T:
        async with AsyncExitStack() as block:
            try:
                connected = await block.enter_async_context(opened)
            except CredentialsRefused as error:
                raise CommandRefused(
                    f"{error}: with --creds or --nkey, or in STREAMS_NATS_USER and STREAMS_NATS_PASSWORD, "
                    "or in STREAMS_NATS_TOKEN"
                ) from error
            except ServerNotUsable:
                raise
            except StoreUnavailable as error:
                raise CommandRefused(
                    f"{error}; start it, or name another one with --nats "
                    "(`streams dev` prints the address of its own)"
                ) from error
            return await work(connected)

    return until_done(run())
