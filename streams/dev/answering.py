"""The answers of a functions process to the gateway's questions: the other end of `AskedRules`."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from streams.access import Subscription
from streams.auth.rules import Rules
from streams.dev.rules import AskedContext, of_json
from streams.errors import NotLetIn

CONTEXTS_KEPT = 10_000
"""Of so many callers it is kept what `authenticate` made of them. Of the one who was
asked about longest ago, it is made again when it is needed."""


def rules_app(rules: Rules, *, contexts_kept: int = CONTEXTS_KEPT) -> ASGIApp:
    """Answers the questions. Whoever can ask them learns what is kept from others, so nobody else may."""
    contexts = _Contexts(rules, contexts_kept)

    async def context(request: Request) -> Response:
        asked, _ = of_json(await request.body())
        await contexts.make(asked)
        return _said({"yes": True})

    async def may_see(request: Request) -> Response:
        context, about = await contexts.asked_about(request)
        return _said({"yes": await rules.may_see(context, about)})

    async def may_send(request: Request) -> Response:
        context, about = await contexts.asked_about(request)
        return _said({"yes": await rules.may_send(context, about)})

    return Starlette(
        routes=[
            Route("/context", context, methods=["POST"]),
            Route("/may-see", may_see, methods=["POST"]),
            Route("/may-send", may_send, methods=["POST"]),
        ],
        exception_handlers={NotLetIn: _not_let_in},
    )


class _Kept:
    """What was made of one caller. Questions about it that come at once wait for one `authenticate`."""

    __slots__ = ("context", "is_made", "making")

    def __init__(self) -> None:
        self.making, self.is_made = asyncio.Lock(), False
        self.context: Any = None


class _Contexts:
    def __init__(self, rules: Rules, at_most: int) -> None:
        self._rules, self._at_most = rules, at_most
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def asked_about(self, request: Request) -> tuple[Any, Subscription]:
        """The context of the caller that a question is about, and what it wants.

        Raises:
            NotLetIn: It has none yet, and `authenticate` makes none.
        """
        asked, about = of_json(await request.body())
        assert about is not None, "this is asked about a room"
        return await self._of(asked), about

    async def make(self, asked: AskedContext) -> None:
        """Keep what `authenticate` makes of a caller.

        Raises:
            NotLetIn: It makes nothing.
        """
        self._kept.pop(asked.key, None)
        await self._of(asked)

    async def _of(self, asked: AskedContext) -> Any:
        kept = self._kept.setdefault(asked.key, _Kept())
        self._kept.move_to_end(asked.key)
        while len(self._kept) > self._at_most:
            self._kept.popitem(last=False)
        async with kept.making:
            if not kept.is_made:
                kept.context = await self._rules.context(asked.request, asked.claims)
                kept.is_made = True
        return kept.context


def _said(answer: dict[str, Any]) -> Response:
    return Response(json.dumps(answer), media_type="application/json")


async def _not_let_in(_: Request, error: Exception) -> Response:
    assert isinstance(error, NotLetIn)
    return _said({"code": error.code, "reason": error.reason})
