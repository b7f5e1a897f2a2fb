"""A gateway as it is deployed, where everybody may see the group of their own name, and no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streams import Stream
from streams.jetstream.connection import Connection
from streams.keys import Namespace
from tests.conftest import Gateway
from tests.guarded import guarded_gateway, own_group_only, provisioned

todo = Stream("todo", dict, can_access=own_group_only)


@asynccontextmanager
async def gateway_of_own_groups(connection: Connection, namespace: Namespace) -> AsyncIterator[Gateway]:
    await provisioned(connection, namespace, [todo])
    async with guarded_gateway(connection, namespace, [todo]) as gateway:
        yield gateway
