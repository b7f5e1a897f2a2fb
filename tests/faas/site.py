"""Steps that are served to whom their doors let in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import BaseModel

from streams import Claims, Context, StepConfig, Stream, http
from streams.access import StreamAuth
from streams.auth.callers import Callers
from streams.auth.revocations import STREAM
from streams.auth.rules import OwnRules
from streams.discovery import Application
from streams.faas.asgi import functions_app
from streams.memory import MemoryStore
from streams.step import HttpTrigger, Step
from streams.store import Store
from tests.tokens import VERIFIER


class Note(BaseModel):
    text: str


note = Stream("note", Note)


async def whoami(context: Context) -> Any:
    """What a handler knows of who calls."""
    return dict(context.auth) if isinstance(context.auth, Claims) else context.auth


@dataclass(frozen=True)
class Site:
    """Steps that are served."""

    http: httpx.AsyncClient

    async def ask(self, path: str, token: str | bytes | None = None, **options: Any) -> httpx.Response:
        sent = token.encode("utf-8", "surrogateescape") if isinstance(token, str) else token
        headers = {} if sent is None else {b"Authorization": b"Bearer " + sent}
        return await self.http.post(path, headers=headers, **options)


def step(handler: Callable[..., Any], *triggers: HttpTrigger) -> Step:
    return Step(StepConfig(handler.__name__, triggers), handler, Path("a_step.py"))


WHOAMI = step(
    whoami,
    http("POST", "/optional"),
    http("POST", "/required", auth="required"),
    http("POST", "/none", auth="none"),
)


@asynccontextmanager
async def serving(
    *steps: Step,
    store: Store | None = None,
    authenticate: Any = None,
) -> AsyncIterator[Site]:
    auth = None if authenticate is None else StreamAuth(authenticate, None, Path("stream_auth.py"))
    kept = store or MemoryStore([STREAM, "note"])
    async with OwnRules.running([note], auth) as rules:
        application = Application(Path(), (note,), steps or (WHOAMI,), auth)
        app = functions_app(application, kept, callers=Callers(VERIFIER, rules, kept, MemoryStore()))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            yield Site(client)
