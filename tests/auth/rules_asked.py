"""Applications' rules as tests ask them: what they may be, and one that waits until it is let go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from streams import Claims, Stream, Subscription
from streams.auth.rules import OwnRules
from tests.browser import SECONDS

INBOX = Subscription("todo", "inbox")
ANN = Claims({"sub": "ann", "iat": 1, "exp": 2, "role": "admin"})


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


def asking(rule: Callable[..., Any]) -> Any:
    return OwnRules.running([Stream("todo", dict, can_access=rule, can_send=rule)], None)


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
