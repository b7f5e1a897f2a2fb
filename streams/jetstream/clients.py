"""What nats-py's client does not do by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

Handler: TypeAlias = Callable[[Msg], None]


class FastClient(Client):
    """nats-py's client, which looks at headers once, and at the server before it says who we are.

    Its own looks at every character of every name, which is most of what a
    message costs. Those that we read are made by the server and by us.
    """

    def __init__(self, greeted: Callable[[dict[str, Any]], None] = lambda info: None) -> None:
        """`greeted` is called with the first that the server says. What it raises ends the connecting."""
        super().__init__()
        self._greeted = greeted
        self.version = ""
        """What the server says that it is, such as `2.12.3`. nats-py only gives out a picture of it."""

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection:
            self.version = str(info.get("version", ""))[:40]
            self._greeted(info)
        await super()._process_info(info, initial_connection)

    def _setup_server_pool(self, connect_url: list[str]) -> None:
        # Servers of a cluster tell of each other by number. Their certificates are for names: for the
        # one that we were given. nats-py remembers it as long as a client lives, and ours are short.
        super()._setup_server_pool(connect_url)
        given, *others = self._server_pool
        for other in others:
            if self._host_is_ip(other.uri.hostname) and not self._host_is_ip(given.uri.hostname):
                other.tls_name = given.uri.hostname

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        if isinstance(self._err, OSError):
            # The line is gone. nats-py would write to it all the same what is pending, fail where
            # nobody listens, and leave its tasks behind.
            self._pending.clear()
            self._pending_data_size = 0
        await super()._close(status, do_cbs)

    async def _process_pong(self) -> None:
        # Whoever waited for it may have given up, which nats-py does not think of.
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        lines = [line.partition(":") for line in raw.decode("utf-8", "replace").split("\r\n")]
        return {name: value.strip(" \t") for name, colon, value in lines if colon}


def as_callback(handler: Handler) -> Callable[[Msg], Awaitable[None]]:
    # A callback that never waits lets nats-py hand over all messages of one
    # socket read in one tick, and so they are flushed together.
    async def callback(message: Msg) -> None:
        handler(message)

    return callback


async def abandoned(client: Client) -> None:
    """Close without waiting for a server that may not be there."""
    # AssertionError: it never came so far that there is anything to close.
    with suppress(nats.errors.Error, OSError, TimeoutError, AssertionError):
        await asyncio.wait_for(client.close(), 1.0)
