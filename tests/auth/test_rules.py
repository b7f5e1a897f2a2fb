"""An application's rules: whatever is not a clear yes in time is a no, and they hurt nobody else.

F-B1 to F-B3 are defects of Motia (research/features.md 1.10, B1 to B3): it
lets callers in when their rule fails.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from streams import AuthRequest, Claims, HttpError, Stream, Subscription
from streams.access import StreamAuth
from streams.auth import rules as module
from streams.auth.rules import OwnRules, Rules
from streams.errors import NotLetIn
from tests.browser import SECONDS

INBOX = Subscription("todo", "inbox")
CAME = AuthRequest("websocket", "/")
ANN = Claims({"sub": "ann", "iat": 1, "exp": 2, "role": "admin"})

who: ContextVar[str] = ContextVar("who", default="nobody")


class Ctx(BaseModel):
    user: str


class Numpy:
    """What numpy's bools are: like a bool, and none."""

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return "np.True_"


Numpy.__name__ = "bool_"


class AsyncRule:
    """An object that is called like a coroutine function."""

    async def __call__(self, subscription: Subscription, context: Any) -> bool:
        assert threading.current_thread() is threading.main_thread()
        return bool(context == "yes")

    async def method(self, subscription: Subscription, context: Any) -> bool:
        return await self(subscription, context)

    def plain(self, subscription: Subscription, context: Any) -> bool:
        assert threading.current_thread() is not threading.main_thread()
        return bool(context == "yes")


def three(given: object, subscription: Subscription, context: Any) -> bool:
    return given == "given" and bool(context == "yes")


async def async_three(given: object, subscription: Subscription, context: Any) -> bool:
    assert threading.current_thread() is threading.main_thread()
    return three(given, subscription, context)


def asking(rule: Callable[..., Any]) -> Any:
    return OwnRules.running([Stream("todo", dict, can_access=rule, can_send=rule)], None)


def authenticating(authenticate: Callable[..., Any], schema: Any = None) -> Any:
    return OwnRules.running([], StreamAuth(authenticate, schema, Path("stream_auth.py")))


async def reason(rules: Rules, claims: Claims | None = ANN) -> str:
    """Why somebody is not let in."""
    with pytest.raises(NotLetIn) as refused:
        await rules.context(CAME, claims)
    assert refused.value.code == "TOKEN_REFUSED"
    assert str(refused.value) == "the token is not accepted; get a new one and come back"
    return refused.value.reason


class Gate:
    """A plain rule that waits, in its thread, until it is let go."""

    def __init__(self, answer: object = True) -> None:
        self.answer, self.entered, self._open = answer, threading.Semaphore(0), threading.Event()
        self.threads: list[threading.Thread] = []

    def __call__(self, subscription: object, context: object) -> Any:
        self.threads.append(threading.current_thread())
        self.entered.release()
        assert self._open.wait(SECONDS)
        return self.answer() if callable(self.answer) else self.answer

    async def is_entered(self) -> None:
        assert await asyncio.to_thread(self.entered.acquire, timeout=SECONDS)

    def open(self) -> None:
        self._open.set()

    def end(self) -> None:
        """Let it go, and wait until all of its threads have ended."""
        self.open()
        for thread in self.threads:
            thread.join(SECONDS)
            assert not thread.is_alive()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A rule that waits until the test lets it go, at its end at the latest."""
    gate = Gate()
    yield gate
    gate.end()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules have little time."""
    monkeypatch.setattr(module, "RULE_SECONDS", 0.05)


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO)

    def said() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == module.__name__]

    return said


# Who may see, and who may send


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
    "answer", [None, 1, "yes", Numpy(), object(), [True], {"authorized": True}], ids=repr
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


# Time


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


# Threads


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


# Who it is


async def test_without_authenticate_a_caller_is_what_its_token_says():
    async with OwnRules.running([], None) as rules:
        assert await rules.context(CAME, ANN) is ANN
        assert await rules.context(CAME, None) is None


