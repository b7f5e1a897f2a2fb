"""What a stream says of itself: its name, how long its items live, and who may have them."""

from __future__ import annotations

import inspect
import math
from typing import Any

from streams.access import AccessRule
from streams.errors import DefinitionRefused
from streams.keys import checked_stream_name
from streams.store import wrong_ttl


class Declared:
    """The part of a stream that is the same for items of every kind. Nothing of it changes.

    Raises:
        InvalidName: `name` does not match `[A-Za-z][A-Za-z0-9_-]{0,63}`.
        DefinitionRefused: `ttl` or a rule is nothing that it could be, or they contradict each other.
    """

    def __init__(
        self,
        name: str,
        *,
        ttl: float | None,
        can_access: AccessRule | None,
        can_send: AccessRule | None,
        public: bool,
    ) -> None:
        self.name = checked_stream_name(name)
        for problem in (
            wrong_ttl(ttl),
            _wrong_rule("can_access", can_access),
            _wrong_rule("can_send", can_send),
            _wrong_public(public, can_access),
        ):
            if problem is not None:
                raise DefinitionRefused(f"stream {name!r}: {problem}")
        self._ttl = math.inf if ttl is None else ttl
        self._can_access, self._can_send, self._public = can_access, can_send, public

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    @property
    def ttl(self) -> float | None:
        """How many seconds an item lives where nothing else is said; None: for ever."""
        return None if math.isinf(self._ttl) else self._ttl

    @property
    def can_access(self) -> AccessRule | None:
        """Says who may see a group or an item; None: everybody may."""
        return self._can_access

    @property
    def can_send(self) -> AccessRule | None:
        """Says which clients may send events; None: no client may. Steps always may."""
        return self._can_send

    @property
    def public(self) -> bool:
        """Whether everybody is meant to see it, so that `streams check` need not warn."""
        return self._public


def wrong_function(function: Any, *arguments: str) -> str | None:
    """Why it cannot be called with these arguments, or None.

    What is built in need not say what it takes; it is found out by calling it.
    """
    if not callable(function):
        return f"is not a function: {function!r}"
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*arguments)
    except TypeError as error:
        return f"must take ({', '.join(arguments)}): {error}"
    return None


def _wrong_rule(name: str, rule: AccessRule | None) -> str | None:
    problem = None if rule is None else wrong_function(rule, "subscription", "context")
    return None if problem is None else f"`{name}` {problem}"


def _wrong_public(public: object, can_access: AccessRule | None) -> str | None:
    if not isinstance(public, bool):
        return f"`public` is True or False, not {public!r}"
    if public and can_access is not None:
        return "`public=True` lets everybody see it, and `can_access` asks who may; keep one of them"
    return None
