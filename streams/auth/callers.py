"""Who asks over HTTP, and may it see that. Every question that cannot be answered is a no.

Processes that serve requests follow no revocations, as a gateway does: they
ask the store, at every request that brings a token.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl

from streams.access import ANONYMOUS, AuthRequest, Caller, Subscription
from streams.auth.asking import one_line
from streams.auth.requests import bearer_tokens, told_request
from streams.auth.revocations import is_revoked
from streams.auth.rules import Rules
from streams.errors import BucketNotUsable, NotLetIn, StoreUnavailable, UnknownStream
from streams.store import Feed, Store
from streams.stream import Stream

if TYPE_CHECKING:
    # Only for its name: who has no tokens needs neither PyJWT nor cryptography.
    from streams.auth.tokens import Verifier

log = logging.getLogger(__name__)


class Doorkeeper(Protocol):
    """Says who somebody is, and what it may see."""

    async def caller(self, token: str | None, request: AuthRequest) -> Caller:
        """Who it is that comes with this token, or without one.

        Raises:
            NotLetIn: It is not let in at all. A bad token never makes it nobody.
        """
        ...

    async def check(self, caller: Caller, wanted: Subscription) -> None:
        """Ask whether the caller may see a group or an item. Reads nothing of it.

        Raises:
            NotLetIn: It may not.
        """
        ...


class Callers:
    """The doorkeeper of a process that follows nothing."""

    def __init__(self, verifier: Verifier, rules: Rules, store: Store, feed: Feed) -> None:
        self._verifier, self._rules, self._store, self._feed = verifier, rules, store, feed

    async def caller(self, token: str | None, request: AuthRequest) -> Caller:
        if token is None:
            return Caller(None, await self._rules.context(request, None))
        claims = await self._verifier.claims(token)
        await self._refuse_revoked(Caller(claims, claims), None)
        return Caller(claims, await self._rules.context(request, claims))

    async def check(self, caller: Caller, wanted: Subscription) -> None:
        is_guarded = self._rules.is_guarded(wanted.stream)
        if is_guarded is None:
            raise NotLetIn("STREAM_ACCESS_DENIED", "there are no rules for such a stream")
        await self._refuse_revoked(caller, wanted)
        if not is_guarded:
            await self._refuse_unknown_rule(wanted.stream)
        elif await self._rules.may_see(caller.context, wanted) is not True:
            raise NotLetIn("STREAM_ACCESS_DENIED", "the stream's rule says no")

    async def _refuse_unknown_rule(self, stream: str) -> None:
        """The stream may have got a rule since this process was started."""
        try:
            is_guarded = await self._feed.is_guarded(stream)
        except UnknownStream:
            return  # There is nothing to see.
        except (BucketNotUsable, StoreUnavailable) as error:
            raise NotLetIn("AUTH_UNAVAILABLE", f"a bucket cannot be asked for its rule: {error}") from error
        if is_guarded:
            raise NotLetIn("STREAM_ACCESS_DENIED", "the stream has got a rule; start this process anew")

    async def _refuse_revoked(self, caller: Caller, wanted: Subscription | None) -> None:
        leeway_seconds = self._verifier.leeway_seconds
        try:
            revoked = await is_revoked(self._store, caller, wanted, leeway_seconds=leeway_seconds)
        except (UnknownStream, BucketNotUsable, StoreUnavailable) as error:
            raise NotLetIn("AUTH_UNAVAILABLE", f"what was revoked cannot be asked: {error}") from error
        if revoked:
            raise NotLetIn("TOKEN_REVOKED", f"revoked for {caller.sub!r}")


class NobodyKnown:
    """A doorkeeper for where nothing says who anybody is: it refuses every token, and asks no store.

    Of `streams`, everybody may see those that have no rule, and nobody any other.
    """

    def __init__(self, streams: Iterable[Stream[Any]] = ()) -> None:
        self._open = frozenset(stream.name for stream in streams if stream.can_access is None)

    async def caller(self, token: str | None, request: AuthRequest) -> Caller:
        if token is not None:
            raise NotLetIn("TOKEN_REFUSED", "nothing is configured to check tokens with")
        return ANONYMOUS

    async def check(self, caller: Caller, wanted: Subscription) -> None:
        if wanted.stream not in self._open:
            raise NotLetIn("STREAM_ACCESS_DENIED", "the stream has a rule, and nobody is known here")


async def caller_of(scope: Mapping[str, Any], doorkeeper: Doorkeeper) -> Caller:
    """Who sends the request that has this ASGI scope. Its body is not looked at.

    Raises:
        NotLetIn: It is not let in at all.
    """
    return await doorkeeper.caller(bearer(authorizations(scope)), http_request(scope))


def authorizations(scope: Mapping[str, Any]) -> list[str]:
    """The values of all `Authorization` headers of a request."""
    return [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"authorization"]


def bearer(authorizations: Iterable[str]) -> str | None:
    """The token that `Authorization` headers bring; None: there is none for us.

    Raises:
        NotLetIn: TOKEN_REFUSED: there are two of these headers, or one that announces a token without one.
    """
    values = list(authorizations)
    if len(values) > 1:
        raise NotLetIn("TOKEN_REFUSED", f"it came with {len(values)} Authorization headers")
    token = next(iter(bearer_tokens(values)), None)
    if token == "":
        raise NotLetIn("TOKEN_REFUSED", "it announced a token, and sent none")
    return token


def http_request(scope: Mapping[str, Any]) -> AuthRequest:
    """What an application is told of the request that has this ASGI scope."""
    client = scope.get("client")
    return told_request(
        "http",
        # As it is decoded for the router: a rule on paths must mean the same ones.
        scope["path"],
        parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True),
        ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]),
        client[0] if client else None,
    )


def log_refusal(error: NotLetIn, path: str) -> None:
    """Why somebody was not let in: whoever asked is not told, so it stands here."""
    level = logging.WARNING if error.code == "AUTH_UNAVAILABLE" else logging.INFO
    log.log(level, "not let in: %s code=%s path=%s", error.reason, error.code, one_line(path))
