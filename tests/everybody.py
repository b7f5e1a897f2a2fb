"""A hub that is open to everybody, for tests of other things than who gets in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from streams.access import Caller, Subscription
from streams.auth.rules import OwnRules
from streams.gateway.access import Access
from streams.gateway.hub import Hub
from streams.memory import MemoryStore
from streams.store import Feed, Store
from tests.tokens import VERIFIER


class NothingRevoked:
    """Where nobody can revoke anything."""

    is_stale = False
    is_verified = True
    age_seconds = 0.0

    async def current(self) -> None:
        pass

    def voids(self, caller: Caller, subscription: Subscription | None = None) -> bool:
        return False


@asynccontextmanager
async def open_hub(feed: Feed, events: Store | None = None, **options: Any) -> AsyncIterator[Hub]:
    """A hub without rules and revocations, which knows who has a token of `tests.tokens`.

    What clients send goes out through `events`; without it, nowhere.
    """
    async with (
        OwnRules.running((), None) as rules,
        Hub.running(
            feed,
            Access(VERIFIER, rules, NothingRevoked(), feed),
            events or MemoryStore(),
            **options,
        ) as hub,
    ):
        yield hub
