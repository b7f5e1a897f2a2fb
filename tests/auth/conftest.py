"""What tests of rules and of published keys stand on: rules in little time, and a server with a key."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio

from streams.auth import rules
from streams.auth.jwks import Jwks
from tests.auth.keys_replaced import OLD
from tests.auth.published import Clock, Publisher, answer, document
from tests.auth.rules_asked import Gate


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A rule that waits until the test lets it go, at its end at the latest."""
    gate = Gate()
    yield gate
    gate.end()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules have little time."""
    monkeypatch.setattr(rules, "RULE_SECONDS", 0.05)


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was said of rules in the log."""
    caplog.set_level(logging.INFO)

    def said() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == rules.__name__]

    return said


@pytest_asyncio.fixture
async def publisher() -> AsyncIterator[Publisher]:
    """Publishes the key `old`."""
    async with Publisher.serving(answer(document(old=OLD))) as publisher:
        yield publisher


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def jwks(publisher: Publisher, clock: Clock) -> AsyncIterator[Jwks]:
    async with Jwks.kept(publisher.url, now=clock) as jwks:
        yield jwks
