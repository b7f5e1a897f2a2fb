"""Who asks, and for what: what an application's rules are told.

Everything here is plain data. A rule is a function of the application:

- `authenticate(request, claims)` in `stream_auth.py` makes a context of a
  caller: whatever the other rules want to know of it;
- `can_access(subscription, context)` of a stream says whether a caller may
  see a group or an item;
- `can_send(subscription, context)` says whether a caller may send events.

They may be plain functions or coroutines. Whatever is not a clear yes (an
exception, no answer in time, an answer that is not True) is a no.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias


class Claims(Mapping[str, Any]):
    """What a verified token says. `claims["role"]` is any claim of it."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    @property
    def sub(self) -> str:
        """Who it is: the user."""
        sub: str = self._values["sub"]
        return sub

    @property
    def iat(self) -> float:
        """When the token was made, in seconds since 1970."""
        return float(self._values["iat"])

    @property
    def exp(self) -> float:
        """When the token ends, in seconds since 1970."""
        return float(self._values["exp"])

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        # Claims may be personal; this goes into logs.
        return f"<Claims of {self.sub!r}>"


@dataclass(frozen=True, slots=True)
class AuthRequest:
    """How a caller came. Its token is not in here: that was verified already."""

    kind: Literal["websocket", "http"]
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    """Parameters by name; of one that comes twice, the last."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name, without those that may carry a token, such as `authorization`."""
    address: str | None = None
    """Where the connection comes from: the client, or the last proxy before us."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a caller wants to see, or to send to: a group, or one item of it."""

    stream: str
    group: str
    id: str | None = None
    """None: the whole group."""

    def __str__(self) -> str:
        return f"{self.stream}/{self.group}" + ("" if self.id is None else f"/{self.id}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was let in."""

    claims: Claims | None
    """None: nobody knows who it is; it came without a token."""
    context: Any
    """What `authenticate` made of it; the claims, where an application has no such function."""

    @property
    def sub(self) -> str | None:
        return None if self.claims is None else self.claims.sub


ANONYMOUS = Caller(None, None)

Authenticate: TypeAlias = Callable[[AuthRequest, Claims | None], Any]
"""To the context, or None; or a coroutine of it."""

AccessRule: TypeAlias = Callable[[Subscription, Any], bool | Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class StreamAuth:
    """The `stream_auth.py` of an application."""

    authenticate: Authenticate
    context_schema: Any
    """What a context must be, for pydantic: a model or another type. None: anything."""
    path: Path
