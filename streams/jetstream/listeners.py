"""Who hears which subjects, over every client that takes the place of the last one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import nats.errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription

from streams.jetstream.clients import Handler, as_callback


@dataclass(eq=False, slots=True)
class Listener:
    """One subject, and what is called with its messages."""

    subject: str
    handler: Handler
    lost: Callable[[], None]
    """Called when messages may have been missed."""
    subscription: Subscription | None = None


class Listeners:
    """All listeners of one connection."""

    def __init__(self) -> None:
        self._all: set[Listener] = set()
        self._by_sid: dict[int, Listener] = {}

    async def add(self, client: Client, listener: Listener) -> None:
        """Subscribe, and from now on at every new client too.

        Raises:
            nats.errors.Error: The client is closed.
        """
        await self._subscribe(client, listener)
        self._all.add(listener)

    async def remove(self, listener: Listener) -> None:
        self._all.discard(listener)
        if listener.subscription is None:
            return
        self._by_sid.pop(listener.subscription._id, None)
        try:
            await listener.subscription.unsubscribe()
        except nats.errors.Error:
            return  # the connection is gone, and the subscription with it

    async def renew(self, client: Client) -> None:
        """Subscribe all of them at a client that nothing can have come over yet.

        All are told before that: what came over the client before may be
        incomplete. A question that this leads to waits for the new client,
        and so is asked when all of them listen.

        Raises:
            nats.errors.Error: The client is closed.
        """
        self._by_sid.clear()
        listeners = list(self._all)
        for listener in listeners:
            listener.lost()
        for listener in listeners:
            await self._subscribe(client, listener)

    def lost(self, sid: int) -> None:
        """Messages of one subscription were dropped."""
        if (listener := self._by_sid.get(sid)) is not None:
            listener.lost()

    async def _subscribe(self, client: Client, listener: Listener) -> None:
        listener.subscription = await client.subscribe(listener.subject, cb=as_callback(listener.handler))
        self._by_sid[listener.subscription._id] = listener
