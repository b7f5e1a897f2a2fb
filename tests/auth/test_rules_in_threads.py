"""Plain rules run in threads, of which there are few: whoever hangs in one hurts nobody else."""

from __future__ import annotations

import asyncio
import functools
import gc
import subprocess
import sys
import threading
import weakref
from contextvars import ContextVar

import pytest

from streams import Stream, Subscription
from streams.auth import rules as module
from streams.auth.rules import OwnRules, Rules
from tests.auth.rules_asked import ANN, INBOX, AsyncRule, Ctx, asking
from tests.browser import SECONDS

who: ContextVar[str] = ContextVar("who", default="nobody")


async def test_plain_functions_run_beside_the_event_loop_and_beside_each_other(gate):
    async with asking(gate) as rules, asyncio.timeout(SECONDS):
        asked = [asyncio.create_task(rules.may_see(ANN, INBOX)) for _ in range(2)]
        # Both are in there, and this test runs on.
        await gate.is_entered()
        await gate.is_entered()
        gate.open()

        assert await asyncio.gather(*asked) == [True, True]
        assert threading.main_thread() not in gate.threads


async def test_a_rule_sees_the_context_variables_of_who_asks():
    seen = []

    def plain(subscription: Subscription, context: object) -> bool:
        seen.append(who.get())
        return True

    async def later(subscription: Subscription, context: object) -> bool:
        return plain(subscription, context)

    who.set("ann")
    for rule in (plain, later, lambda subscription, context: later(subscription, context)):
        async with asking(rule) as rules:
            who.set(f"ann {len(seen)}")
            await rules.may_see(None, INBOX)

    assert seen == ["ann 0", "ann 1", "ann 2"]


@pytest.mark.usefixtures("soon")
async def test_with_every_thread_hung_further_rules_are_refused_in_time_until_one_comes_back(
    gate, monkeypatch
):
    monkeypatch.setattr(module, "RULE_THREADS", 2)
    streams = [
        Stream("hung", dict, can_access=gate),
        Stream("todo", dict, can_access=lambda subscription, context: True),
        Stream("later", dict, can_access=functools.partial(AsyncRule())),
    ]

    async with OwnRules.running(streams, None) as rules, asyncio.timeout(SECONDS):
        for _ in range(5):
            assert not await rules.may_see(ANN, Subscription("hung", "inbox"))
        assert not await rules.may_see(ANN, INBOX)
        assert len(gate.threads) == 2

        monkeypatch.setattr(module, "RULE_SECONDS", SECONDS)
        # Coroutines need no thread.
        assert await rules.may_see("yes", Subscription("later", "inbox"))
        gate.open()
        assert await rules.may_see(ANN, INBOX)
        # Those that waited in vain have left the line: nobody asks for them any more.
        assert len(gate.threads) == 2


async def refused(rules: Rules) -> weakref.ref[Ctx]:
    context = Ctx(user="ann")
    assert not await rules.may_see(context, INBOX)
    return weakref.ref(context)


@pytest.mark.usefixtures("soon")
async def test_who_waited_in_vain_for_a_thread_leaves_nothing_behind(gate, monkeypatch):
    monkeypatch.setattr(module, "RULE_THREADS", 1)

    async with asking(gate) as rules, asyncio.timeout(SECONDS):
        hung = asyncio.create_task(rules.may_see(ANN, INBOX))
        await gate.is_entered()
        left = [await refused(rules) for _ in range(3)]
        # Another one after them: what was cancelled has ended by then.
        await refused(rules)
        assert not await hung
        gc.collect()

        assert [context() for context in left] == [None, None, None]


async def test_any_number_of_questions_at_once_is_answered_by_the_few_threads():
    threads = set()

    def rule(subscription: Subscription, context: object) -> bool:
        threads.add(threading.get_ident())
        return True

    async with asking(rule) as rules, asyncio.timeout(SECONDS):
        answers = await asyncio.gather(*[rules.may_see(ANN, INBOX) for _ in range(2000)])

    assert answers == [True] * 2000
    assert len(threads) <= module.RULE_THREADS


async def test_where_no_thread_can_be_had_the_answer_is_no_until_one_can(monkeypatch: pytest.MonkeyPatch):
    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async with asking(lambda subscription, context: True) as rules, asyncio.timeout(SECONDS):
        with monkeypatch.context() as limited:
            limited.setattr(threading.Thread, "start", none_left)
            answers = [await rules.may_see(ANN, INBOX) for _ in range(2 * module.RULE_THREADS)]

        assert not any(answers)
        assert await rules.may_see(ANN, INBOX)


@pytest.mark.usefixtures("soon")
async def test_an_event_loop_that_is_busy_is_not_held_against_a_rule_that_has_answered(gate):
    async with asking(gate) as rules, asyncio.timeout(SECONDS):
        asked = asyncio.create_task(rules.may_see(ANN, INBOX))
        await gate.is_entered()
        gate.open()
        # Nothing on the loop runs meanwhile, longer than the rule may take.
        threading.Event().wait(0.3)

        assert await asked is True


async def test_the_end_of_the_block_waits_for_no_thread(gate):
    async with asyncio.timeout(SECONDS):
        async with asking(gate) as rules:
            asked = asyncio.create_task(rules.may_see(ANN, INBOX))
            await gate.is_entered()

        # Whoever still asks hears no.
        assert await asked is False
        assert gate.threads[0].is_alive()


def test_a_thread_that_comes_back_after_the_event_loop_has_ended_says_nothing():
    program = """if True:
        import asyncio, threading
        from streams import Stream, Subscription
        from streams.auth import rules
        rules.RULE_SECONDS = 0.05
        opened = threading.Event()

        def hang(subscription, context):
            return opened.wait(10)

        async def main():
            async with rules.OwnRules.running([Stream("todo", dict, can_access=hang)], None) as own:
                print(await own.may_see(None, Subscription("todo", "inbox")))

        asyncio.run(main())
        opened.set()
    """

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=30
    )

    assert (done.returncode, done.stdout) == (0, "False\n")
    assert done.stderr.splitlines() == [
        "can_access gave no answer, which is a no: it took longer than 0.05 seconds stream=todo"
    ]
