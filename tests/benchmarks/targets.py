"""The compared servers, all of them, in the order of the table."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import ClassVar

from tests.benchmarks.processes import free_port, running
from tests.benchmarks.targets_centrifugo import Centrifugo
from tests.benchmarks.targets_http import LANES, posting
from tests.benchmarks.targets_motia import Motia
from tests.benchmarks.targets_nats import Nats
from tests.benchmarks.targets_nchan import Nchan
from tests.benchmarks.targets_node import SocketIo, Ws
from tests.benchmarks.targets_protocol import (
    STREAM,
    Item,
    MotiaMessages,
    Servers,
    Skipped,
    Target,
    Write,
    join_message,
    packages,
)

__all__ = ["LANES", "STREAM", "TARGETS", "Item", "Servers", "Skipped", "Target", "Write", "join_message"]


class FastApi(MotiaMessages):
    """What a Python team writes first: a set of WebSockets and a loop of `send_text`."""

    name: ClassVar[str] = "fastapi"

    def prepare(self) -> None:
        pass

    def version(self) -> str:
        return packages("fastapi", "uvicorn", "websockets")

    @contextmanager
    def running(self, directory: Path) -> Iterator[Servers]:
        port = free_port()
        app = "tests.benchmarks.peers.fastapi_naive:app"
        options = ["--loop=uvloop", "--http=httptools", "--no-access-log", "--log-level=warning"]
        command = [sys.executable, "-m", "uvicorn", app, "--host=127.0.0.1", f"--port={port}", *options]
        with running(self.name, command, directory) as server:
            server.wait_for_port(port)
            yield Servers(port, [server.pid], [])

    def writing(self, servers: Servers) -> AbstractAsyncContextManager[Write]:
        return posting(servers.port)


class Streams(MotiaMessages):
    """Ours: every write is durable in JetStream and returns the value that it replaced."""

    name: ClassVar[str] = "streams"

    def prepare(self) -> None:
        pass

    def version(self) -> str:
        return f"{packages('realtime-streams')}, {TARGETS['nats'].version()}"

    @contextmanager
    def running(self, directory: Path) -> Iterator[Servers]:
        port = free_port()
        server = [sys.executable, "-m", "tests.benchmarks.streams_server"]
        with running("nats", [*server, "nats", str(directory / "store")], directory) as nats:
            nats_url = nats.wait_for_ready()
            with running("gateway", [*server, "gateway", nats_url, str(port)], directory) as gateway:
                gateway.wait_for_port(port)
                yield Servers(port, [gateway.pid], [nats.pid], nats_url)

    @asynccontextmanager
    async def writing(self, servers: Servers) -> AsyncIterator[Write]:
        # Imported here: the main process and the peers do without.
        import streams

        bench = streams.Stream(STREAM, dict)

        async def write(group: str, item: Item) -> None:
            await bench.set(group, item["id"], item)

        async with streams.connected(servers.nats_url):
            yield write


_in_order: list[Target] = [
    FastApi(),
    Ws(),
    SocketIo(),
    Motia(),
    Nchan(),
    Nats(),
    Centrifugo(),
    Streams(),
]
TARGETS: dict[str, Target] = {target.name: target for target in _in_order}
