"""Clients that can be stopped, and what they had when they went on: one of ours, and Motia's under Node."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson

from tests.benchmarks.clients import TEXT, RecordingSocket, Tally, client_frame, frame_bounds
from tests.benchmarks.targets import STREAM
from tests.gateway.view import View

NODE = Path(__file__).parents[1] / "clients" / "node"
GENERATION = "browser-0.17"
"""Which of Motia's clients, by its name in `tests/clients/node`."""

EXACT_SECONDS = 30.0
"""How long a client may take to come to the right state."""

PONG, PONG_SECONDS = 0x8A, 5.0
"""First byte of a pong that is a whole message, and how often one is sent: oftener than any is missed."""

LONGEST_LINE = 16 * 1024 * 1024

Json = Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a client that did not read."""

    is_exact: bool
    """Whether it has all items with their values, in their order."""
    seconds: float
    """From going on until it was; all the time that it was given, where it never was."""
    bytes: int
    """What it got after it stopped."""
    frames: int
    closed: int
    """Sockets that it lost."""
    wrong: int
    """Frames that did not fit what it had."""


class Reader(Protocol):
    async def comes_to(self, items: list[Json]) -> None:
        """Wait until it shows these items. It may already."""
        ...

    def stop(self) -> None: ...

    async def goes_on(self, items: list[Json]) -> Outcome:
        """Read again, until it shows these items."""
        ...


class Raw(RecordingSocket):
    """A client that keeps all it gets, and looks at it when nothing is measured."""

    def __init__(self, group: str, tally: Tally) -> None:
        super().__init__(group, tally)
        self.wrong = 0
        self.revisions: set[int] = set()
        """Of all changes that it was told."""
        self.latencies: list[tuple[int, float]] = []
        """Of all writes that it was told: when their frame was read, in nanoseconds, and how many
        milliseconds after it was written."""
        self._view = View()
        self._is_stopped = False
        self._looked_at = 0
        self._rest = b""

    @property
    def items(self) -> list[Json]:
        """What it has, as far as it was looked at."""
        return list(self._view.items.values())

    async def comes_to(self, items: list[Json]) -> None:
        until = time.monotonic() + EXACT_SECONDS
        self._look()
        while self.items != items:
            if self.tally.closed:
                raise ConnectionError("a client that reads lost its socket")
            if time.monotonic() > until:
                raise ConnectionError(f"a client that reads has something else {EXACT_SECONDS:.0f} s later")
            await asyncio.sleep(0.1)
            self._look()

    def stop(self) -> None:
        self._look()
        self._is_stopped = True
        self.transport.pause_reading()

    async def goes_on(self, items: list[Json]) -> Outcome:
        stopped, began_ns, reads = len(self.reads), time.monotonic_ns(), -1
        self._is_stopped = False
        self.transport.resume_reading()
        # As long as anything comes: what it is, is looked at afterwards.
        while reads < len(self.reads):
            reads = len(self.reads)
            await asyncio.sleep(2.0)
        got, frames, exact_ns = self.reads[stopped:], 0, None
        for read_ns in self._looks():
            frames += 1
            if self.items != items:
                exact_ns = None
            elif exact_ns is None:
                exact_ns = read_ns
        return Outcome(
            is_exact=exact_ns is not None,
            seconds=((exact_ns or time.monotonic_ns()) - began_ns) / 1e9,
            bytes=sum(len(read) for _, read in got),
            frames=frames,
            closed=self.tally.closed,
            wrong=self.wrong,
        )

    def _look(self) -> None:
        for _ in self._looks():
            pass

    def _looks(self) -> Iterator[int]:
        """Take in, frame by frame, what it was not looked at yet. Yields when each was read."""
        while self._looked_at < len(self.reads):
            read_ns, read = self.reads[self._looked_at]
            self._looked_at += 1
            received, start = self._rest + read, 0
            while (frame := frame_bounds(received, start)) is not None:
                payload, end = frame
                if received[start] == TEXT:
                    self._take_in(read_ns, received[payload:end])
                    yield read_ns
                start = end
            self._rest = received[start:]

    def _take_in(self, read_ns: int, frame: bytes) -> None:
        try:
            self._view.take(frame)
        except AssertionError:
            self.wrong += 1
        message = orjson.loads(frame)
        if "rev" in message:
            self.revisions.add(message["rev"])
        if message["event"]["type"] in ("create", "update"):
            written_ns = int(message["event"]["data"]["stamp"][2:22])
            self.latencies.append((read_ns, (read_ns - written_ns) / 1e6))

    def _know(self, state: bytes) -> None:
        self.reads.append((time.monotonic_ns(), state))
        self._be_there()

    def _be_there(self) -> None:
        """It does not look for pings, and says all the same that it is there."""
        if not self.transport.is_closing():
            if not self._is_stopped:
                self.transport.write(client_frame(b"", PONG))
            asyncio.get_running_loop().call_later(PONG_SECONDS, self._be_there)


class Motia:
    """Motia's own client, in a process that is stopped as a whole."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._bytes = self._frames = 0

    @classmethod
    @asynccontextmanager
    async def running(cls, group: str, port: int) -> AsyncIterator[Motia]:
        url = f"ws://127.0.0.1:{port}/"
        process = await asyncio.create_subprocess_exec(
            *("node", str(NODE / "stalled.mjs"), url, GENERATION, STREAM, group),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
        )
        try:
            yield cls(process)
        finally:
            # Also where it is stopped.
            process.kill()
            await process.wait()

    async def comes_to(self, items: list[Json]) -> None:
        self._bytes, self._frames, _ = await self._asked(items)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    async def goes_on(self, items: list[Json]) -> Outcome:
        began = time.monotonic()
        self._process.send_signal(signal.SIGCONT)
        try:
            got, frames, closed = await self._asked(items)
        except TimeoutError:
            return Outcome(False, EXACT_SECONDS, 0, 0, 0, 0)
        seconds = time.monotonic() - began
        return Outcome(True, seconds, got - self._bytes, frames - self._frames, closed, 0)

    async def _asked(self, items: list[Json]) -> tuple[int, int, int]:
        """Wait until it has these items: bytes, frames and lost sockets until then."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(orjson.dumps(items) + b"\n")
        async with asyncio.timeout(EXACT_SECONDS):
            got = orjson.loads(await self._process.stdout.readline())
        return got["bytes"], got["frames"], got["closed"]
