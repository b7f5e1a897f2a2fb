"""Tasks that accompany a block."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest

from streams.dev.nats_server import NatsServer
from streams.jetstream.connection import connected_to
from streams.memory import MemoryStore
from streams.tasks import background_tasks
from tests.everybody import open_hub


async def for_ever() -> None:
    await asyncio.Event().wait()


async def fails() -> None:
    raise LookupError("broken")


class OwnKind(BaseException):
    """As pytest's own failures are: no `Exception`."""


async def raises_within(block: AbstractAsyncContextManager[object], error: BaseException) -> None:
    async with block:
        raise error


async def test_a_block_ends_although_its_tasks_never_would():
    async with asyncio.timeout(5), background_tasks() as tasks:
        task = tasks.start(for_ever(), name="for ever")

    assert task.cancelled()


async def test_a_task_that_fails_ends_the_block():
    async def block() -> None:
        async with asyncio.timeout(5), background_tasks() as tasks:
            tasks.start(fails(), name="fails")
            await for_ever()

    with pytest.raises(ExceptionGroup) as raised:
        await block()

    assert isinstance(raised.value.exceptions[0], LookupError)


async def test_a_block_that_is_cancelled_is_cancelled():
    async def block() -> None:
        async with background_tasks() as tasks:
            tasks.start(for_ever(), name="for ever")
            await for_ever()

    cancelled = asyncio.create_task(block())
    await asyncio.sleep(0)
    cancelled.cancel()

    with pytest.raises(asyncio.CancelledError):
        await cancelled


async def test_what_a_block_raises_stays_as_it_is(nats: NatsServer):
    for error in (ValueError("mine"), OwnKind("mine")):
        for block in (background_tasks(), connected_to(nats.url), open_hub(MemoryStore())):
            with pytest.raises(type(error), match="mine"):
                await raises_within(block, error)
