"""The processes of one gateway: started, started again when they end by themselves, ended together.

The first one begins alone, and the others when it takes clients: what is
wrong with what they are told, it says once for all.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from streams.cli.gateway_options import GatewayOptions
from streams.cli.serving_clients import DRAIN_SECONDS
from streams.cli.worker import Worker
from streams.cli.worker_line import Answer
from streams.cli.worker_numbers import WorkerNumbers
from streams.errors import StreamsError
from streams.tasks import background_tasks

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""How often it is looked whether they answer, also where nobody asks for numbers."""

MAX_SILENCES = 6
"""A worker that does not answer so often in a row is killed: it gets its share of clients all the same."""

START_SECONDS = 60.0
"""How long a worker may take until it is ready."""

PAUSE_SECONDS = (0.5, 30.0)
"""First and longest time before another one is started; doubled each time, with jitter."""

STEADY_SECONDS = 60.0
"""A worker that lived as long did not end because of how it was started."""

MAX_FAILURES = 5
"""So many may end in a row before they are ready, while none is."""

KILL_SECONDS = 3.0
"""How much longer than they may take to end in order is waited, before they are killed."""


class WorkersEnded(StreamsError):
    """No worker stays."""

    def __init__(self, status: int, *, is_first: bool) -> None:
        self.status, self.is_first = status, is_first
        """How the last one has ended, and whether none was ever ready."""
        how = f"with status {status}" if status >= 0 else f"by signal {-status}"
        super().__init__(f"the workers end before they are ready, the last one {how}; their log says why")


class Workers:
    """All workers of one gateway. Use `Workers.running`."""

    def __init__(self, options: GatewayOptions, count: int) -> None:
        self.count = count
        self.numbers = WorkerNumbers()
        self._options = options
        self._running: dict[int, Worker] = {}
        """By their pids."""
        self._waiting: list[Worker] = []
        """For the first one to be ready."""
        self._kept: list[asyncio.Task[None]] = []
        self._someone_is_ready = asyncio.Event()
        """Another one every time."""
        self._ending = asyncio.Event()
        self._was_ready = False
        self._failures = 0
        """So many have ended in a row before they were ready."""

    @classmethod
    @asynccontextmanager
    async def running(cls, options: GatewayOptions, count: int) -> AsyncIterator[Workers]:
        """So many workers for the length of the block. Entered at once; they have ended when it has.

        Raises:
            WorkersEnded: From inside the block, which is cancelled: the first one ended before it was
                ready, or they do so again and again.
        """
        failed: BaseExceptionGroup[WorkersEnded] | None = None
        try:
            workers = cls(options, count)
            async with background_tasks() as tasks:
                for number in range(1, count + 1):
                    kept = tasks.start(workers._keep(number), name=f"workers: keep number {number} running")
                    workers._kept.append(kept)
                tasks.start(workers._look_after(), name="workers: look after them")
                try:
                    yield workers
                finally:
                    await workers.end()
        except* WorkersEnded as group:
            failed = group
        if failed is not None:
            raise failed.exceptions[0]

    async def until_ready(self, count: int) -> str:
        """Wait until so many take clients. What they know of them, in words."""
        while len(self._ready) < count:
            await self._someone_is_ready.wait()
        return self._ready[0].known or ""

    async def ask(self, path: str) -> dict[int, Answer]:
        """What those who are ready answer in time on a path of their internal listener, by their pids."""
        asked = self._ready
        answers = await asyncio.gather(*(worker.ask(path) for worker in asked))
        # One that has ended meanwhile has no say any more.
        return {
            worker.pid: answer
            for worker, answer in zip(asked, answers, strict=True)
            if answer is not None and worker.pid in self._running
        }

    async def count_up(self) -> list[int]:
        """Ask for their numbers. The pids of those who have told them."""
        told = await self.ask("/metrics")
        for pid, answer in told.items():
            self.numbers.tell(pid, answer.body)
        return list(told)

    async def end(self) -> None:
        """Tell all to end, and wait until they have. Those who do not are killed."""
        self._ending.set()
        for worker in self._alive:
            worker.end()
        await self._gone(self._options.drain_delay_seconds + DRAIN_SECONDS + KILL_SECONDS)
        for worker in self._alive:
            log.warning("a worker does not end, and is killed pid=%s", worker.pid)
            worker.kill()
        await self._gone(KILL_SECONDS)

    async def _gone(self, seconds: float) -> None:
        # With those that keep them: one may be about to start another one.
        waits = [*self._kept, *(asyncio.ensure_future(worker.process.wait()) for worker in self._alive)]
        _, late = await asyncio.wait(waits, timeout=seconds)
        for each in late.difference(self._kept):
            each.cancel()

    @property
    def _alive(self) -> list[Worker]:
        return [worker for worker in self._running.values() if worker.process.returncode is None]

    @property
    def _ready(self) -> list[Worker]:
        return [worker for worker in self._running.values() if worker.known is not None]

    async def _keep(self, number: int) -> None:
        ends = 0
        while not self._ending.is_set():
            try:
                worker = await Worker.started()
            except OSError as error:
                if not self._was_ready:
                    raise
                ends += 1
                await self._pause(ends, f"a worker cannot be started: {error}")
                continue
            self._running[worker.pid] = worker
            if number == 1 or self._was_ready:
                worker.begin(self._options)
            else:
                self._waiting.append(worker)
            if self._ending.is_set():
                worker.end()
            status = await worker.run(partial(self._is_ready, worker))
            del self._running[worker.pid]
            self.numbers.end(worker.pid)
            if not self._ending.is_set():
                self._check(worker, status)
                ends = 1 if worker.age_seconds > STEADY_SECONDS else ends + 1
                self.numbers.restarts += 1
                await self._pause(ends, f"a worker has ended by itself pid={worker.pid} status={status}")

    def _is_ready(self, worker: Worker) -> None:
        log.info("a worker takes clients pid=%s", worker.pid)
        self._was_ready = True
        self._failures = 0
        while self._waiting:
            self._waiting.pop().begin(self._options)
        waiting, self._someone_is_ready = self._someone_is_ready, asyncio.Event()
        waiting.set()

    def _check(self, worker: Worker, status: int) -> None:
        self._failures = self._failures + 1 if worker.known is None else 0
        if not self._was_ready or (self._failures > MAX_FAILURES and not self._ready):
            raise WorkersEnded(status, is_first=not self._was_ready)

    async def _pause(self, ends: int, reason: str) -> None:
        first, longest = PAUSE_SECONDS
        seconds = random.uniform(0.5, 1.0) * min(longest, first * 2.0 ** (ends - 1))
        log.error("%s; another one is started in %.1f s", reason, seconds)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            asked = self._ready
            told = await self.count_up()
            for worker in asked:
                worker.silences = 0 if worker.pid in told else worker.silences + 1
            for worker in list(self._running.values()):
                is_late = worker.known is None and self._was_ready and worker.age_seconds > START_SECONDS
                if is_late or worker.silences >= MAX_SILENCES:
                    log.error("a worker does not answer, and is killed pid=%s", worker.pid)
                    worker.kill()
