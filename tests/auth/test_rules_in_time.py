"""Rules that take too long: they are a no, and what they still say is seen by nobody."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streams import Subscription
from tests.auth.rules_asked import ANN, INBOX, asking
from tests.browser import SECONDS


@pytest.mark.usefixtures("soon")
async def test_a_coroutine_that_takes_too_long_is_a_no_and_is_cancelled(warnings):
    was_cancelled = asyncio.Event()

    async def hang(subscription: Subscription, context: object) -> bool:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            was_cancelled.set()
            raise
        return True

    async with asking(hang) as rules, asyncio.timeout(SECONDS):
        assert not await rules.may_see(ANN, INBOX)
        await was_cancelled.wait()

    assert warnings() == [
        "can_access gave no answer, which is a no: it took longer than 0.05 seconds stream=todo"
    ]


@pytest.mark.usefixtures("soon")
async def test_a_coroutine_that_does_not_let_itself_be_cancelled_holds_up_nobody():
    let_go, answered = asyncio.Event(), asyncio.Event()

    async def stubborn(subscription: Subscription, context: object) -> bool:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        answered.set()
        return True

    async with asking(stubborn) as rules, asyncio.timeout(SECONDS):
        assert not await rules.may_see(ANN, INBOX)
        assert not answered.is_set()
        let_go.set()
        await answered.wait()


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("swallows", [True, False])
async def test_what_a_cancelled_coroutine_still_says_is_seen_by_nobody(swallows):
    said = asyncio.Event()

    async def late(subscription: Subscription, context: object) -> bool:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            said.set()
            if swallows:
                return True
            raise ValueError("too late") from None
        return True

    async with asking(late) as rules, asyncio.timeout(SECONDS):
        assert not await rules.may_see(ANN, INBOX)
        await said.wait()


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("late", [True, ValueError, "coroutine"])
async def test_what_a_thread_says_too_late_is_seen_by_nobody(late, gate):
    async def never_awaited() -> bool:
        return True

    def answer() -> Any:
        if late is ValueError:
            raise ValueError("too late")
        return never_awaited() if late == "coroutine" else late

    gate.answer = answer
    async with asking(gate) as rules, asyncio.timeout(SECONDS):
        assert not await rules.may_see(ANN, INBOX)
    # Python warns of coroutines that nobody awaits, and warnings are errors here.
    gate.end()


@pytest.mark.usefixtures("soon")
async def test_an_awaitable_that_a_plain_function_returns_has_the_same_time():
    async def hang() -> bool:
        await asyncio.Event().wait()
        return True

    async with asking(lambda subscription, context: hang()) as rules, asyncio.timeout(SECONDS):
        assert not await rules.may_see(ANN, INBOX)


async def test_who_is_cancelled_cancels_the_coroutine_that_was_to_answer():
    entered, was_cancelled = asyncio.Event(), asyncio.Event()

    async def hang(subscription: Subscription, context: object) -> bool:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            was_cancelled.set()
        return True

    async with asking(hang) as rules, asyncio.timeout(SECONDS):
        caller = asyncio.create_task(rules.may_see(ANN, INBOX))
        await entered.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await was_cancelled.wait()
