"""Motia's clients on a gateway of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.clients.driver import GENERATIONS, Client, Generation, Node
from tests.clients.front import Front, front_of
from tests.clients.harness import PROGRAM, Harness
from tests.clients.npm import installed
from tests.conftest import Gateway

RECONNECT_MS = 50


@pytest.fixture(scope="session")
def harness() -> Iterator[Harness]:
    """Motia's clients as they are published, under Node."""
    installed(PROGRAM.parent)
    with Harness.running() as harness:
        yield harness


@pytest_asyncio.fixture
async def node(harness: Harness, opened: AsyncExitStack) -> AsyncIterator[Node]:
    """Opens clients, which come back soon after they have lost their connection.

    They end before what the test has opened does, so that no gateway waits for them.
    """
    async with Node.driving(harness, reconnect_ms=RECONNECT_MS) as node:
        yield node


@pytest.fixture(params=GENERATIONS)
def generation(request: pytest.FixtureRequest) -> Generation:
    """Each generation of the clients in turn."""
    found: Generation = request.param
    return found


@pytest.fixture
def motia(gateway: Gateway, node: Node, generation: Generation) -> Client:
    """A client of each generation in turn, on the gateway."""
    return node.open(generation, gateway.url)


@pytest_asyncio.fixture
async def front(gateway: Gateway, opened: AsyncExitStack) -> Front:
    """A line to the gateway that can be cut."""
    return await opened.enter_async_context(front_of(gateway.url))


@pytest.fixture
def far_motia(front: Front, node: Node, generation: Generation) -> Client:
    """A client of each generation in turn, whose line to the gateway can be cut."""
    return node.open(generation, front.url)
