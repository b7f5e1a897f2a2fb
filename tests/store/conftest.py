"""Both stores, one after the other."""

from __future__ import annotations

import pytest

from streams.memory import MemoryStore
from tests.conftest import Backend


# Not a coroutine, as the one above is: from inside a running loop the other fixture cannot be awaited.
@pytest.fixture(params=["memory", "jetstream"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each implementation in turn: the contract suite runs on both."""
    if request.param == "memory":
        memory = MemoryStore(["todo"])
        return Backend(memory, memory)
    found: Backend = request.getfixturevalue("jetstream")
    return found
