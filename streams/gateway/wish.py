"""Something that one task waits for. An `asyncio.Event` costs 700 bytes, and there is one for every group."""

from __future__ import annotations

import asyncio


class Wish:
    """Made by anybody, and looked at by one. Needs a running event loop."""

    __slots__ = ("_is_made", "_waiter")

    def __init__(self) -> None:
        self._is_made = False
        self._waiter: asyncio.Future[None] | None = None

    def make(self) -> None:
        self._is_made = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def forget(self) -> None:
        self._is_made = False

    async def made(self) -> None:
        """Return when it was made, at once where it is already. Cancelling this changes nothing."""
        if not self._is_made:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
