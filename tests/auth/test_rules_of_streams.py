"""Who may see a stream, and who may send: whatever is not a clear yes is a no.

F-B3 is a defect of Motia (research/features.md 1.10, B3): it lets callers in
when their rule fails.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from typing import Any

import pytest

from streams import HttpError, Stream, Subscription
from streams.auth import rules as module
from streams.auth.rules import OwnRules
from tests.auth.rules_asked import ANN, INBOX, AsyncRule, Numpy, asking


def three(given: object, subscription: Subscription, context: Any) -> bool:
    return given == "given" and bool(context == "yes")


async def async_three(given: object, subscription: Subscription, context: Any) -> bool:
    assert threading.current_thread() is threading.main_thread()
    return three(given, subscription, context)


async def test_a_stream_without_rules_is_seen_by_everybody_and_sent_to_by_nobody():
    async with OwnRules.running([Stream("todo", dict), Stream("news", dict, public=True)], None) as rules:
        assert await rules.may_see(None, INBOX)
        assert await rules.may_see(None, Subscription("news", "all", "1"))
        assert not await rules.may_send(None, INBOX)
        assert not await rules.may_send(ANN, Subscription("news", "all"))


async def test_only_a_stream_with_can_access_is_guarded_and_of_others_nothing_is_known():
    open_to_all = Stream("news", dict, can_send=lambda subscription, context: True)
    guarded = Stream("todo", dict, can_access=lambda subscription, context: True)

    async with OwnRules.running([open_to_all, guarded], None) as rules:
        assert rules.is_guarded("news") is False
        assert rules.is_guarded("todo") is True
        assert rules.is_guarded("todos") is None


async def test_a_stream_that_the_rules_do_not_know_is_refused_with_a_line(warnings):
    async with OwnRules.running([Stream("todo", dict)], None) as rules:
        assert not await rules.may_see(ANN, Subscription("to\ndo", "inbox"))
        assert not await rules.may_send(ANN, Subscription("other", "inbox"))

    # Names are whatever somebody asks for: one line a second for all of them.
    assert warnings() == ["a stream without rules was asked for, which is refused stream='to\\ndo'"]


async def test_a_rule_is_told_what_is_wanted_and_the_context():
    asked = []

    def note(subscription: Subscription, context: object) -> bool:
        asked.append((subscription, context))
        return True

    async with asking(note) as rules:
        assert await rules.may_see("ann", Subscription("todo", "inbox", "7"))
        assert await rules.may_send(None, INBOX)

    assert asked == [(Subscription("todo", "inbox", "7"), "ann"), (INBOX, None)]


@pytest.mark.parametrize(
    "rule",
    [
        lambda subscription, context: context == "yes",
        functools.partial(three, "given"),
        AsyncRule().plain,
        AsyncRule(),
        AsyncRule().method,
        functools.partial(async_three, "given"),
        functools.partial(functools.partial(AsyncRule())),
        lambda subscription, context: async_three("given", subscription, context),
    ],
    ids=[
        "function",
        "partial",
        "method",
        "async object",
        "async method",
        "async partial",
        "partial of an async object",
        "function that returns a coroutine",
    ],
)
async def test_a_rule_may_be_anything_that_can_be_called(rule, warnings):
    async with asking(rule) as rules:
        assert await rules.may_see("yes", INBOX) is True
        assert await rules.may_see("no", INBOX) is False
        assert await rules.may_send("yes", INBOX) is True
        assert await rules.may_send("no", INBOX) is False

    assert warnings() == []


@pytest.mark.parametrize(
    "answer",
    [None, 1, "yes", Numpy(), object(), [True], {"authorized": True}],
    ids=["None", "1", "yes", "numpy", "object", "list", "dict"],
)
@pytest.mark.parametrize("is_async", [False, True])
async def test_an_answer_that_is_neither_true_nor_false_is_a_no_f_b3(answer, is_async, warnings):
    async def later(subscription: Subscription, context: object) -> Any:
        return answer

    async with asking(later if is_async else lambda subscription, context: answer) as rules:
        assert await rules.may_see(ANN, INBOX) is False
        assert await rules.may_send(ANN, INBOX) is False

    kind = type(answer).__name__
    assert warnings() == [
        f"can_access gave no answer, which is a no: a {kind} is neither True nor False stream=todo",
        f"can_send gave no answer, which is a no: a {kind} is neither True nor False stream=todo",
    ]


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("no\nluck"), "ValueError: no luck"),
        (HttpError(200, {}), "HttpError: HTTP 200: {}"),
        (SystemExit(0), "SystemExit: 0"),
        (StopIteration(True), None),
        (TimeoutError(), "TimeoutError: "),
        (Unprintable(), "Unprintable"),
        (ValueError("x" * 10_000), "ValueError: " + "x" * 288),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_rule_that_raises_is_a_no_f_b3(error, sentence, is_async, warnings):
    def fail(subscription: Subscription, context: object) -> bool:
        raise error

    async def fail_later(subscription: Subscription, context: object) -> bool:
        raise error

    async with asking(fail_later if is_async else fail) as rules:
        assert await rules.may_see(ANN, INBOX) is False
        assert await rules.may_send(ANN, INBOX) is False

    if sentence is not None:
        assert warnings() == [
            f"{rule} gave no answer, which is a no: {sentence} stream=todo"
            for rule in ("can_access", "can_send")
        ]


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
async def test_what_is_raised_in_a_thread_is_no_signal_to_the_process(error):
    def fail(subscription: Subscription, context: object) -> bool:
        raise error

    async with asking(fail) as rules:
        assert not await rules.may_see(ANN, INBOX)


async def test_a_coroutine_that_cancels_itself_is_a_no_and_does_not_cancel_who_asked(warnings):
    async def cancel(subscription: Subscription, context: object) -> bool:
        raise asyncio.CancelledError

    async with asking(cancel) as rules:
        assert not await rules.may_see(ANN, INBOX)

    assert warnings() == ["can_access gave no answer, which is a no: it was cancelled stream=todo"]


async def test_the_log_hears_of_one_rule_once_a_second(warnings, monkeypatch):
    def fail(subscription: Subscription, context: object) -> bool:
        raise ValueError(subscription.group)

    streams = [Stream("todo", dict, can_access=fail), Stream("note", dict, can_access=fail)]
    async with OwnRules.running(streams, None) as rules:
        for stream in ("todo", "todo", "note"):
            await rules.may_see(ANN, Subscription(stream, "a"))
        monkeypatch.setattr(module, "WARN_EVERY_SECONDS", 0.0)
        await rules.may_see(ANN, Subscription("todo", "b"))

    assert warnings() == [
        "can_access gave no answer, which is a no: ValueError: a stream=todo",
        "can_access gave no answer, which is a no: ValueError: a stream=note",
        "can_access gave no answer, which is a no: ValueError: b stream=todo",
    ]


async def test_where_a_rule_failed_is_logged_for_who_debugs_it_only(caplog):
    def fail(subscription: Subscription, context: object) -> bool:
        raise ValueError("no luck")

    async def traced(level: int) -> bool:
        caplog.clear()
        caplog.set_level(level)
        async with asking(fail) as rules:
            await rules.may_see(ANN, INBOX)
        return caplog.records[-1].exc_info is not None and "in fail" in caplog.text

    assert not await traced(logging.INFO)
    assert await traced(logging.DEBUG)
