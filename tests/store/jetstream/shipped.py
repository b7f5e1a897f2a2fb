"""nats-server with the configurations that are shipped: real processes, on ports of this machine."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx

from streams.dev.nats_server import find_binary
from streams.jetstream.credentials import Credentials
from tests.browser import SECONDS

CONFIGS = Path(__file__).parents[3] / "infra/nats"
ROLES = ("admin", "functions", "gateway", "operator")
PASSWORDS = {f"NATS_{role.upper()}_PASSWORD": f'"{role}-1e9"' for role in ROLES}
"""As they are to be written: a value that is not in quotes could be a number."""


def role(name: str) -> Credentials:
    return Credentials(user=name, password=f"{name}-1e9")


class Node:
    """A nats-server of a shipped configuration."""

    process: asyncio.subprocess.Process

    def __init__(self, config: str, folder: Path, name: str, *options: str, **environment: str) -> None:
        self.name, self._log = name, folder / f"{name}.log"
        self._port, self._monitoring_port = free_ports(2)
        # As it is shipped, but for what several of them cannot have in common where there are no containers.
        own = folder / f"{name}.conf"
        own.write_text((CONFIGS / config).read_text().replace('"/data"', json.dumps(str(folder / name))))
        shutil.copy(CONFIGS / "users.conf", folder / "users.conf")
        self._command = [
            str(find_binary()), "-c", str(own), "-a", "127.0.0.1", "-p", str(self._port),
            "-m", str(self._monitoring_port), *options,
        ]  # fmt: skip
        self._environment = {**os.environ, **PASSWORDS, **environment}

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self._command, env=self._environment, stdout=log, stderr=log
            )

    async def is_well(self) -> None:
        """Wait until JetStream answers; in a cluster, until it has a leader."""
        url = f"http://127.0.0.1:{self._monitoring_port}/healthz"
        async with asyncio.timeout(3 * SECONDS), httpx.AsyncClient() as http:
            while True:
                assert self.process.returncode is None, self._log.read_text()
                with suppress(httpx.HTTPError):
                    if (await http.get(url)).status_code == 200:
                        return
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
            async with asyncio.timeout(SECONDS):
                await self.process.wait()


@asynccontextmanager
async def single(folder: Path) -> AsyncIterator[Node]:
    """A server with server.conf."""
    async with _running([Node("server.conf", folder, "single")]) as (node,):
        yield node


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[list[Node]]:
    """Three servers with cluster.conf."""
    ports = free_ports(3)
    routes = [f"nats://route:route-1e9@127.0.0.1:{port}" for port in ports]
    shared = {"NATS_ROUTES": json.dumps(routes), "NATS_ROUTES_PASSWORD": '"route-1e9"'}
    names = [f"nats-{number}" for number in range(1, 4)]
    nodes = [
        Node("cluster.conf", folder, name, "--cluster", route, NATS_NAME=name, **shared)
        for name, route in zip(names, routes, strict=True)
    ]
    async with _running(nodes):
        yield nodes


@asynccontextmanager
async def _running(nodes: list[Node]) -> AsyncIterator[list[Node]]:
    async with AsyncExitStack() as block:
        for node in nodes:
            await node.start()
            block.push_async_callback(node.stop)
        for node in nodes:
            await node.is_well()
        yield nodes


def free_ports(count: int) -> list[int]:
    """Ports that nobody has. All are held until the last is found, so that they differ."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [sock.getsockname()[1] for sock in sockets]
