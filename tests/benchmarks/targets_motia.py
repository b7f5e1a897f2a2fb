"""Motia, whose streams ours took as their model."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import ClassVar

from tests.benchmarks.processes import free_port, running
from tests.benchmarks.targets_http import posting
from tests.benchmarks.targets_node import (
    need,
    node_packages,
    npm_install,
    redis_running,
    redis_version,
)
from tests.benchmarks.targets_protocol import PEERS, MotiaMessages, Servers, Write, join_message

PROJECT = PEERS / "motia"

SETTINGS = {
    "MOTIA_ANALYTICS_DISABLED": "true",
    "MOTIA_DISABLE_MEMORY_SERVER": "true",
    "MOTIA_DOCKER_DISABLE_WORKBENCH": "1",
    "MOTIA_REDIS_HOST": "127.0.0.1",
}

# A subscription with an identifier that another client has already takes its place.
_subscriptions = itertools.count()


class Motia(MotiaMessages):
    """Motia 0.17 with Redis at its best: a `set` inside the server's process, no step and no trace.

    Every write is told twice: first in an `event` message, which its clients
    keep out of their state, then as the `create` or `update`.
    """

    name: ClassVar[str] = "motia"
    copies: ClassVar[int] = 2

    def prepare(self) -> None:
        need("redis-server", package="redis-server")
        # No scripts: one of them would build a Redis.
        npm_install(PROJECT, "--ignore-scripts")

    def version(self) -> str:
        return f"{node_packages(PROJECT, '@motiadev/core', 'motia')}, {redis_version()}"

    @contextmanager
    def running(self, directory: Path) -> Iterator[Servers]:
        port = free_port()
        # It writes into its project, so it gets one of its own.
        project = directory / "project"
        shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("node_modules"))
        (project / "node_modules").symlink_to(PROJECT / "node_modules")
        with redis_running(directory) as (redis, redis_port):
            settings = [f"{name}={value}" for name, value in SETTINGS.items()]
            command = ["env", f"--chdir={project}", *settings, f"MOTIA_REDIS_PORT={redis_port}"]
            command += ["node", "node_modules/motia/dist/cli.mjs", "start"]
            command += ["--host", "127.0.0.1", "--port", str(port), "--disable-verbose"]
            with running(self.name, command, directory) as server:
                server.wait_for_port(port)
                yield Servers(port, [server.pid], [redis.pid])

    def writing(self, servers: Servers) -> AbstractAsyncContextManager[Write]:
        return posting(servers.port)

    def opening(self, group: str) -> list[bytes]:
        return [join_message(group, f"s{next(_subscriptions)}")]

    def further(self, group: str, number: int) -> list[bytes]:
        return self.opening(group)
