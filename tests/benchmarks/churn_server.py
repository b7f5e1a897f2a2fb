"""Servers as they are deployed, with tokens and rules: `nats STORE` and `gateway NAME NATS_URL`.

Beside what clients and Prometheus ask, the gateway here says what Python
holds: `/counts`, and `/objects`, which stops it for some tenths of a second.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import orjson
import uvloop

from streams import Stream
from streams.access import Claims, Subscription
from streams.auth.rules import OwnRules
from streams.dev.nats_server import embedded
from streams.gateway.hub import Hub
from streams.gateway.metrics import telling
from streams.gateway.server import DRAIN_SECONDS, App, Receive, Scope, Send, answer, http_config, serving
from streams.gateway.server import listening as listening_to_clients
from streams.gateway.service import collect_seldom
from streams.gateway.service import gateway as gateway_of
from streams.jetstream.connection import connected_to
from streams.jetstream.provisioning import provision_application
from streams.keys import Namespace
from tests.benchmarks.processes import Process, ServerFailed, running
from tests.benchmarks.streams_server import stop_requested
from tests.benchmarks.targets import STREAM
from tests.tokens import VERIFIER

BACKLOG = 4096
"""Connections that wait to be taken. The kernel allows no more, unless it is told to."""

READ_SECONDS = 30.0
"""How long an answer may take."""

KINDS = 400
"""Kinds of objects that `/objects` tells of, those first that there are most of."""


def somebody(subscription: Subscription, claims: Claims | None) -> bool:
    """A plain function, as most rules are: each join asks it in a thread."""
    return claims is not None


bench = Stream(STREAM, dict, can_access=somebody)


@dataclass(frozen=True, slots=True)
class Nats:
    """A NATS server with the buckets of `bench` and of revocations."""

    pid: int
    """Root of its process tree."""
    url: str
    monitoring_url: str

    def subscriptions(self, name: str) -> int:
        """How many the connection of that name has; 0: there is none."""
        return sum(each["subscriptions"] for each in self._connections() if each.get("name") == name)

    def _connections(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = orjson.loads(read(f"{self.monitoring_url}/connz"))["connections"]
        return found


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that runs."""

    process: Process
    name: str
    """Of its connection to NATS."""
    port: int
    """Where clients connect on 127.0.0.1."""
    metrics_port: int
    """Where Prometheus asks."""
    counts_port: int

    @property
    def pid(self) -> int:
        return self.process.pid

    def memory_mb(self) -> float:
        """MiB that are its own. See `own_mb`."""
        return own_mb(self.pid)

    def counts(self) -> dict[str, int]:
        """Connections, rooms, groups and tasks."""
        counts: dict[str, int] = orjson.loads(read(f"http://127.0.0.1:{self.counts_port}/counts"))
        return counts

    def objects(self) -> dict[str, int]:
        """How many there are of each type, by its name, after a collection."""
        objects: dict[str, int] = orjson.loads(read(f"http://127.0.0.1:{self.counts_port}/objects"))
        return objects


@contextmanager
def nats_running(directory: Path) -> Iterator[Nats]:
    with running("nats", _command("nats", str(directory / "store")), directory) as process:
        url, monitoring_url = process.wait_for_ready().split()
        yield Nats(process.pid, url, monitoring_url)


@contextmanager
def gateway_running(name: str, nats: Nats, directory: Path) -> Iterator[Gateway]:
    with running(name, _command("gateway", name, nats.url), directory) as process:
        yield Gateway(process, name, *map(int, process.wait_for_ready().split()))


def own_mb(pid: int) -> float:
    """MiB of a process (PSS), without the files that it maps: who else has those is a matter of chance."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("this kernel does not tell Pss_Anon (Linux 5.4 does)")


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.churn_server", *arguments]


def read(url: str) -> bytes:
    """What is there. Never over the environment's proxy."""
    with build_opener(ProxyHandler({})).open(url, timeout=READ_SECONDS) as response:
        body: bytes = response.read()
        return body


def allow_sockets(count: int) -> None:
    """Raise the limit of open files where it is lower; processes that start from now on inherit it.

    Raises:
        ServerFailed: This user may not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY not in (soft, hard) and hard < count:
        raise ServerFailed(f"{count} open files are needed, and {hard} allowed: raise `ulimit -Hn`")
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


async def nats(store: Path) -> None:
    async with embedded(store) as server:
        async with connected_to(server.url) as connection:
            async for _ in provision_application(connection, Namespace(), [bench]):
                pass
        print("ready", server.url, server.monitoring_url, flush=True)
        await stop_requested()


async def gateway(name: str, nats_url: str) -> None:
    with ExitStack() as sockets:
        public, internal, counted = (
            sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)) for _ in range(3)
        )
        async with (
            OwnRules.running([bench], None) as rules,
            connected_to(nats_url, name=name) as connection,
            gateway_of(connection, Namespace(), VERIFIER, rules) as hub,
            listening_to_clients(hub, public),
            telling(hub, internal),
            serving(http_config(_counting(hub), drain_seconds=DRAIN_SECONDS), [counted]),
        ):
            collect_seldom()
            print("ready", *(each.getsockname()[1] for each in (public, internal, counted)), flush=True)
            await stop_requested()


def _counting(hub: Hub) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        told = _objects() if scope["path"] == "/objects" else _counts(hub)
        await answer(send, 200, orjson.dumps(told), "application/json")

    return app


def _counts(hub: Hub) -> dict[str, int]:
    return {
        "connections": len(hub.guests),
        "rooms": hub.watched_rooms,
        "groups": hub.watched_groups,
        "tasks": len(asyncio.all_tasks()),
    }


def _objects() -> dict[str, int]:
    gc.collect()
    return dict(Counter(type(each).__qualname__ for each in gc.get_objects()).most_common(KINDS))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["nats", store]:
            uvloop.run(nats(Path(store)))
        case ["gateway", name, nats_url]:
            uvloop.run(gateway(name, nats_url))
        case _:
            sys.exit("usage: python -m tests.benchmarks.churn_server nats STORE | gateway NAME NATS_URL")
