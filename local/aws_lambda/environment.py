"""One execution environment: one process that handles one event at a time.

The process runs the real `awslambdaric`, which asks our Runtime API for its
next event and posts what the handler made of it. Everything that it says
comes into one queue, in order; each phase of its life (init, restore,
invocation) takes from there what it waits for, until its time is over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from local.aws_lambda.answers import (
    MAX_RESPONSE_BYTES,
    InvokeRefused,
    Outcome,
    exited,
    reported,
    timed_out,
    too_large,
)
from local.aws_lambda.process import Function, Process
from local.aws_lambda.runtime_api import Reply, RuntimeConnection, Said


@dataclass(frozen=True, slots=True)
class Asked:
    """The process has nothing to do, and waits for an answer: the next event, or the restore."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Finished:
    """A phase has its result: the handler's, or an error that the runtime describes."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Exited:
    returncode: int


Heard: TypeAlias = Asked | Finished | Exited


class Environment:
    """A process, its Runtime API and its logs. Use `running`."""

    def __init__(self, function: Function, number: int, logs: BinaryIO) -> None:
        self.number = number
        self.init_ms: float | None = None
        """How long the process took from its start to its first question. None: it is not there yet."""
        self._function = function
        self._logs = logs
        self._began = time.perf_counter()
        self._heard: asyncio.Queue[Heard] = asyncio.Queue()
        self._asked: Reply | None = None
        self._request_id = ""
        self._told_up_to = 0
        self.is_ready = False
        """It has asked for an event: its init, and its restore if there is one, are behind it."""
        self.process: Process

    @classmethod
    @asynccontextmanager
    async def running(cls, function: Function, number: int, folder: Path) -> AsyncIterator[Environment]:
        """Start the process, which begins to import; end it with the block, frozen or not."""
        logs = _log_file(folder)
        environment = cls(function, number, logs)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: RuntimeConnection(environment._hear), "127.0.0.1", 0)
        try:
            port = server.sockets[0].getsockname()[1]
            environment.process = await Process.started(
                function,
                f"127.0.0.1:{port}",
                folder,
                logs,
                lambda returncode: environment._heard.put_nowait(Exited(returncode)),
            )
            try:
                yield environment
            finally:
                await environment.process.kill()
        finally:
            server.close()
            logs.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return self.process.is_alive

    @property
    def is_frozen(self) -> bool:
        return self.process.is_frozen

    @property
    def is_waiting(self) -> bool:
        """It lives, and has asked for its next event."""
        return self.is_alive and self._asked is not None

    @property
    def logs(self) -> str:
        """All that the process has written until now, with Lambda's own lines."""
        return self._read_logs(0)

    def new_logs(self) -> str:
        """What was written since this was asked last."""
        text = self._read_logs(self._told_up_to)
        self._told_up_to += len(text.encode("utf-8", "surrogateescape"))
        return text

    def write_log(self, line: str) -> None:
        self._logs.write(f"{line}\n".encode())

    def freeze(self) -> None:
        self.process.freeze()

    def thaw(self) -> None:
        self.process.thaw()

    async def initialise(self, seconds: float, request_id: str) -> Outcome | None:
        """Wait until it is ready for its first event or, with SnapStart, for its snapshot.

        Returns:
            None when it is; else what went wrong, and the process has ended.
        """
        heard = await self._next(seconds)
        self.init_ms = (time.perf_counter() - self._began) * 1000
        failed = await self._ready_or_ended(heard, seconds, request_id)
        if failed is None and self._function.has_snap_start:
            self.freeze()
        else:
            self.is_ready = failed is None
        return failed

    async def restore(self, request_id: str) -> Outcome | None:
        """Let it go on from its snapshot until it is ready for its first event.

        Returns:
            None when it is; else what went wrong, and the process has ended.

        Raises:
            InvokeRefused: It took too long.
        """
        self.thaw()
        self._answer_question(b"", {})
        seconds = self._function.restore_timeout
        heard = await self._next(seconds)
        failed = await self._ready_or_ended(heard, seconds, request_id)
        if heard is None:
            message = "Lambda couldn't restore the snapshot within the timeout limit."
            raise InvokeRefused(408, "SnapStartTimeoutException", message)
        self.is_ready = failed is None
        return failed

    async def run(self, event: bytes, request_id: str, client_context: str | None, seconds: float) -> Outcome:
        """One invocation. Ends when the process has asked for the next event, or has ended.

        Cancelling this leaves the process in the middle of an event: it has to be ended.
        """
        self._request_id = request_id
        limit = self._function.timeout
        deadline = time.time() + seconds
        trace = f"Root=1-{int(time.time()):08x}-{request_id.replace('-', '')[:24]};Sampled=0"
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self._function.arn,
            "Lambda-Runtime-Trace-Id": trace,
        }
        if client_context is not None:
            headers["Lambda-Runtime-Client-Context"] = client_context
        self.thaw()
        self._answer_question(event, headers)
        match await self._next(seconds):
            case Finished(outcome):
                # Until it asks again it is not done: what it does there is billed, and may still fail.
                await self._ready_or_ended(await self._next(deadline - time.time()), limit, request_id)
                if self._function.is_frozen_between:
                    self.freeze()
                return outcome
            case heard:
                return await self._ready_or_ended(heard, limit, request_id) or Outcome()

    async def _ready_or_ended(self, heard: Heard | None, seconds: float, request_id: str) -> Outcome | None:
        match heard:
            case Asked(reply):
                self._asked = reply
                return None
            case Finished(outcome):
                await self.process.kill()
                return outcome
            case Exited(returncode):
                return exited(request_id, returncode)
            case None:
                await self.process.kill()
                return timed_out(request_id, seconds)

    async def _next(self, seconds: float) -> Heard | None:
        try:
            async with asyncio.timeout(max(seconds, 0)):
                return await self._heard.get()
        except TimeoutError:
            return None

    def _answer_question(self, body: bytes, headers: dict[str, str]) -> None:
        # A process that died meanwhile takes no answer: its end is next in the queue.
        if self._asked is not None:
            self._asked(200, body, headers)
            self._asked = None

    def _hear(self, said: Said) -> None:
        match (said.method, *said.path.split("/")):
            case ("GET", "invocation" | "restore", "next"):
                self._heard.put_nowait(Asked(said.reply))
            case ("POST", "init" | "restore", "error"):
                said.accept()
                self._heard.put_nowait(Finished(reported(said.body)))
            case ("POST", "invocation", request_id, "response" | "error" as kind):
                self._hear_result(said, request_id, is_error=kind == "error")
            case _:
                said.refuse(404, "NotFound", f"{said.method} {said.path} is nothing that a runtime can ask")

    def _hear_result(self, said: Said, request_id: str, *, is_error: bool) -> None:
        if request_id != self._request_id:
            said.refuse(400, "InvalidRequestID", "Invalid request ID")
        elif len(said.body) > MAX_RESPONSE_BYTES:
            limit = f"Exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
            said.refuse(413, "RequestEntityTooLarge", limit)
            self._heard.put_nowait(Finished(too_large(len(said.body))))
        else:
            said.accept()
            self._heard.put_nowait(Finished(reported(said.body) if is_error else Outcome(said.body)))
        self._request_id = ""

    def _read_logs(self, start: int) -> str:
        with open(self._logs.name, "rb") as file:
            file.seek(start)
            return file.read().decode("utf-8", "surrogateescape")


def _log_file(folder: Path) -> BinaryIO:
    # Unbuffered and appending: two write to it, the process and we.
    folder.mkdir()
    return open(folder.with_suffix(".log"), "ab", buffering=0)
