"""Three NATS servers, two gateways, clients behind lines that can be cut, and writers."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count
from pathlib import Path

from streams import Stream, bound_to
from streams.errors import StreamsError
from streams.jetstream.connection import connected_to
from streams.jetstream.kv_store import KvStore
from streams.jetstream.provisioning import provision_application
from streams.keys import Namespace
from tests.chaos.clients import Client, Motias, Ours
from tests.dev.commands import STREAMS
from tests.store.jetstream.proxy import Line, line_to
from tests.store.jetstream.shipped import Node, cluster, free_ports, role

todo = Stream("todo", dict, public=True)
GROUPS = ("one", "two", "three")
ITEMS = tuple("abcdefgh")
WRITERS = 4
CLIENTS = 12

WRITE_SECONDS = 20.0
"""How long a write is tried again. A leader that was killed is replaced in about five."""

SETTLE_SECONDS = 60.0
"""How long it may take, after everything works again, until every client shows what is stored."""

START_SECONDS = 30.0


class Gateway:
    """One process of `streams gateway`, and the line that its clients have to it."""

    process: asyncio.subprocess.Process

    def __init__(self, number: int, port: int, folder: Path, nodes: Sequence[Node], line: Line) -> None:
        self.name, self._port, self._nodes = f"gateway-{number}", port, nodes
        self.line = line
        self._log = folder / f"{self.name}.log"
        self.is_up = False

    @property
    def url(self) -> str:
        return self.line.url.replace("nats://", "ws://") + "/"

    async def start(self) -> None:
        """Start it with a server that runs, and wait until it takes clients."""
        node = next(node for node in self._nodes if node.process.returncode is None)
        environment = {"STREAMS_NATS_USER": "gateway", "STREAMS_NATS_PASSWORD": "gateway-1e9"}
        command = [
            "gateway",
            "--host",
            "127.0.0.1",
            "--port",
            str(self._port),
            "--nats",
            node.url,
            "--no-metrics",
        ]
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                str(STREAMS), *command, env={**os.environ, **environment}, stdout=log, stderr=log
            )
        async with asyncio.timeout(START_SECONDS):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self._port)
                    writer.close()
                    self.is_up = True
                    return
                if self.process.returncode is not None:
                    # It has to reach NATS when it starts.
                    raise ConnectionError(self._log.read_text()[-500:])
                await asyncio.sleep(0.05)

    async def end(self, number: signal.Signals) -> None:
        self.is_up = False
        if self.process.returncode is None:
            self.process.send_signal(number)
            await self.process.wait()


class World:
    """All of it. Use `World.running`."""

    def __init__(self, nodes: list[Node], gateways: list[Gateway], store: KvStore, seed: int) -> None:
        self.nodes, self.gateways, self.store = nodes, gateways, store
        self.random = random.Random(seed)
        self.writes = self.retries = 0
        self.lost_writes: list[str] = []
        """Writes that failed however often they were tried."""
        self.clients: list[Client] = []
        for number in range(CLIENTS):
            kind = Motias if number % 3 == 2 else Ours
            self.clients.append(kind(self._urls, GROUPS, seed * 1000 + number))
        self._may_write = asyncio.Event()
        self._resting = asyncio.Semaphore(WRITERS)

    def _urls(self) -> list[str]:
        """Of all gateways: clients do not know which ones are there."""
        return [gateway.url for gateway in self.gateways]

    @classmethod
    @asynccontextmanager
    async def running(cls, folder: Path, seed: int) -> AsyncIterator[World]:
        async with AsyncExitStack() as block:
            nodes = await block.enter_async_context(cluster(folder))
            async with connected_to(nodes[0].url, credentials=role("admin")) as admin:
                async for _ in provision_application(admin, Namespace(), [todo], replicas=3):
                    pass
            gateways = []
            for number, port in enumerate(free_ports(2)):
                line = await block.enter_async_context(line_to(f"ws://127.0.0.1:{port}"))
                gateway = Gateway(number, port, folder, nodes, line)
                await gateway.start()
                block.push_async_callback(gateway.end, signal.SIGKILL)
                gateways.append(gateway)
            connection = await block.enter_async_context(
                connected_to(nodes[0].url, credentials=role("functions"))
            )
            world = cls(nodes, gateways, KvStore(connection, Namespace()), seed)
            tasks = [asyncio.create_task(client.run()) for client in world.clients]
            tasks += [asyncio.create_task(world._write(number)) for number in range(WRITERS)]
            try:
                yield world
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Writers write while the block lasts; afterwards nothing is under way."""
        self._may_write.set()
        try:
            yield
        finally:
            self._may_write.clear()
            for _ in range(WRITERS):
                await self._resting.acquire()
            for _ in range(WRITERS):
                self._resting.release()

    async def _write(self, number: int) -> None:
        """Change the items of one writer, one after the other: so their `v` rises with their revisions."""
        chance = random.Random(self.random.random())
        own = [(group, item) for group in GROUPS for item in ITEMS if ITEMS.index(item) % WRITERS == number]
        values = count(1)
        while True:
            await self._may_write.wait()
            async with self._resting:
                await self._insist(*chance.choice(own), None if chance.random() < 0.15 else values)
            await asyncio.sleep(chance.uniform(0, 0.05))

    async def _insist(self, group: str, item_id: str, values: Iterator[int] | None) -> None:
        """Write the next value, or delete the item. What may have been written is not written twice."""
        until = time.monotonic() + WRITE_SECONDS
        while True:
            try:
                with bound_to(self.store):
                    if values is None:
                        await todo.delete(group, item_id)
                    else:
                        await todo.set(group, item_id, {"v": next(values)})
                self.writes += 1
                return
            except StreamsError as error:
                self.retries += 1
                if time.monotonic() > until:
                    self.lost_writes.append(f"{group}/{item_id}: {error}")
                    return
                await asyncio.sleep(0.1)

    async def heal(self) -> None:
        """Everything runs."""
        for node in self.nodes:
            if node.process.returncode is not None:
                await node.start()
            await node.is_well()
        for gateway in self.gateways:
            while not gateway.is_up:
                with suppress(ConnectionError):
                    await gateway.start()

    async def settled(self) -> float:
        """Wait until every client shows what is stored. How long that took.

        Raises:
            AssertionError: Some show something else.
        """
        began = time.monotonic()
        while True:
            with bound_to(self.store):
                stored = {group: [dict(item) for item in await todo.get_group(group)] for group in GROUPS}
            wrong = [
                f"client {number}, {type(client).__name__}, {group}: {client.shows(group)} is {stored[group]}"
                for number, client in enumerate(self.clients)
                for group in GROUPS
                if client.shows(group) != stored[group]
            ]
            if not wrong:
                return time.monotonic() - began
            assert time.monotonic() - began < SETTLE_SECONDS, "\n".join(wrong)
            await asyncio.sleep(0.1)
