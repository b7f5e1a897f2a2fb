"""Functions in another process, and what asks them for the rules of their application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from streams.access import AuthRequest, Claims
from streams.auth.configuration import TokenSettings
from streams.dev.functions import Functions
from streams.dev.handover import Handover
from streams.dev.nats_server import NatsServer
from streams.dev.rules import AskedRules
from streams.jetstream.credentials import server_at
from streams.keys import Namespace
from tests.core.written_app import App

REQUEST = AuthRequest("websocket", "/")
ANN = Claims({"sub": "ann", "iat": 1, "exp": 2})
BOB = Claims({"sub": "bob", "iat": 1, "exp": 2})

OPEN_STREAM = """
    from streams import Stream

    news = Stream("news", dict)
"""
OWN_ROOM = """
    from streams import Stream

    def can_access(subscription, context):
        return subscription.group == context

    room = Stream("room", dict, can_access=can_access)
"""
WHO = """
    def authenticate(request, claims):
        return None if claims is None else claims.sub
"""


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(tmp_path)


class Asked:
    """An application's functions, started with `load`, and what asks them."""

    def __init__(self, app: App, nats: NatsServer, namespace: Namespace, opened: AsyncExitStack) -> None:
        self._app, self._namespace, self._opened = app, namespace, opened
        self._handover = Handover(server_at(nats.url), TokenSettings())

    async def running(self) -> tuple[Functions, AskedRules]:
        """Not loaded yet."""
        functions = await self._opened.enter_async_context(
            Functions.running(self._app.folder, self._handover, self._namespace.name)
        )
        return functions, AskedRules(functions)

    async def load(self) -> tuple[Functions, AskedRules]:
        functions, rules = await self.running()
        await functions.reload()
        return functions, rules


@pytest_asyncio.fixture
async def asked(app: App, nats: NatsServer, namespace: Namespace) -> AsyncIterator[Asked]:
    async with AsyncExitStack() as opened:
        yield Asked(app, nats, namespace, opened)
