"""A function as on AWS Lambda, for the length of a block: what tests and `python -m local.aws_lambda` use."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from local.aws_lambda.answers import MAX_REQUEST_BYTES, Answer, InvokeRefused, billed
from local.aws_lambda.endpoint import Endpoint, listening, listening_socket
from local.aws_lambda.environment import Environment
from local.aws_lambda.events import HttpRequest, Shape, to_event
from local.aws_lambda.packages import interpreter, link_packages
from local.aws_lambda.pool import Environments, Start
from local.aws_lambda.process import Function
from local.aws_lambda.responses import HttpResponse, failure, refusal, to_response
from local.aws_lambda.stored_secrets import StoredSecrets
from local.aws_lambda.task_root import task_root
from streams.tasks import BackgroundTasks, background_tasks

log = logging.getLogger(__name__)

SNAPSHOT_SECONDS = 130.0
"""How long the init of a function with SnapStart may take, or its time-out where that is longer."""

MAX_WAITING = 1000
"""How many calls that nobody waits for may be under way; one more is refused."""


class Lambda:
    """One function that can be called. Use `running`."""

    def __init__(
        self,
        function: Function,
        environments: Environments,
        tasks: BackgroundTasks,
        on_answer: Callable[[Answer], None] | None,
    ) -> None:
        self._function = function
        self._environments = environments
        self._tasks = tasks
        self._on_answer = on_answer
        self._later = 0

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        root: Path,
        *,
        handler: str,
        name: str = "functions",
        environment: Mapping[str, str] | None = None,
        timeout: float = 3.0,
        memory_mb: int = 512,
        freeze: bool = False,
        snap_start: bool = False,
        max_environments: int = 10,
        secrets: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
        shape: Shape = Shape.HTTP_API,
        port: int = 0,
        python: Path | None = None,
        init_timeout: float = 10.0,
        restore_timeout: float = 10.0,
        on_answer: Callable[[Answer], None] | None = None,
    ) -> AsyncIterator[Lambda]:
        """Emulate one function for the length of the block. Every process of it has ended when it ends.

        A process is started by the first call, and by each that comes while
        all others are busy. The processes see their task root, the packages
        of Lambda's runtime and the variables below, and nothing else of this
        machine's Python.

        Args:
            root: The zip, or a folder that holds what the zip would.
            handler: As Lambda writes it: `module.function`.
            name: The function's, for Invoke and in its logs.
            environment: The function's own variables. They come before what Lambda sets. Without
                an `AWS_ENDPOINT_URL` in it, boto3 in the function asks this emulator.
            timeout: Seconds that an invocation may take, before its process is killed.
            memory_mb: What the function is told; nothing enforces it, and CPU does not depend on it.
            freeze: Stop each process between invocations, as Lambda does.
            snap_start: Start from a snapshot. It is taken before the block begins, of a real process:
                a second environment needs an init of its own, which is counted nowhere, as on Lambda.
            max_environments: How many calls may run at once; one more is refused (429).
            secrets: What Secrets Manager answers, by name.
            parameters: What the Parameter Store answers, by name.
            shape: Of the events that plain HTTP requests to `endpoint_url` become.
            port: Of `endpoint_url`, on 127.0.0.1. 0: any free one.
            python: The interpreter. None: the one that runs this.
            init_timeout: Seconds that a new process may take until it asks for its first event. Before a
                snapshot it has 130, or its time-out.
            restore_timeout: Seconds from the restore of a snapshot to the first event.
            on_answer: Called with the answer to every invocation, whoever made it.

        Raises:
            NotAFunction: `root` is neither a folder nor a zip.
            RuntimeMissing: A package of Lambda's runtime is not there, or not for this interpreter.
            SnapshotFailed: With `snap_start`, the function did not start.
            OSError: The port cannot be listened on.
        """
        executable, version = await asyncio.to_thread(interpreter, python)
        with ExitStack() as opened:
            folder = Path(opened.enter_context(TemporaryDirectory(prefix="lambda-")))
            link_packages(folder / "runtime")
            task = await asyncio.to_thread(opened.enter_context, task_root(Path(root), folder / "task"))
            sock = opened.enter_context(listening_socket(port))
            function = Function(
                root=task,
                handler=handler,
                name=name,
                environment=dict(environment or {}),
                timeout=timeout,
                memory_mb=memory_mb,
                is_frozen_between=freeze,
                has_snap_start=snap_start,
                init_timeout=max(SNAPSHOT_SECONDS, timeout) if snap_start else init_timeout,
                restore_timeout=restore_timeout,
                python=executable,
                version=version,
                packages=folder / "runtime",
                endpoint_url=f"http://127.0.0.1:{sock.getsockname()[1]}",
            )
            endpoint = Endpoint(StoredSecrets(secrets or {}, parameters or {}), shape)
            async with (
                # Before the environments: a function may ask for its secrets while it starts.
                listening(endpoint, sock),
                Environments.running(function, folder, max_environments) as environments,
                background_tasks() as tasks,
            ):
                emulated = cls(function, environments, tasks, on_answer)
                endpoint.serve(emulated)
                yield emulated

    @property
    def name(self) -> str:
        return self._function.name

    @property
    def endpoint_url(self) -> str:
        """Where boto3 finds `lambda`, `secretsmanager` and `ssm`. All other requests are for the function."""
        return self._function.endpoint_url

    @property
    def environments(self) -> list[Environment]:
        """Those whose process lives, oldest first. Each knows its `pid`, `number`, `is_frozen` and `logs`."""
        return self._environments.living

    @property
    def logs(self) -> str:
        """What all processes have written until now, those that have ended first."""
        return self._environments.logs

    def freeze(self) -> None:
        """Stop every process where it is. An invocation thaws the one that it needs."""
        self._environments.freeze()

    def thaw(self) -> None:
        """Let every process go on, except a snapshot, which only a restore wakes."""
        self._environments.thaw()

    async def http(self, request: HttpRequest, shape: Shape = Shape.HTTP_API) -> HttpResponse:
        """What a client of the gateway in front gets: the event is made, and the answer read."""
        try:
            answer = await self.invoke(to_event(request, shape))
        except InvokeRefused as error:
            return refusal(error.status, shape)
        return failure(shape) if answer.error else to_response(answer.body, shape)

    async def invoke(self, event: Any, *, client_context: str | None = None) -> Answer:
        """Run the function once. An error of the function is an answer, too.

        Cancelling this ends the process that works on it.

        Args:
            event: Anything that JSON can say, or its bytes.
            client_context: JSON, for `context.client_context`.

        Raises:
            InvokeRefused: The event is too large, `max_environments` are busy, or a restore takes too long.
        """
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        if len(body) > MAX_REQUEST_BYTES:
            limit = f"Request must be smaller than {MAX_REQUEST_BYTES} bytes for the InvokeFunction operation"
            raise InvokeRefused(413, "RequestTooLargeException", limit)
        return await self._invoke(body, str(uuid4()), client_context, waits=False)

    def invoke_later(self, event: bytes) -> str:
        """Run the function once, with nobody waiting: where all environments are busy, when one is free.

        Lambda would repeat what fails, after minutes; this does not.

        Returns:
            The id of the request. The answer goes to `on_answer` alone.

        Raises:
            InvokeRefused: Too many are under way.
        """
        if self._later >= MAX_WAITING:
            raise InvokeRefused(429, "TooManyRequestsException", "Rate Exceeded.")
        self._later += 1
        request_id = str(uuid4())
        self._tasks.start(self._invoke_unwatched(event, request_id), name=f"event {request_id}")
        return request_id

    async def _invoke_unwatched(self, event: bytes, request_id: str) -> None:
        try:
            answer = await self._invoke(event, request_id, None, waits=True)
        except InvokeRefused as error:
            log.warning("an event was not run error=%s request=%s", error.code, request_id)
        else:
            if answer.error:
                log.warning("an event failed error=%s request=%s", answer.error, request_id)
        finally:
            self._later -= 1

    async def _invoke(
        self, event: bytes, request_id: str, client_context: str | None, *, waits: bool
    ) -> Answer:
        async with self._environments.lent(request_id, waits=waits) as start:
            answer = await self._invoked(start, event, request_id, client_context)
        if self._on_answer:
            self._on_answer(answer)
        return answer

    async def _invoked(
        self, start: Start, event: bytes, request_id: str, client_context: str | None
    ) -> Answer:
        environment, outcome = start.environment, start.failed
        environment.write_log(f"START RequestId: {request_id} Version: $LATEST")
        began = time.perf_counter()
        if outcome is None:
            seconds = self._function.timeout - start.seconds_spent
            outcome = await environment.run(event, request_id, client_context, seconds)
        duration_ms = (time.perf_counter() - began + start.seconds_spent) * 1000
        billed_ms = billed(duration_ms, start.init_ms, start.restore_ms)
        self._report(start, request_id, duration_ms, billed_ms)
        return Answer(
            request_id=request_id,
            body=outcome.body,
            error=outcome.error,
            logs=environment.new_logs(),
            environment=environment.number,
            duration_ms=duration_ms,
            init_ms=start.init_ms,
            restore_ms=start.restore_ms,
            billed_ms=billed_ms,
        )

    def _report(self, start: Start, request_id: str, duration_ms: float, billed_ms: int) -> None:
        environment = start.environment
        fields = [
            f"REPORT RequestId: {request_id}",
            f"Duration: {duration_ms:.2f} ms",
            f"Billed Duration: {billed_ms} ms",
            f"Memory Size: {self._function.memory_mb} MB",
            f"Max Memory Used: {environment.process.max_memory_mb} MB",
        ]
        if start.init_ms is not None:
            fields.append(f"Init Duration: {start.init_ms:.2f} ms")
        if start.restore_ms is not None:
            fields.append(f"Restore Duration: {start.restore_ms:.2f} ms")
        environment.write_log(f"END RequestId: {request_id}")
        environment.write_log("\t".join(fields))
