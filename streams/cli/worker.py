"""One process of a gateway that has several, as the one that started it sees it."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

from streams.cli.gateway_options import GatewayOptions
from streams.cli.worker_line import MAX_LINE_BYTES, Answer, Question, Ready, line_of, said_in

ANSWER_SECONDS = 2.0
"""How long it has for an answer. Less than Prometheus waits for all of them."""


class Worker:
    """A process that serves clients. It ends by itself when this one does, however that happens."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.process, self.pid = process, process.pid
        self._reader, self._writer = reader, writer
        self.known: str | None = None
        """What it knows of its clients, in words; None: it is not ready yet."""
        self.silences = 0
        """So often in a row it did not answer when it was looked at."""
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._asked: dict[int, asyncio.Future[Answer | None]] = {}
        self._questions = 0

    @classmethod
    async def started(cls) -> Worker:
        """A process that does nothing yet. A fresh one and no fork: there are threads and a loop here."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *_flags(),
                    "-m",
                    "streams.cli.gateway_worker",
                    str(theirs.fileno()),
                    stdin=asyncio.subprocess.PIPE,
                    pass_fds=(theirs.fileno(),),
                    # A Ctrl-C is for us, who tell them: it may come before they know what to do with it.
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        return cls(process, *await asyncio.open_unix_connection(sock=ours, limit=MAX_LINE_BYTES))

    def begin(self, options: GatewayOptions) -> None:
        """Tell it what it is to serve."""
        self._since = self._loop.time()
        assert self.process.stdin is not None
        self.process.stdin.write(pickle.dumps(options))
        self.process.stdin.close()

    @property
    def age_seconds(self) -> float:
        """Since it was told to begin."""
        return self._loop.time() - self._since

    async def run(self, is_ready: Callable[[], None]) -> int:
        """Hear what it says until it has ended. Its exit status; negative: the signal that ended it."""
        try:
            with suppress(ConnectionError):
                async for line in self._reader:
                    self._hear(line, is_ready)
            for number in list(self._asked):
                self._take(number, None)
            return await self.process.wait()
        finally:
            self._writer.close()

    def _hear(self, line: bytes, is_ready: Callable[[], None]) -> None:
        match said_in(line):
            case Ready(known):
                self.known = known
                is_ready()
            case Answer(number) as answer:
                self._take(number, answer)

    def _take(self, number: int, answer: Answer | None) -> None:
        asked = self._asked.pop(number, None)
        # If it is late, nobody waits for it any more.
        if asked is not None and not asked.done():
            asked.set_result(answer)

    async def ask(self, path: str) -> Answer | None:
        """What it answers on a path of its internal listener; None: nothing, in time."""
        self._questions += 1
        question = Question(self._questions, path)
        asked = self._asked[question.number] = self._loop.create_future()
        self._writer.write(line_of(question))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer: Answer | None = await asked
                return answer
        except TimeoutError:
            return None
        finally:
            self._asked.pop(question.number, None)

    def end(self) -> None:
        """Tell it to end in order."""
        with suppress(ProcessLookupError):
            self.process.terminate()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()


def _flags() -> list[str]:
    # With -m, a Python looks for modules in the current folder first. That one does so too only where
    # this one does: a folder there may be called `streams`, or like a module of Python itself.
    return [] if {"", os.getcwd()} & set(sys.path) else ["-P"]
