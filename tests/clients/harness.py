"""The Node process in which Motia's clients run: lines in, lines out."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Any

from tests.browser import SECONDS

PROGRAM = Path(__file__).parent / "node" / "harness.mjs"
LONGEST_LINE = 64 * 1024 * 1024


class Harness:
    """One process for many tests, since Node takes its time to start. A new one where the last has ended."""

    def __init__(self, complaints: IO[bytes]) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints = complaints

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Harness]:
        with tempfile.TemporaryFile() as complaints:
            harness = cls(complaints)
            try:
                yield harness
            finally:
                harness._end()

    @asynccontextmanager
    async def lines(self) -> AsyncIterator[asyncio.StreamReader]:
        """What the process says during the block, one JSON object a line."""
        process = self._running()
        reader = asyncio.StreamReader(LONGEST_LINE)
        assert process.stdout is not None
        # A copy: closing it at the end of the block leaves the process its output.
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(process.stdout.fileno()), "rb", 0)
        )
        try:
            yield reader
        finally:
            transport.close()

    def do(self, what: str, **arguments: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **arguments}).encode() + b"\n")

    def complaints(self) -> str:
        """What the process wrote to its standard error."""
        self._complaints.seek(0)
        return self._complaints.read().decode(errors="replace")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._end()
        if self._process is None:
            self._complaints.seek(0)
            self._complaints.truncate()
            self._process = subprocess.Popen(
                ["node", PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                bufsize=0,
            )
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            try:
                self._process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()
            self._process = None
