"""Doorkeepers of two streams, one of which has a rule, and who comes to them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from streams import AuthRequest, Claims, Stream, Subscription
from streams.access import Caller, StreamAuth
from streams.auth.callers import Callers, Doorkeeper
from streams.auth.revocations import STREAM
from streams.auth.rules import OwnRules
from streams.errors import NotLetIn
from streams.memory import MemoryStore
from streams.store import Store
from tests.tokens import VERIFIER

CAME = AuthRequest("http", "/notes")
OPEN, GUARDED = Subscription("open", "inbox"), Subscription("private", "acme")


async def of_tenant(subscription: Subscription, context: Any) -> bool:
    return context is not None and subscription.group == context["tenant"]


STREAMS = [Stream("open", dict), Stream("private", dict, can_access=of_tenant)]


@asynccontextmanager
async def callers(store: Store | None = None, authenticate: Any = None) -> AsyncIterator[Callers]:
    auth = None if authenticate is None else StreamAuth(authenticate, None, Path("stream_auth.py"))
    async with OwnRules.running(STREAMS, auth) as rules:
        yield Callers(VERIFIER, rules, store or MemoryStore([STREAM]), MemoryStore())


async def refusal(doorkeeper: Doorkeeper, caller: Caller, wanted: Subscription) -> str:
    with pytest.raises(NotLetIn) as refused:
        await doorkeeper.check(caller, wanted)
    return refused.value.code


def known(**claims: Any) -> Caller:
    found = Claims({"sub": "ann", "iat": time.time(), "exp": time.time() + 60, **claims})
    return Caller(found, found)


def scope(*headers: tuple[str, str], path: str = "/notes", query: str = "", **more: Any) -> dict[str, Any]:
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return {"headers": encoded, "path": path, "query_string": query.encode(), "client": None, **more}
