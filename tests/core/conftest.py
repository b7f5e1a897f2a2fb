"""What tests of the heart stand on: a store in memory, and an application that they write to disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from streams.memory import MemoryStore
from streams.store import bound_to
from tests.core.written_app import App, forgotten

# Property tests have no time limit, neither per example nor for making some: the machine may be busy.
settings.register_profile("streams", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("streams")


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    """Bound while the test runs."""
    store = MemoryStore(["todo", "notes"])
    with bound_to(store):
        yield store


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with forgotten(App(tmp_path)) as app:
        yield app
