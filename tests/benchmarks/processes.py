"""Processes: starting and stopping them, and what they cost. Linux only: that is read from /proc."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).parents[2]
"""The repository. Every process runs here, so that `python -m tests.benchmarks.…` finds itself."""

START_SECONDS = 60.0
"""How long a server may take until it answers. Motia takes 20 s where much else happens."""

STOP_SECONDS = 5.0
"""How long a server may take to end after SIGTERM, before it is killed."""

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class ServerFailed(Exception):
    """A process of this benchmark ended, or never answered. The message has its last words."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that runs now, in a session of its own."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    def check(self) -> None:
        """Raises ServerFailed when it has ended."""
        if self.popen.poll() is not None:
            raise ServerFailed(
                f"{self.name} ended with status {self.popen.returncode}: {last_line(self.log)}"
            )

    def wait_for_port(self, port: int) -> None:
        """Until it accepts connections on 127.0.0.1:`port`."""
        for _ in self._attempts(f"listened on port {port}"):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
                return

    def wait_for_ready(self) -> str:
        """What it prints behind the word `ready`, at the start of a line."""
        for _ in self._attempts("printed `ready`"):
            for line in self.log.read_text(errors="replace").splitlines(keepends=True):
                if line.startswith("ready ") and line.endswith("\n"):
                    return line.removeprefix("ready ").strip()
        raise AssertionError("unreachable: the attempts end with an exception")

    def _attempts(self, hope: str) -> Iterator[None]:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            self.check()
            yield
            time.sleep(0.05)
        raise ServerFailed(f"{self.name} never {hope} in {START_SECONDS:.0f} s: {last_line(self.log)}")


@contextmanager
def running(name: str, command: Sequence[str], directory: Path) -> Iterator[Process]:
    """One process for the length of the block. Its output goes to a file in `directory`."""
    log = directory / f"{name}.log"
    with log.open("wb") as output:
        popen = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Process(name, popen, log)
    finally:
        popen.terminate()
        _wait_for(popen)


def _wait_for(popen: subprocess.Popen[bytes]) -> None:
    try:
        popen.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        # The session is ours, so its group holds nothing but this process and its children.
        os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that is told what to do and answers: one line of JSON each. It ends when its input does."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def tell(self, order: object) -> None:
        assert self.popen.stdin is not None  # It is a pipe: see `working`.
        # One that has ended cannot read; `answer` says why.
        with suppress(BrokenPipeError):
            self.popen.stdin.write(orjson.dumps(order) + b"\n")
            self.popen.stdin.flush()

    def answer(self, seconds: float) -> Any:
        """Its next line.

        Raises:
            ServerFailed: It ended, or said nothing for so long.
        """
        assert self.popen.stdout is not None
        if not select.select([self.popen.stdout], [], [], seconds)[0]:
            raise ServerFailed(f"{self.name} was not done in {seconds:.0f} s")
        line = self.popen.stdout.readline()
        if not line:
            _wait_for(self.popen)
            status = self.popen.returncode
            raise ServerFailed(f"{self.name} ended with status {status}: {last_line(self.log)}")
        return orjson.loads(line)


@contextmanager
def working(name: str, arguments: Sequence[str], directory: Path) -> Iterator[Worker]:
    """`python -m tests.benchmarks.<arguments>` for the length of the block, unbuffered on its side."""
    module, *rest = arguments
    log = directory / f"{name}.log"
    with log.open("wb") as errors:
        popen = subprocess.Popen(
            [sys.executable, "-u", "-m", f"tests.benchmarks.{module}", *rest],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    try:
        yield Worker(name, popen, log)
    finally:
        assert popen.stdin is not None
        assert popen.stdout is not None
        with suppress(BrokenPipeError):
            popen.stdin.close()
        _wait_for(popen)
        popen.stdout.close()


def answered(name: str, arguments: Sequence[str], directory: Path, seconds: float) -> Any:
    """What a worker answers that has nothing to be told but its arguments. Raises: As `Worker.answer`."""
    with working(name, arguments, directory) as worker:
        return worker.answer(seconds)


def last_line(log: Path) -> str:
    """The last thing that a process said. For a Python traceback that is the exception."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"


def free_port() -> int:
    """A port of 127.0.0.1 where nobody listened a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cpu_seconds(roots: Iterable[int]) -> float:
    """User plus system time of the process trees: all threads; ended children too, in steps of 10 ms."""
    seconds = 0.0
    for pid in _trees(roots):
        with suppress(OSError):
            # The clock that clock_getcpuclockid(3) names, which has no steps as /proc/PID/stat has.
            seconds += time.clock_gettime(~pid << 3 | 2)
            seconds += sum(map(int, _stat(pid)[13:15])) / _TICKS_PER_SECOND
    return seconds


def memory_mb(roots: Iterable[int]) -> float:
    """MiB of the process trees. PSS: a page that several of them share counts once."""
    kib = 0
    for pid in _trees(roots):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    kib += int(line.split()[1])
    return kib / 1024


def _trees(roots: Iterable[int]) -> list[int]:
    children: defaultdict[int, list[int]] = defaultdict(list)
    for name in os.listdir("/proc"):
        if name.isdigit():
            # A process may end between the listing and the reading.
            with suppress(OSError):
                children[int(_stat(int(name))[1])].append(int(name))
    found = list(roots)
    for pid in found:
        found += children[pid]
    return found


def _stat(pid: int) -> list[str]:
    # Fields from the third on. The second is the command's name, which may hold spaces and brackets.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def end_cleanly_on_sigterm() -> None:
    """Turn SIGTERM into SystemExit, so that every `with` block closes and no server stays behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
