"""What a nats-server of our own keeps, and for whom: what `streams serve` asks of it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from streams.dev.nats_server import USER, Limits, embedded
from streams.errors import CredentialsRefused
from streams.jetstream.connection import connected_to
from streams.jetstream.credentials import Credentials


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "nats"


@pytest.mark.parametrize("is_synced", [False, True])
async def test_writes_are_synced_where_that_is_wanted(store, is_synced):
    async with (
        embedded(store, limits=Limits(is_synced=is_synced)) as server,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        told = (await http.get(f"{server.monitoring_url}/varz")).json()

    assert told["jetstream"]["config"].get("sync_always", False) is is_synced


async def test_with_a_password_only_its_owner_gets_in_and_nothing_is_told_over_http(store):
    async with embedded(store, password='corr$ct "h@rse') as server:
        with pytest.raises(CredentialsRefused):
            async with connected_to(server.url):
                pass
        async with connected_to(server.url, credentials=Credentials(user=USER, password='corr$ct "h@rse')):
            pass

        assert server.monitoring_url == ""
        assert "monitor" not in server.log_path.read_text()
