"""The rules of an application that runs in another process, asked over its socket.

The gateway of `streams dev` loads no code of the application, which would be
out of date at the next save. A context cannot leave the process that made
it. So what the gateway has of a caller is how it came and what its token
says, under a key, and both go along with every question: by the key the
functions process finds the context that it made, and of the rest it makes
another one when it has none, having been started anew. So what was saved
last counts at once, for those who are in already, too.

While the functions are broken, nothing opens that was closed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import httpx

from streams.access import AuthRequest, Claims, Subscription
from streams.auth.asking import one_line, sentence
from streams.auth.rules import RULE_SECONDS
from streams.dev.functions import Functions, FunctionsBroken
from streams.errors import NotLetIn

log = logging.getLogger(__name__)

ANSWER_SECONDS = 2 * RULE_SECONDS + 1
"""How long an answer may take: a context may have to be made anew for it. Waiting for a start is extra."""

Question: TypeAlias = Literal["context", "may-see", "may-send"]


@dataclass(frozen=True, slots=True, eq=False)
class AskedContext:
    """A caller, as the functions process is told of it at every question."""

    # Not in logs: it may hold cookies.
    request: AuthRequest = field(repr=False)
    claims: Claims | None
    key: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    """Under which the functions process keeps what it made of the two."""


class AskedRules:
    """What the functions say of callers, as the `Rules` of a gateway.

    A question that comes while they start waits for them. Where they were
    found to have neither `authenticate` nor a rule, they are asked nothing.
    Cancelling a question loses nothing.
    """

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    async def context(self, request: AuthRequest, claims: Claims | None) -> AskedContext:
        """What to ask about a caller with, once `authenticate` has let it in.

        Raises:
            NotLetIn: It did not. AUTH_UNAVAILABLE: there was no answer, and
                there is such a function, or nobody knows whether there is.
        """
        context = AskedContext(request, claims)
        try:
            client, found = await self._functions.rules()
        except FunctionsBroken as error:
            before = self._functions.found
            if before is None or before.has_auth:
                raise _broken(error) from error
            return context
        if found.has_auth and not await _answer(client, "context", context):
            raise NotLetIn("TOKEN_REFUSED", "the functions say no")
        return context

    def is_guarded(self, stream: str) -> bool | None:
        """What was found when functions could be loaded last: while they are broken, it stays so."""
        found = self._functions.found
        if found is None or all(stream != declared["name"] for declared in found.streams):
            return None
        return stream in found.guarded

    async def may_see(self, context: Any, subscription: Subscription) -> bool:
        return await self._says_yes("may-see", context, subscription)

    async def may_send(self, context: Any, subscription: Subscription) -> bool:
        return await self._says_yes("may-send", context, subscription)

    async def _says_yes(self, question: Question, context: Any, subscription: Subscription) -> bool:
        assert isinstance(context, AskedContext), "a gateway gives back what `context` has given it"
        try:
            client, found = await self._functions.rules()
            if question == "may-send" and subscription.stream not in found.sendable:
                return False
            return await _answer(client, question, context, subscription)
        except FunctionsBroken as error:
            refused = _broken(error)
        except NotLetIn as error:
            refused = error
        log.warning("a rule is taken to say no: %s room=%s", refused.reason, one_line(str(subscription)))
        return False


def in_json(context: AskedContext, about: Subscription | None) -> bytes:
    """A question."""
    request, claims = context.request, context.claims
    value = {
        "key": context.key,
        "request": {
            "kind": request.kind,
            "path": request.path,
            "query": dict(request.query),
            "headers": dict(request.headers),
            "address": request.address,
        },
        "claims": None if claims is None else dict(claims),
        "about": None if about is None else [about.stream, about.group, about.id],
    }
    # Not orjson: in a header that is no ASCII there is half a surrogate pair for every such byte.
    return json.dumps(value).encode()


def of_json(text: bytes) -> tuple[AskedContext, Subscription | None]:
    """The question of `in_json`."""
    value = json.loads(text)
    claims, about = value["claims"], value["about"]
    return (
        AskedContext(
            AuthRequest(**value["request"]), None if claims is None else Claims(claims), value["key"]
        ),
        None if about is None else Subscription(*about),
    )


async def _answer(
    client: httpx.AsyncClient, question: Question, context: AskedContext, about: Subscription | None = None
) -> bool:
    """What the functions process says.

    Raises:
        NotLetIn: The caller is not let in any more. AUTH_UNAVAILABLE: there was no answer.
    """
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            response = await client.post(f"/{question}", content=in_json(context, about))
        answer = json.loads(response.raise_for_status().content)
    except TimeoutError as error:
        why = f"the functions gave no answer within {ANSWER_SECONDS:g} s"
        raise NotLetIn("AUTH_UNAVAILABLE", why) from error
    except Exception as error:
        # Whatever it is, it is no yes.
        why = f"the functions gave no answer: {sentence(error)}"
        raise NotLetIn("AUTH_UNAVAILABLE", why) from error
    match answer:
        case {"yes": bool(yes)}:
            return yes
        case {"code": str(code), "reason": str(reason)}:
            raise NotLetIn(code, reason)
        case _:
            raise NotLetIn("AUTH_UNAVAILABLE", "the answer of the functions is neither yes nor no")


def _broken(error: FunctionsBroken) -> NotLetIn:
    return NotLetIn("AUTH_UNAVAILABLE", f"the functions are broken: {one_line(str(error))}")
