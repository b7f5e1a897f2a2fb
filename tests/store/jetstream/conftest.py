"""What is tested here, only the store on NATS has to do with."""

from __future__ import annotations

import pytest

from tests.conftest import Backend


@pytest.fixture
def backend(jetstream: Backend) -> Backend:
    """The one behind `store` and `feed` here."""
    return jetstream
