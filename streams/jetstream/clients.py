"""What nats-py's client does not do by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

import nats.errors
from nats.aio.client import Client
from nats.protocol.command import sub_cmd, unsub_cmd

from streams.jetstream.received import Message

log = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[Message], None]


class FastClient(Client):
    """nats-py's client, which hands messages over as it reads them, and looks at a server before it talks.

    Its own subscriptions each have a task and a queue. What these hold too
    much of is dropped, and a message costs several turns of the loop. Here,
    whoever is slow is slow in reading: the server notices, and ends the line.
    """

    def __init__(self, greeted: Callable[[dict[str, Any]], None] = lambda info: None) -> None:
        """`greeted` is called with the first that the server says. What it raises ends the connecting."""
        super().__init__()
        self._greeted = greeted
        self._heard: dict[int, tuple[Handler, Callable[[], None]]] = {}
        self.version = ""
        """What the server says that it is, such as `2.12.3`. nats-py only gives out a picture of it."""

    async def listen(self, subject: str, handler: Handler, failed: Callable[[], None] = lambda: None) -> int:
        """Call `handler` with every message from now on. Returns the number to give to `unlisten`.

        It is called while the line is read, so it must not take long. When it
        raises, that is logged, and `failed` is called a little later.

        Raises:
            nats.errors.ConnectionClosedError: The client is closed.
        """
        if self.is_closed:
            raise nats.errors.ConnectionClosedError
        self._sid += 1
        self._heard[self._sid] = handler, failed
        await self.send(sub_cmd(subject, "", self._sid))
        return self._sid

    async def unlisten(self, number: int) -> None:
        """Call that handler no more. Does nothing where the line is gone."""
        if self._heard.pop(number, None) is not None and self.is_connected:
            await self.send(unsub_cmd(number, 0))

    async def send(self, command: bytes) -> None:
        """Send with whatever else this turn of the loop sends."""
        await self._send_command(command)
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        found = self._heard.get(sid)
        if found is None:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        handler, failed = found
        try:
            handler(Message(self, subject, reply, data, headers or b""))
        except Exception:
            # It would end the reading, and with it everybody's messages.
            log.exception("a message could not be taken subject=%s", subject.decode(errors="replace"))
            asyncio.get_running_loop().call_soon(failed)

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


async def abandoned(client: Client) -> None:
    """Close without waiting for a server that may not be there."""
    # AssertionError: it never came so far that there is anything to close.
    with suppress(nats.errors.Error, OSError, TimeoutError, AssertionError):
        await asyncio.wait_for(client.close(), 1.0)
