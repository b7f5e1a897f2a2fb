"""Coroutines that are begun where they are called."""

from __future__ import annotations

import asyncio

import pytest

from streams.gateway.begun import begun


class Work:
    """Does something, waits, and does more."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        self.done.append("began")
        try:
            self.done.append(await self.answer)
            await asyncio.sleep(0)
            self.done.append("ended")
        finally:
            self.done.append("left")


async def test_what_does_not_wait_is_done_at_once():
    done: list[str] = []

    async def work() -> None:
        done.append("all")

    assert begun(work()) is None
    assert done == ["all"]


async def test_what_it_raises_before_it_waits_is_raised_where_it_was_begun():
    async def work() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        begun(work())


async def test_what_waits_goes_on_as_a_task():
    work = Work()

    rest = begun(work.run())
    assert rest is not None
    assert work.done == ["began"]
    task = asyncio.create_task(rest)
    await asyncio.sleep(0)
    work.answer.set_result("heard")
    await task

    assert work.done == ["began", "heard", "ended", "left"]


async def test_what_it_waits_for_may_have_come_before_the_task_runs():
    work = Work()

    rest = begun(work.run())
    assert rest is not None
    work.answer.set_result("heard")
    await asyncio.create_task(rest)

    assert work.done == ["began", "heard", "ended", "left"]


async def test_what_it_waits_for_may_fail():
    work = Work()

    rest = begun(work.run())
    assert rest is not None
    work.answer.set_exception(LookupError())
    with pytest.raises(LookupError):
        await asyncio.create_task(rest)

    assert work.done == ["began", "left"]


@pytest.mark.parametrize("steps", [0, 1, 2])
async def test_its_task_can_be_cancelled_whenever_that_is(steps: int):
    work = Work()
    rest = begun(work.run())
    assert rest is not None
    task = asyncio.create_task(rest)
    for _ in range(steps):
        await asyncio.sleep(0)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert work.done == ["began", "left"]


async def test_one_that_no_task_was_made_of_can_be_closed():
    work = Work()
    rest = begun(work.run())
    assert rest is not None

    rest.close()

    assert work.done == ["began", "left"]


async def test_it_may_wait_for_a_moment_only():
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append("all")

    rest = begun(work())
    assert rest is not None
    await asyncio.create_task(rest)

    assert done == ["all"]
