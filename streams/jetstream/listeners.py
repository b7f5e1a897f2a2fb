"""Who hears which subjects, over every client that takes the place of the last one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streams.jetstream.clients import FastClient, Handler


@dataclass(eq=False, slots=True)
class Listener:
    """One subject, and what is called with its messages."""

    subject: str
    handler: Handler
    lost: Callable[[], None]
    """Called when messages may have been missed."""
    client: FastClient | None = None
    number: int = 0
    """Of its subscription there."""


class Listeners:
    """All listeners of one connection."""

    def __init__(self) -> None:
        self._all: set[Listener] = set()

    async def add(self, client: FastClient, listener: Listener) -> None:
        """Subscribe, and from now on at every new client too.

        Raises:
            nats.errors.Error: The client is closed.
        """
        await self._subscribe(client, listener)
        self._all.add(listener)

    async def remove(self, listener: Listener) -> None:
        self._all.discard(listener)
        if listener.client is not None:
            await listener.client.unlisten(listener.number)

    async def renew(self, client: FastClient) -> None:
        """Subscribe all of them at a client that nothing can have come over yet.

        All are told before that: what came over the client before may be
        incomplete. A question that this leads to waits for the new client,
        and so is asked when all of them listen.

        Raises:
            nats.errors.Error: The client is closed.
        """
        listeners = list(self._all)
        for listener in listeners:
            listener.lost()
        for listener in listeners:
            await self._subscribe(client, listener)

    async def _subscribe(self, client: FastClient, listener: Listener) -> None:
        # Whoever could not take a message has missed it.
        listener.number = await client.listen(listener.subject, listener.handler, listener.lost)
        listener.client = client
