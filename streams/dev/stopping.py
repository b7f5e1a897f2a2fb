"""How a process that runs everything is told to end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Stop(asyncio.Event):
    """Set by SIGINT or SIGTERM, which also ends a start that takes long.

    An image may have to be pulled, or all the data of a server looked through.
    """

    in_order = False
    """Whether somebody waits for it, and ends everything then."""

    @contextmanager
    def requested(self) -> Iterator[None]:
        """Take the signals, and leave the block quietly when one ends the start."""
        task = asyncio.current_task()
        assert task is not None

        def stop() -> None:
            self.set()
            if not self.in_order:
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        try:
            yield
        except asyncio.CancelledError:
            if self.in_order or not self.is_set():
                raise
