"""The zip of this repository's functions, for this interpreter and this machine."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from streams.dev.nats_server import NatsServer
from streams.jetstream.bucket import provision
from streams.jetstream.connection import connected_to
from streams.keys import REVOKED_STREAM, Namespace
from tests.core.written_app import App, forgotten
from tests.deploy.built import built_zip


@pytest.fixture(scope="session")
def zipped() -> Path:
    return built_zip()


@pytest.fixture(scope="session")
def unpacked(zipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a folder."""
    folder = tmp_path_factory.mktemp("zip")
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(folder)
    return folder


@pytest_asyncio.fixture
async def provisioned(nats: NatsServer, namespace: Namespace) -> Namespace:
    """A namespace with the todos and with revocations, as `streams provision` leaves it."""
    return await _provisioned(nats, namespace)


@pytest_asyncio.fixture
async def own_provisioned(own_nats: NatsServer, namespace: Namespace) -> Namespace:
    """The same on the test's own server."""
    return await _provisioned(own_nats, namespace)


async def _provisioned(nats: NatsServer, namespace: Namespace) -> Namespace:
    async with connected_to(nats.url) as connection:
        await provision(connection, namespace, "todo")
        await provision(connection, namespace, REVOKED_STREAM, guarded=True)
    return namespace


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with forgotten(App(tmp_path)) as app:
        yield app
