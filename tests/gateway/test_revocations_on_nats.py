"""What becomes of the revocations that a gateway knows when NATS, or their bucket, goes and comes back."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from streams.auth.revocations import STREAM, revoke
from streams.dev.nats_server import NatsServer
from streams.gateway import revoked as revoked_module
from streams.jetstream.bucket import provision
from streams.jetstream.connection import Connection, connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from tests.browser import SECONDS
from tests.buckets import api
from tests.conftest import Backend
from tests.gateway.following import ANN, BOB, Line, caller, following, with_revocations
from tests.gateway.waiting import until
from tests.store.jetstream.proxy import line_to


@pytest_asyncio.fixture
async def provisioned(connection: Connection, namespace: Namespace) -> Backend:
    return await with_revocations(connection, namespace)


async def test_a_bucket_made_anew_counts_only_when_it_was_read(
    provisioned: Backend, connection: Connection, namespace: Namespace
):
    await revoke(provisioned.store, ANN)
    line = Line(provisioned.feed)
    async with following(line) as now:
        line.may_read.clear()
        line.reading.clear()
        await _delete_bucket(connection, namespace)
        await provision(connection, namespace, STREAM)
        await revoke(provisioned.store, BOB)
        await asyncio.wait_for(line.reading.wait(), SECONDS)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(now.revoked.current(), 0.05)
        assert now.revoked.voids(caller("ann"))

        line.may_read.set()
        await asyncio.wait_for(now.revoked.current(), SECONDS)

        assert now.told == [BOB]
        assert not now.revoked.voids(caller("ann"))


async def test_while_the_bucket_is_gone_all_that_was_revoked_stays_so(
    provisioned: Backend,
    connection: Connection,
    namespace: Namespace,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(revoked_module, "TRUSTED_SECONDS", 0.2)
    monkeypatch.setattr(revoked_module, "RETRY_SECONDS", 0.02)
    await revoke(provisioned.store, ANN)
    async with following(provisioned.feed) as now:
        await _delete_bucket(connection, namespace)

        await until(lambda: now.revoked.is_stale)
        assert now.revoked.voids(caller("ann"))

        await provision(connection, namespace, STREAM)
        await until(lambda: not now.revoked.is_stale)
        assert not now.revoked.voids(caller("ann"))


async def test_a_gateway_that_was_cut_from_nats_lets_no_join_through_with_what_it_missed(
    provisioned: Backend, nats: NatsServer, namespace: Namespace
):
    async with line_to(nats.url) as cable, connected_to(cable.url) as gateway:
        line = Line(JetStreamFeed(gateway, namespace))
        async with following(line, verify_seconds=60) as now:
            renewed = asyncio.Event()
            gateways_own = line.renewed
            _listener(gateway).lost = lambda: (gateways_own(), renewed.set())
            cable.swallows_requests = cable.swallows_answers = True
            await revoke(provisioned.store, ANN)

            cable.cut()
            await asyncio.wait_for(renewed.wait(), SECONDS)
            await now.revoked.current()

            assert now.revoked.voids(caller("ann"))


async def test_revocations_outlive_a_server_that_is_killed(own_nats: NatsServer, namespace: Namespace):
    async with connected_to(own_nats.url) as operator, connected_to(own_nats.url) as gateway:
        await provision(operator, namespace, STREAM)
        store = KvStore(operator, namespace)
        await revoke(store, ANN)
        async with following(JetStreamFeed(gateway, namespace)) as now:
            own_nats.kill()
            await own_nats.restart()
            await revoke(store, BOB)

            await now.until_told(BOB)
            assert now.revoked.voids(caller("ann"))


def _listener(connection: Connection):
    (listener,) = connection._listeners._all
    return listener


async def _delete_bucket(connection: Connection, namespace: Namespace) -> None:
    await api(connection, f"STREAM.DELETE.{namespace.bucket_stream(STREAM)}")
