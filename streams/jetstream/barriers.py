"""Proof that the server has everything that was published before."""

from __future__ import annotations

import asyncio
from typing import Any

from nats.aio.client import Client

from streams.jetstream.questions import AnswerLost

TURNS = 3
"""Of the loop, until what lies in the socket has become an answer."""


async def barrier(client: Client, seconds: float, pong: asyncio.Future[Any] | None = None) -> None:
    """Wait until the server has everything published before.

    `Client.flush` proves nothing: its PING overtakes commands that are
    still queued. Here the PING is queued behind them. Whoever brings the
    `pong` can end the waiting.

    Raises:
        TimeoutError: No answer came in so many seconds.
    """
    pong = asyncio.get_running_loop().create_future() if pong is None else pong
    client._pongs.append(pong)
    try:
        await client._send_command(b"PING\r\n")
        await client._flush_pending()
        await asyncio.wait([pong], timeout=seconds)
        for _ in range(TURNS):
            if pong.done():
                break
            # A loop that something held up finds the answer and the end of the time at once.
            await asyncio.sleep(0)
        if not pong.done():
            raise TimeoutError(f"no answer in {seconds:g} s")
        pong.result()
    finally:
        pong.cancel()


class Barriers:
    """Those that wait on one connection. They wait no longer than its line lasts."""

    def __init__(self) -> None:
        self._pongs = set[asyncio.Future[None]]()

    async def passed(self, client: Client, seconds: float) -> None:
        """Wait as `barrier` does.

        Raises:
            TimeoutError: No answer came in so many seconds.
            AnswerLost: None can come any more.
        """
        pong: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pongs.add(pong)
        try:
            await barrier(client, seconds, pong)
        finally:
            self._pongs.discard(pong)

    def lose(self, reason: str) -> None:
        """The line is gone."""
        for pong in self._pongs:
            if not pong.done():
                pong.set_exception(AnswerLost(reason))