@pytest.mark.parametrize("is_async", [False, True])
async def test_authenticate_makes_a_context_of_how_somebody_came_and_what_the_token_says(is_async):
    def plain(request: AuthRequest, claims: Claims | None) -> object:
        return (request, claims)

    async def later(request: AuthRequest, claims: Claims | None) -> object:
        return (request, claims)

    async with authenticating(later if is_async else plain) as rules:
        assert await rules.context(CAME, ANN) == (CAME, ANN)
        # It may know somebody without a token, by a cookie.
        assert await rules.context(CAME, None) == (CAME, None)


@pytest.mark.parametrize("schema", [None, Ctx])
async def test_none_is_somebody_unknown_only_when_no_token_came_f_b1(schema):
    async with authenticating(lambda request, claims: None, schema) as rules:
        assert await rules.context(CAME, None) is None
        assert await reason(rules, ANN) == "authenticate returned None for 'ann'"


@pytest.mark.parametrize("answer", [False, True, Numpy()], ids=["False", "True", "numpy"])
@pytest.mark.parametrize("claims", [ANN, None], ids=["token", "no token"])
@pytest.mark.parametrize("schema", [None, Any], ids=["no schema", "schema"])
async def test_a_bool_is_no_context_f_b2(answer, claims, schema):
    async with authenticating(lambda request, claims: answer, schema) as rules:
        assert await reason(rules, claims) == f"authenticate returned {answer!r}, which is no context"


@pytest.mark.parametrize("claims", [ANN, None], ids=["token", "no token"])
@pytest.mark.parametrize("error", [ValueError("no luck"), HttpError(200, "welcome"), SystemExit(1)])
@pytest.mark.parametrize("is_async", [False, True])
async def test_nobody_is_let_in_when_authenticate_raises_f_b1(claims, error, is_async):
    def fail(request: AuthRequest, claims: Claims | None) -> object:
        raise error

    async def fail_later(request: AuthRequest, claims: Claims | None) -> object:
        raise error

    async with authenticating(fail_later if is_async else fail) as rules:
        assert await reason(rules, claims) == (
            f"authenticate gave no answer: {type(error).__name__}: {error}"
        )


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("claims", [ANN, None], ids=["token", "no token"])
async def test_nobody_is_let_in_when_authenticate_takes_too_long_f_b1(claims, gate):
    async def hang(request: AuthRequest, claims: Claims | None) -> object:
        await asyncio.Event().wait()
        return claims

    for authenticate in (hang, gate):
        async with authenticating(authenticate) as rules, asyncio.timeout(SECONDS):
            assert (
                await reason(rules, claims) == "authenticate gave no answer: it took longer than 0.05 seconds"
            )


@pytest.mark.parametrize("context", [{"user": "ann"}, Ctx(user="ann")], ids=["dict", "model"])
async def test_a_context_is_what_context_schema_makes_of_it(context):
    async with authenticating(lambda request, claims: context, Ctx) as rules:
        assert await rules.context(CAME, ANN) == Ctx(user="ann")


async def test_a_schema_may_be_any_type():
    async with authenticating(lambda request, claims: ["7"], list[int]) as rules:
        assert await rules.context(CAME, ANN) == [7]


@pytest.mark.parametrize("claims", [ANN, None], ids=["token", "no token"])
@pytest.mark.parametrize("context", [{"name": "secret"}, {}, "secret", ANN, 0])
async def test_a_context_that_does_not_fit_lets_nobody_in_f_b2(context, claims):
    async with authenticating(lambda request, claims: context, Ctx) as rules:
        why = await reason(rules, claims)

    assert why.startswith("what authenticate returned does not fit: ")
    # This is for the log, and what is in a context is somebody's.
    assert "secret" not in why


async def test_a_validator_that_fails_lets_nobody_in():
    class Odd(BaseModel):
        user: str

        @field_validator("user")
        @classmethod
        def look_up(cls, user: str) -> str:
            raise KeyError(user)

    async with authenticating(lambda request, claims: {"user": "ann"}, Odd) as rules:
        assert await reason(rules) == "what authenticate returned does not fit: KeyError: 'ann'"
