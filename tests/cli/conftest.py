"""What tests of the command line stand on: a server with the stream `todo`, and a folder with files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from streams.dev.nats_server import NatsServer
from streams.keys import Namespace
from tests.cli.typed import Typed
from tests.conftest import Backend
from tests.core.written_app import App


@pytest.fixture
def streams(nats: NatsServer, namespace: Namespace) -> Typed:
    """Types commands. There is no stream yet."""
    return Typed(nats.url, namespace.name)


@pytest.fixture
def todo(streams: Typed, jetstream: Backend) -> Typed:
    """Types commands. There is a stream `todo`."""
    return streams


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    """An application that the test writes."""
    # Loading it puts its folder there.
    monkeypatch.setattr(sys, "path", list(sys.path))
    return App(tmp_path)
