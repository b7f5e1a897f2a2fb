"""The internal listener of a gateway, as those who run it ask it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from streams.gateway.hub import Hub
from streams.gateway.metrics import telling
from tests.conftest import Gateway

Numbers = dict[str, float]


@dataclass
class Inside:
    """The internal listener of a gateway."""

    http: httpx.AsyncClient

    async def numbers(self) -> Numbers:
        """Every number by its name, with the label where it has one: `refused_total TOKEN_REFUSED`."""
        return numbers_in((await self.http.get("/metrics")).text)

    async def readiness(self) -> tuple[int, dict[str, Any]]:
        answer = await self.http.get("/readyz")
        return answer.status_code, answer.json()


def numbers_in(text: str) -> Numbers:
    return {
        " ".join([sample.name.removeprefix("streams_gateway_"), *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@asynccontextmanager
async def inside_of(hub: Hub) -> AsyncIterator[Inside]:
    sock = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    async with telling(hub, sock), httpx.AsyncClient(base_url=url, trust_env=False) as http:
        yield Inside(http)


@pytest_asyncio.fixture
async def inside(gateway: Gateway) -> AsyncIterator[Inside]:
    async with inside_of(gateway.hub) as inside:
        yield inside
