"""When a gateway says that it is ready: the rule, and a gateway whose NATS goes and comes back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
import pytest_asyncio

from streams.auth.revocations import STREAM
from streams.auth.rules import OwnRules
from streams.dev.nats_server import NatsServer
from streams.gateway import health
from streams.gateway.access import Access
from streams.gateway.health import FEEDS_SECONDS, REVOCATIONS_SECONDS, Health, Signs
from streams.gateway.hub import Hub
from streams.gateway.revoked import TRUSTED_SECONDS, Revoked
from streams.gateway.server import listening
from streams.jetstream.bucket import provision
from streams.jetstream.connection import connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from tests.browser import SECONDS
from tests.buckets import api
from tests.gateway.inside import Inside, inside_of
from tests.gateway.waiting import until
from tests.tokens import VERIFIER

WELL = Signs(is_connected=True, revocations_seconds=3, feeds_seconds=12, is_leaving=False)
CUT = replace(WELL, is_connected=False)
LEAVING = replace(WELL, is_leaving=True)

AWAY = ["NATS is away"]
UNKNOWN = ["it is not known what was revoked"]
MISSED = ["it is not known whether changes were missed"]
ENDS = ["this gateway is about to end"]


def silent(seconds: float) -> Signs:
    """The line to NATS stands, and nothing was answered for so long."""
    return replace(WELL, revocations_seconds=seconds)


def compared(seconds_ago: float) -> Signs:
    return replace(WELL, feeds_seconds=seconds_ago)


@pytest.fixture
def ready() -> Health:
    """Of a gateway that was ready, with a grace of 10 seconds."""
    own = Health(10)
    assert own.not_ready(WELL) == []
    return own


def test_a_gateway_is_ready_when_all_is_well():
    assert Health().not_ready(WELL) == []


@pytest.mark.parametrize(
    ("signs", "reasons"),
    [
        (CUT, AWAY),
        (silent(REVOCATIONS_SECONDS + 1), UNKNOWN),
        (compared(FEEDS_SECONDS + 1), MISSED),
        (LEAVING, ENDS),
    ],
)
def test_at_the_start_there_is_no_grace(signs: Signs, reasons: list[str]):
    own = Health(10)

    assert own.not_ready(signs) == reasons
    assert own.not_ready(WELL) == []


@pytest.mark.parametrize(
    ("is_connected", "seconds", "reasons"),
    [(False, 17.9, []), (False, 18.1, AWAY), (True, 17.9, []), (True, 18.1, UNKNOWN)],
)
def test_without_nats_it_stays_ready_for_a_grace(
    ready: Health, is_connected: bool, seconds: float, reasons: list[str]
):
    assert ready.not_ready(replace(silent(seconds), is_connected=is_connected)) == reasons


@pytest.mark.parametrize(("seconds", "reasons"), [(39.9, []), (40.1, MISSED)])
def test_late_comparisons_have_the_same_grace(ready: Health, seconds: float, reasons: list[str]):
    assert ready.not_ready(compared(seconds)) == reasons


def test_who_was_not_ready_has_no_grace_until_all_is_well(ready: Health):
    assert ready.not_ready(silent(20)) == UNKNOWN

    assert ready.not_ready(CUT) == AWAY
    assert ready.not_ready(silent(REVOCATIONS_SECONDS + 1)) == UNKNOWN
    assert ready.not_ready(WELL) == []
    assert ready.not_ready(CUT) == []


def test_no_grace_is_longer_than_anybody_is_let_in():
    patient = Health(3600)
    assert patient.not_ready(WELL) == []

    assert patient.not_ready(silent(TRUSTED_SECONDS - 0.1)) == []
    assert patient.not_ready(silent(TRUSTED_SECONDS + 0.1)) == UNKNOWN


def test_whoever_is_about_to_end_says_so_at_once_and_beside_all_else(ready: Health):
    assert ready.not_ready(LEAVING) == ENDS
    assert ready.not_ready(replace(LEAVING, feeds_seconds=50)) == [*MISSED, *ENDS]


def test_to_be_about_to_end_takes_no_grace_away(ready: Health):
    ready.not_ready(LEAVING)

    assert ready.not_ready(replace(CUT, is_leaving=True)) == ENDS


@dataclass
class Both:
    """Both listeners of one gateway."""

    hub: Hub
    nats: NatsServer
    inside: Inside
    outside: httpx.AsyncClient
    delete_bucket: Callable[[], Awaitable[Any]]
    """Of the revocations."""

    async def says(self, status: int) -> tuple[str, list[str]]:
        """Ask until `/readyz` answers with that status, inside and outside. What it says there."""
        async with asyncio.timeout(2 * SECONDS):
            while True:
                (found, told), outside = await self.inside.readiness(), await self.outside.get("/readyz")
                if found == outside.status_code == status:
                    assert told["ready"] == (status == 200)
                    return outside.text, told["reasons"]


@pytest_asyncio.fixture
async def both(
    own_nats: NatsServer, namespace: Namespace, opened: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Both]:
    """A gateway that asks often what was revoked, and whose NATS may be killed."""
    monkeypatch.setattr(health, "REVOCATIONS_SECONDS", 0.5)
    connection = await opened.enter_async_context(connected_to(own_nats.url))
    await provision(connection, namespace, STREAM)
    feed, sock = JetStreamFeed(connection, namespace), socket.create_server(("127.0.0.1", 0))
    async with (
        OwnRules.running((), None) as rules,
        Revoked.running(feed, lambda _: None, verify_seconds=0.05) as revoked,
        Hub.running(
            feed,
            Access(VERIFIER, rules, revoked, feed, is_connected=lambda: connection.is_connected),
            KvStore(connection, namespace),
        ) as hub,
        inside_of(hub) as inside,
        listening(hub, sock),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{sock.getsockname()[1]}", trust_env=False) as outside,
    ):
        delete = f"STREAM.DELETE.{namespace.bucket_stream(STREAM)}"
        yield Both(hub, own_nats, inside, outside, lambda: api(connection, delete))


async def test_a_gateway_without_nats_is_taken_out_after_a_grace_and_comes_back(both: Both):
    both.hub.health.grace_seconds = 20
    assert await both.says(200) == ("ready\n", [])

    both.nats.kill()
    await until(lambda: not both.hub.access.is_connected)
    status, told = await both.inside.readiness()
    assert (status, told["nats_connected"]) == (200, False)
    assert (await both.inside.numbers())["ready"] == 1

    both.hub.health.grace_seconds = 0
    assert await both.says(503) == ("NATS is away\n", ["NATS is away"])
    found = await both.inside.numbers()
    assert (found["ready"], found["nats_connected"]) == (0, 0)
    assert found["revocations_age_seconds"] > 0.5
    assert (await both.outside.get("/healthz")).status_code == 200

    await both.nats.restart()
    assert await both.says(200) == ("ready\n", [])
    assert (await both.inside.numbers())["nats_connected"] == 1


async def test_a_bucket_of_revocations_that_is_gone_is_told_apart_from_nats_that_is(both: Both):
    both.hub.health.grace_seconds = 0
    await both.delete_bucket()

    assert await both.says(503) == (
        "it is not known what was revoked\n",
        ["it is not known what was revoked"],
    )
    assert (await both.inside.readiness())[1]["nats_connected"]


async def test_readiness_is_told_inside_with_all_that_it_is_made_of(both: Both):
    _, told = await both.inside.readiness()

    assert told.keys() == {
        "ready",
        "reasons",
        "nats_connected",
        "revocations_age_seconds",
        "comparison_age_seconds",
        "grace_seconds",
    }
    assert (told["grace_seconds"], told["comparison_age_seconds"]) == (health.GRACE_SECONDS, 0)
    assert 0 <= told["revocations_age_seconds"] < 10
