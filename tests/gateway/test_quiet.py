"""After a long flush what comes goes out together: telling must not keep a gateway from hearing."""

from __future__ import annotations

import asyncio
import threading

import pytest

from streams import Stream, bound_to
from streams.gateway import outbox
from streams.memory import MemoryStore
from streams.messages import Join
from tests.browser import SECONDS
from tests.everybody import open_hub
from tests.gateway.test_sockets import _Watcher
from tests.gateway.waiting import until

todo = Stream("todo", dict)


class Slow(_Watcher):
    """To write to it takes as long as it does to very many."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[int] = []
        """Messages of each write."""

    def write(self, frames: bytes) -> None:
        threading.Event().wait(0.1)
        self.written.append(frames.count(b'"type":"stream"'))


async def test_what_comes_after_a_long_flush_is_told_in_one_write(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outbox, "MOST_QUIET_SECONDS", 0.1)
    memory, watcher = MemoryStore(["todo"]), Slow()
    async with open_hub(memory) as hub, asyncio.timeout(SECONDS):
        hub.join(watcher, Join("s", watcher.room))
        await until(lambda: watcher.written == [1])
        with bound_to(memory):
            for v in range(4):
                await todo.set("inbox", "a", {"v": v})
                # A turn of the event loop, which is when it would be told.
                await asyncio.sleep(0)
        await until(lambda: sum(watcher.written) == 5)

    assert watcher.written == [1, 1, 3]
