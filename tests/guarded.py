"""Gateways as they are deployed: with rules, tokens and revocations."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from streams import Stream
from streams.access import Claims, StreamAuth, Subscription
from streams.auth.origins import Origins
from streams.auth.rules import OwnRules
from streams.auth.tokens import Verifier
from streams.gateway.server import listening
from streams.gateway.service import gateway
from streams.jetstream.connection import Connection
from streams.jetstream.provisioning import provision_application
from streams.keys import Namespace
from tests.conftest import Gateway
from tests.tokens import VERIFIER


def own_group_only(subscription: Subscription, claims: Claims | None) -> bool:
    """Everybody may see the group of their own name, and no other."""
    return claims is not None and subscription.group == claims.sub


async def provisioned(connection: Connection, namespace: Namespace, streams: Iterable[Stream[Any]]) -> None:
    """The buckets of an application."""
    async for _ in provision_application(connection, namespace, streams):
        pass


@asynccontextmanager
async def guarded_gateway(
    connection: Connection,
    namespace: Namespace,
    streams: Iterable[Stream[Any]],
    auth: StreamAuth | None = None,
    *,
    verifier: Verifier = VERIFIER,
    origins: Origins | None = None,
    recheck_seconds: float | None = None,
) -> AsyncIterator[Gateway]:
    """A gateway with the rules of an application, for the length of the block, on any free port."""
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    async with (
        OwnRules.running(streams, auth) as rules,
        gateway(connection, namespace, verifier, rules, recheck_seconds=recheck_seconds) as hub,
        listening(hub, sock, origins=origins),
    ):
        yield Gateway(f"ws://127.0.0.1:{sock.getsockname()[1]}/", hub)
