"""Who may ask for what: the operator for everything, others for what the rules of a stream let them see."""

from __future__ import annotations

from starlette.types import Scope

from streams.access import Subscription
from streams.auth.callers import Doorkeeper, authorizations, caller_of
from streams.auth.operator import Operator
from streams.context import StreamsByName
from streams.errors import NotLetIn
from streams.resources.names import subscription_in
from streams.resources.refusals import Refused


class OperatorOnly(Refused):
    """What was asked for is the operator's."""

    status = 401

    def __init__(self) -> None:
        super().__init__("OPERATOR_ONLY", "send `Authorization: Bearer <the operator's token>`")


class Door:
    """Before everything that this API serves. Without an operator, what is the operator's is everybody's.

    A read is what asks for a path of a group or an item, whichever route that
    has: one that is added later is behind the same rules.
    """

    def __init__(self, operator: Operator | None, doorkeeper: Doorkeeper, streams: StreamsByName) -> None:
        self._operator, self._doorkeeper, self._streams = operator, doorkeeper, streams

    async def let_in(self, scope: Scope) -> None:
        """Refuse a request that may not be answered. `scope` has the path as it was sent.

        Reads nothing of any stream.

        Raises:
            OperatorOnly, NotLetIn: It may not be answered.
            InvalidName: It asks for a group or an item that can have no such name.
            UnknownStream: There is no such stream. Only said to those who may list the streams.
        """
        if self._is_of_operator(scope):
            return
        wanted = subscription_in(scope["path"]) if scope["method"] == "GET" else None
        if wanted is not None:
            await self._check(scope, wanted)
        elif self._operator is not None:
            raise OperatorOnly

    def _is_of_operator(self, scope: Scope) -> bool:
        return self._operator is not None and self._operator.is_meant_by(authorizations(scope))

    async def _check(self, scope: Scope, wanted: Subscription) -> None:
        caller = await caller_of(scope, self._doorkeeper)
        try:
            self._check_stream(wanted.stream)
            await self._doorkeeper.check(caller, wanted)
        except NotLetIn as error:
            if caller.context is None and error.code != "AUTH_UNAVAILABLE":
                # Somebody else may, perhaps.
                raise NotLetIn("TOKEN_REQUIRED", f"nobody knows who it is, and {error.reason}") from error
            raise

    def _check_stream(self, name: str) -> None:
        if self._operator is None:
            self._streams[name]
        elif all(stream.name != name for stream in self._streams):
            # As if it were there, and not for them: which there are is the operator's to know.
            raise NotLetIn("STREAM_ACCESS_DENIED", "there is no such stream")
