"""Asks the functions of an application who somebody is and what they may. Whatever is no clear yes is a no.

Coroutine functions run on the event loop, all others in a few threads, and
each call has 2 seconds. A plain function that blocks holds up nobody but
other plain ones. A coroutine that blocks holds up the whole process, its own
time limit included: nothing here can help that.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError

from streams.access import AccessRule, AuthRequest, Claims, StreamAuth, Subscription
from streams.auth.asking import Asking, Failed, Outcome, Said, one_line, sentence
from streams.errors import NotLetIn
from streams.stream import Stream

log = logging.getLogger(__name__)

RULE_SECONDS = 2.0
"""How long one call may take."""

RULE_THREADS = 8
"""How many plain functions run at once. Further ones wait in line."""

WARN_EVERY_SECONDS = 1.0
"""How often the log hears of the same rule: whoever is refused may come back at once, and does."""


class Rules(Protocol):
    """What an application says of its callers."""

    async def context(self, request: AuthRequest, claims: Claims | None) -> Any:
        """What the other rules are told of a caller; None: nobody knows who it is.

        Raises:
            NotLetIn: It may not come in at all.
        """
        ...

    def is_guarded(self, stream: str) -> bool | None:
        """Whether `may_see` must be asked. False: everybody may; None: there are no rules for that stream."""
        ...

    async def may_see(self, context: Any, subscription: Subscription) -> bool: ...

    async def may_send(self, context: Any, subscription: Subscription) -> bool: ...


class OwnRules:
    """The rules of an application that was loaded into this process. Use `OwnRules.running`.

    Cancelling a question cancels the coroutine that was to answer it; a
    function in a thread goes on, and keeps its thread until it returns.
    """

    def __init__(
        self,
        streams: Iterable[Stream[Any]],
        auth: StreamAuth | None,
        asking: Asking,
        took: Callable[[float], None],
    ) -> None:
        self._streams = {stream.name: stream for stream in streams}
        self._auth, self._asking, self._took = auth, asking, took
        schema = None if auth is None else auth.context_schema
        self._schema: TypeAdapter[Any] | None = None if schema is None else TypeAdapter(schema)
        self._warned_at: dict[str, float] = {}

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        streams: Iterable[Stream[Any]],
        auth: StreamAuth | None,
        *,
        took: Callable[[float], None] = lambda seconds: None,
    ) -> AsyncIterator[OwnRules]:
        """The rules for the length of the block, whose end waits for no thread.

        `took` is told how long each call took, in seconds, with the wait for a thread.
        """
        async with Asking.running(threads=RULE_THREADS) as asking:
            yield cls(streams, auth, asking, took)

    async def context(self, request: AuthRequest, claims: Claims | None) -> Any:
        """What `authenticate` makes of a caller; the claims, where there is no such function.

        Raises:
            NotLetIn: It failed, took too long, returned a bool or what does
                not fit `context_schema`, or None although a token came.
        """
        if self._auth is None:
            return claims
        match await self._ask(self._auth.authenticate, request, claims):
            case Failed(why, error):
                raise NotLetIn("TOKEN_REFUSED", f"authenticate gave no answer: {why}") from error
            case Said(None):
                if claims is not None:
                    raise NotLetIn("TOKEN_REFUSED", f"authenticate returned None for {claims.sub!r}")
                return None
            case Said(context):
                return self._fitting(context)

    def is_guarded(self, stream: str) -> bool | None:
        found = self._streams.get(stream)
        return None if found is None else found.can_access is not None

    async def may_see(self, context: Any, subscription: Subscription) -> bool:
        stream = self._known(subscription)
        if stream is None:
            return False
        if stream.can_access is None:
            return True
        return await self._says_yes("can_access", stream.can_access, subscription, context)

    async def may_send(self, context: Any, subscription: Subscription) -> bool:
        stream = self._known(subscription)
        if stream is None or stream.can_send is None:
            return False
        return await self._says_yes("can_send", stream.can_send, subscription, context)

    def _known(self, subscription: Subscription) -> Stream[Any] | None:
        stream = self._streams.get(subscription.stream)
        if stream is None:
            # One key for all of them: their names are whatever somebody asks for.
            self._warn(
                "", "a stream without rules was asked for, which is refused stream=%r", subscription.stream
            )
        return stream

    async def _says_yes(self, name: str, rule: AccessRule, subscription: Subscription, context: Any) -> bool:
        match await self._ask(rule, subscription, context):
            case Said(bool(answer)):
                return answer
            case Said(answer):
                failed = Failed(f"a {type(answer).__name__} is neither True nor False")
            case Failed() as failed:
                pass
        message = f"{name} gave no answer, which is a no: %s stream=%s"
        self._warn(
            f"{name} {subscription.stream}", message, failed.why, subscription.stream, error=failed.error
        )
        return False

    async def _ask(self, function: Callable[..., Any], *arguments: Any) -> Outcome:
        began = time.perf_counter()
        try:
            return await self._asking.ask(function, *arguments, seconds=RULE_SECONDS)
        finally:
            self._took(time.perf_counter() - began)

    def _fitting(self, context: Any) -> Any:
        if _is_a_bool(context):
            # `return False` is how somebody says no, and must not become somebody's context.
            raise NotLetIn("TOKEN_REFUSED", f"authenticate returned {context!r}, which is no context")
        if self._schema is None:
            return context
        try:
            return self._schema.validate_python(context)
        except Exception as error:
            # A validator of the application may raise anything.
            why = _misfits(error) if isinstance(error, ValidationError) else sentence(error)
            raise NotLetIn("TOKEN_REFUSED", f"what authenticate returned does not fit: {why}") from error

    def _warn(self, key: str, message: str, *values: object, error: BaseException | None = None) -> None:
        now = time.monotonic()
        if now - self._warned_at.get(key, -WARN_EVERY_SECONDS) < WARN_EVERY_SECONDS:
            return
        self._warned_at[key] = now
        log.warning(message, *values, exc_info=error if log.isEnabledFor(logging.DEBUG) else None)


def _is_a_bool(value: object) -> bool:
    # numpy's are no subclasses; they are called `bool`, and `bool_` before numpy 2.
    return isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")


def _misfits(error: ValidationError) -> str:
    """What is wrong, without the values: they are somebody's, and this is for the log."""
    found = error.errors(include_url=False, include_input=False)
    return one_line("; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found))
