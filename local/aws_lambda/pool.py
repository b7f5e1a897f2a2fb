"""The execution environments of one function: as many as calls at once need, up to a bound."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from local.aws_lambda.answers import InvokeRefused, Outcome, SnapshotFailed
from local.aws_lambda.environment import Environment
from local.aws_lambda.process import Function

MAX_EARLIER_LOGS = 1_000_000
"""How many characters are kept of what ended processes have written."""


@dataclass(frozen=True, slots=True)
class Start:
    """An environment for one invocation, and what it cost to have it."""

    environment: Environment
    failed: Outcome | None = None
    """Why it is not ready for an event; its process has ended then."""
    init_ms: float | None = None
    restore_ms: float | None = None
    seconds_spent: float = 0.0
    """Of the time of the invocation: a second init is in it."""


class Environments:
    """Use `running`."""

    def __init__(self, function: Function, folder: Path, max_environments: int, guarding: IO[str]) -> None:
        self._function = function
        self._folder = folder
        self._guarding = guarding
        self._max_environments = max_environments
        self._free = asyncio.Semaphore(max_environments)
        self._open: dict[Environment, AsyncExitStack] = {}
        self._idle: list[Environment] = []
        self._snapshot: Environment | None = None
        self._started = 0
        self._is_over = False
        self._earlier_logs = ""

    @classmethod
    @asynccontextmanager
    async def running(
        cls, function: Function, folder: Path, max_environments: int
    ) -> AsyncIterator[Environments]:
        """Every process has ended when the block has, and soon after us if we are killed in it."""
        with _guarded(folder) as guarding:
            environments = cls(function, folder, max_environments, guarding)
            try:
                if function.has_snap_start:
                    await environments._take_snapshot()
                yield environments
            finally:
                environments._is_over = True
                for environment in list(environments._open):
                    await environments._close(environment)
                environments._tell_guard(".")

    @property
    def living(self) -> list[Environment]:
        return [environment for environment in self._open if environment.is_alive]

    @property
    def logs(self) -> str:
        return self._earlier_logs + "".join(environment.logs for environment in self._open)

    def freeze(self) -> None:
        for environment in self._open:
            environment.freeze()

    def thaw(self) -> None:
        for environment in self._open:
            if environment is not self._snapshot:
                environment.thaw()

    @asynccontextmanager
    async def lent(self, request_id: str, *, waits: bool) -> AsyncIterator[Start]:
        """The environment that was used last, a snapshot, or a new one, for the length of the block.

        Raises:
            InvokeRefused: All are busy, and this is not to wait.
        """
        if self._free.locked() and not waits:
            raise InvokeRefused(429, "TooManyRequestsException", "Rate Exceeded.")
        async with self._free:
            environment = await self._idle_or_new()
            try:
                start = await self._ready(environment, request_id)
                environment = start.environment
                yield start
            finally:
                # Whoever was cancelled leaves its process in the middle of an event.
                if environment.is_waiting:
                    self._idle.append(environment)
                else:
                    await self._close(environment)

    async def _idle_or_new(self) -> Environment:
        while self._idle:
            if (environment := self._idle.pop()).is_alive:
                return environment
            await self._close(environment)
        if (snapshot := self._snapshot) is not None:
            self._snapshot = None
            return snapshot
        return await self._begun()

    async def _ready(self, environment: Environment, request_id: str) -> Start:
        if environment.is_ready:
            return Start(environment)
        if self._function.has_snap_start:
            return await self._restored(environment, request_id)
        if await environment.initialise(self._function.init_timeout, request_id) is None:
            return Start(environment, init_ms=environment.init_ms)
        # Lambda tries once more, in the time of the invocation, and reports what that comes to.
        await self._close(environment)
        seconds, began = self._function.timeout, time.perf_counter()
        again = await self._begun()
        try:
            failed = await again.initialise(seconds, request_id)
        except asyncio.CancelledError:
            await self._close(again)
            raise
        spent = time.perf_counter() - began
        return Start(again, failed, init_ms=again.init_ms, seconds_spent=spent)

    async def _restored(self, environment: Environment, request_id: str) -> Start:
        if environment.init_ms is None:
            # As if of a snapshot that has long been there.
            failed = await environment.initialise(self._function.init_timeout, request_id)
            if failed is not None:
                return Start(environment, failed)
        began = time.perf_counter()
        failed = await environment.restore(request_id)
        return Start(environment, failed, restore_ms=(time.perf_counter() - began) * 1000)

    async def _take_snapshot(self) -> None:
        environment = await self._begun()
        failed = await environment.initialise(self._function.init_timeout, "snapshot")
        if failed is not None:
            raise SnapshotFailed(
                f"{self._function.handler} did not start, so there is no snapshot of it: "
                f"{failed.body.decode(errors='replace')}\n{environment.logs}"
            )
        self._snapshot = environment

    async def _begun(self) -> Environment:
        if self._is_over:
            raise InvokeRefused(500, "ServiceException", "the emulator is ending")
        self._started += 1
        number = self._started
        stack = AsyncExitStack()
        folder = self._folder / f"environment-{number}"
        environment = await stack.enter_async_context(Environment.running(self._function, number, folder))
        self._open[environment] = stack
        self._tell_guard(f"+{environment.pid}")
        return environment

    async def _close(self, environment: Environment) -> None:
        if (stack := self._open.pop(environment, None)) is None:
            return
        self._earlier_logs = (self._earlier_logs + environment.logs)[-MAX_EARLIER_LOGS:]
        await stack.aclose()
        self._tell_guard(f"-{environment.pid}")

    def _tell_guard(self, line: str) -> None:
        # Who ended the guard has to end the processes, too; the function goes on.
        with suppress(BrokenPipeError):
            self._guarding.write(f"{line}\n")
            self._guarding.flush()


@contextmanager
def _guarded(folder: Path) -> Iterator[IO[str]]:
    guard = Path(__file__).with_name("guard.py")
    # In a session of its own: Ctrl-C is for us, and it acts on our end.
    with subprocess.Popen(
        [sys.executable, "-I", "-S", guard, folder],
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        yield process.stdin
