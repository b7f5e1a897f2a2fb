"""The resource API with rules, tokens and an operator, and what it is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from streams import Stream, Subscription, bound_to
from streams.access import StreamAuth
from streams.auth.callers import Callers
from streams.auth.operator import Operator
from streams.auth.revocations import STREAM
from streams.auth.rules import OwnRules
from streams.memory import MemoryStore
from streams.store import Store
from tests.conftest import Backend
from tests.failing import Failing
from tests.resources.conftest import Api, Todo, asked_in_process
from tests.tokens import VERIFIER

OPERATOR = "0123456789abcdef0123456789abcdef"
READS = ["/streams/private/acme", "/streams/private/acme/1", "/streams/private?group=acme&id=1"]
"""Where something is read of a group that is of one tenant."""


async def of_tenant(subscription: Subscription, context: Any) -> bool:
    """Groups are called after tenants; of a tenant's own, everybody sees the notice."""
    if subscription.id == "notice":
        return True
    return context is not None and context["tenant"] == subscription.group


todo = Stream("todo", Todo)
private = Stream("private", dict, can_access=of_tenant)


def nothing() -> Backend:
    """Items that nobody may touch."""
    failing = Failing()
    return Backend(failing, failing)


async def filled() -> Backend:
    """An item `1` in each of some groups."""
    memory = MemoryStore(["todo", "private"])
    with bound_to(memory):
        await todo.set("inbox", "1", Todo(id="1", text="for everybody"))
        for tenant in ("acme", "umbrella"):
            await private.set(tenant, "1", {"of": tenant})
            await private.set(tenant, "notice", {"of": tenant})
    return Backend(memory, memory)


@asynccontextmanager
async def served(
    backend: Backend,
    *,
    operator: Operator | None = None,
    revoked: Store | None = None,
    authenticate: Any = None,
) -> AsyncIterator[Api]:
    auth = None if authenticate is None else StreamAuth(authenticate, None, Path("stream_auth.py"))
    async with OwnRules.running([todo, private], auth) as rules:
        callers = Callers(VERIFIER, rules, revoked or MemoryStore([STREAM]), backend.feed)
        async with asked_in_process(backend, operator, callers, [todo, private]) as api:
            yield api


def deployed(backend: Backend, **options: Any) -> Any:
    return served(backend, operator=Operator(OPERATOR), **options)


async def get(api: Api, target: str, token: str | None = None, **headers: str) -> httpx.Response:
    if token is None:
        return await api.get(target, **headers)
    sent = b"Bearer " + token.encode("utf-8", "surrogateescape")
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return await api.ask("GET", target, headers={b"Authorization": sent, **named})


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]
