"""Peers that run on Node, and the Redis that some of them keep their state in."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import ClassVar

import orjson

from tests.benchmarks.processes import Process, free_port, running
from tests.benchmarks.targets_http import posting
from tests.benchmarks.targets_protocol import PEERS, MotiaMessages, Servers, Skipped, Write, payloads

NPM_SECONDS = 600.0
"""How long `npm install` may take before its peers are skipped."""


class Ws(MotiaMessages):
    """The fastest that plain Node offers: the package `ws`, every write encoded once."""

    name: ClassVar[str] = "ws"

    def prepare(self) -> None:
        npm_install(PEERS)

    def version(self) -> str:
        return node_packages(PEERS, "ws")

    @contextmanager
    def running(self, directory: Path) -> Iterator[Servers]:
        port = free_port()
        command = ["node", str(PEERS / "ws_broadcast.mjs"), str(port)]
        with running(self.name, command, directory) as server:
            server.wait_for_port(port)
            yield Servers(port, [server.pid], [])

    def writing(self, servers: Servers) -> AbstractAsyncContextManager[Write]:
        return posting(servers.port)


class SocketIo:
    """Socket.IO as its makers scale it: every change goes to the room through Redis, where the items are too.

    The client speaks Engine.IO 4 over a WebSocket from the start, and names
    its first group in the handshake, which saves it a round trip.
    """

    name: ClassVar[str] = "socketio"
    subprotocol: ClassVar[str | None] = None
    copies: ClassVar[int] = 1
    is_pinging: ClassVar[bool] = True

    def prepare(self) -> None:
        need("redis-server", package="redis-server")
        npm_install(PEERS)

    def version(self) -> str:
        return f"{node_packages(PEERS, 'socket.io', '@socket.io/redis-adapter')}, {redis_version()}"

    @contextmanager
    def running(self, directory: Path) -> Iterator[Servers]:
        port = free_port()
        with redis_running(directory) as (redis, redis_port):
            command = ["node", str(PEERS / "socketio_rooms.mjs"), str(port), str(redis_port)]
            with running(self.name, command, directory) as server:
                server.wait_for_port(port)
                yield Servers(port, [server.pid], [redis.pid])

    def writing(self, servers: Servers) -> AbstractAsyncContextManager[Write]:
        return posting(servers.port)

    def path(self, group: str) -> str:
        return "/socket.io/?EIO=4&transport=websocket"

    def opening(self, group: str) -> list[bytes]:
        return [b"40" + orjson.dumps({"group": group})]

    def further(self, group: str, number: int) -> list[bytes]:
        return [b"42" + orjson.dumps(["join", group])]

    def is_joined(self, received: bytes) -> bool:
        return b'42["sync",' in payloads(received)

    def answer(self, received: bytes) -> bytes | None:
        return b"3" if b"\x81\x012" in received else None


@contextmanager
def redis_running(directory: Path) -> Iterator[tuple[Process, int]]:
    """A Redis that writes nothing to the disk, and its port."""
    port = free_port()
    options = {"port": str(port), "bind": "127.0.0.1", "dir": str(directory), "save": "", "appendonly": "no"}
    command = ["redis-server", *(word for name, value in options.items() for word in (f"--{name}", value))]
    with running("redis", command, directory) as redis:
        redis.wait_for_port(port)
        yield redis, port


def redis_version() -> str:
    """As `redis 7.0.15`."""
    done = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, timeout=10)
    return next(f"redis {word[2:]}" for word in done.stdout.split() if word.startswith("v="))


def need(program: str, *, package: str) -> None:
    """Raises Skipped when a program is missing that comes with a package of the operating system."""
    if shutil.which(program) is None:
        raise Skipped(f"{program} is not installed (Debian's package {package})")


def npm_install(folder: Path, *options: str) -> None:
    """Install what the package.json of this folder names below it, unless just that is there.

    Raises:
        Skipped: npm is missing, or failed.
    """
    need("node", package="nodejs")
    need("npm", package="npm")
    wanted = (folder / "package.json").read_bytes()
    # Kept in full and not by its time: a checkout makes every file new.
    done = folder / "node_modules" / ".installed-package.json"
    if done.exists() and done.read_bytes() == wanted:
        return
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        ended = subprocess.run(
            [*command, *options],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=NPM_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise Skipped(f"npm was not done with {folder.name} in {NPM_SECONDS:.0f} s") from error
    if ended.returncode != 0:
        complaints = ended.stderr.strip().splitlines() or [f"status {ended.returncode}"]
        raise Skipped(f"npm could not install {folder.name}: {complaints[0]}")
    done.write_bytes(wanted)


def node_packages(folder: Path, *names: str) -> str:
    """Names and versions of what npm has installed below this folder, and of Node."""
    versions = [f"{name} {_installed_version(folder / 'node_modules' / name)}" for name in names]
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, timeout=10)
    return ", ".join([*versions, f"Node {node.stdout.strip().lstrip('v')}"])


def _installed_version(package: Path) -> str:
    version: str = orjson.loads((package / "package.json").read_bytes())["version"]
    return version
