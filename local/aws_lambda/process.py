"""One process that runs a function: how it is started, stopped for a while, and ended."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from local.aws_lambda.account import ACCOUNT, REGION


@dataclass(frozen=True, slots=True)
class Function:
    """What is known of a function before any process of it runs."""

    root: Path
    handler: str
    name: str
    environment: Mapping[str, str]
    timeout: float
    """Seconds."""
    memory_mb: int
    is_frozen_between: bool
    has_snap_start: bool
    init_timeout: float
    """Seconds that a new process may take until it asks for its first event."""
    restore_timeout: float
    """The same for one that goes on from its snapshot."""
    python: Path
    version: str
    """Of the interpreter, as "3.13"."""
    packages: Path
    """The folder with the runtime's own packages."""
    endpoint_url: str

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.name}"

    def variables(self, runtime_api: str, folder: Path) -> dict[str, str]:
        """The whole environment of a process; nothing of ours gets through."""
        given = {
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_SESSION_TOKEN": "local",
            # boto3 in the function never reaches the real AWS, unless the function is told to.
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{self.version}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory_mb),
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start" if self.has_snap_start else "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": f"{time.strftime('%Y/%m/%d')}/[$LATEST]{folder.name}",
            "AWS_LAMBDA_RUNTIME_API": runtime_api,
            "HOME": str(folder),
            "LAMBDA_RUNTIME_DIR": str(self.packages),
            "LAMBDA_TASK_ROOT": str(self.root),
            "LANG": "en_US.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "TMPDIR": str(folder),
            "TZ": ":UTC",
            "_HANDLER": self.handler,
            **self.environment,
        }
        own_paths = self.environment.get("PYTHONPATH")
        given["PYTHONPATH"] = f"{own_paths}:{self.packages}" if own_paths else str(self.packages)
        return given

    @property
    def command(self) -> list[str]:
        """`-S` and `-s`: no site-packages, neither ours nor a user's. `-B`: compiled files are not written
        beside the sources, as they cannot be on Lambda, whatever rights this user has."""
        return [str(self.python), "-S", "-s", "-B", "-m", "awslambdaric", self.handler]


class Process(asyncio.SubprocessProtocol):
    """The process of one execution environment. Use `started`."""

    def __init__(self, ended: Callable[[int], None]) -> None:
        self._ended = ended
        self._gone = asyncio.Event()
        self.is_frozen = False
        self._peak_mb = 0
        self._transport: asyncio.SubprocessTransport

    @classmethod
    async def started(
        cls, function: Function, runtime_api: str, folder: Path, logs: BinaryIO, ended: Callable[[int], None]
    ) -> Process:
        """Start it. `ended` is called with its return code, negative for a signal."""
        _, process = await asyncio.get_running_loop().subprocess_exec(
            lambda: cls(ended),
            *function.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=logs,
            stderr=logs,
            cwd=function.root,
            env=function.variables(runtime_api, folder),
            # A group of its own, so that what the function starts ends with it.
            start_new_session=True,
        )
        return process

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport
        self.pid: int = transport.get_pid()

    def process_exited(self) -> None:
        self._gone.set()
        self._ended(self._transport.get_returncode() or 0)

    @property
    def is_alive(self) -> bool:
        return not self._gone.is_set()

    def freeze(self) -> None:
        """Stop it where it is. It has stopped when this returns."""
        if self.is_alive and not self.is_frozen:
            os.kill(self.pid, signal.SIGSTOP)
            # A kernel tells of the stop when every thread stands still. The end of the process counts,
            # too; it is left for the event loop to see.
            if hasattr(os, "waitid"):  # macOS has it from Python 3.13 on, and stops as fast without.
                os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            self.is_frozen = True

    def thaw(self) -> None:
        """Let it go on."""
        if self.is_alive and self.is_frozen:
            os.kill(self.pid, signal.SIGCONT)
            self.is_frozen = False

    async def kill(self) -> None:
        """End it and what it started, also when frozen. Gone when this returns."""
        self._peak_mb = self.max_memory_mb
        if self.is_alive:
            os.killpg(self.pid, signal.SIGKILL)
            await self._gone.wait()
        self._transport.close()

    @property
    def max_memory_mb(self) -> int:
        """The most memory that it has had; 0 where the system does not say."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return self._peak_mb
        kilobytes = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
        return round(int(kilobytes) / 1024)
