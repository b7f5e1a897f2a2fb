"""Centrifugo: a gateway of the same kind in Go."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import orjson

from tests.benchmarks.processes import free_port, running
from tests.benchmarks.targets_http import posting
from tests.benchmarks.targets_protocol import STREAM, Item, Servers, Skipped, Write, payloads

PROGRAMS = Path(sys.executable).parent
"""Where Go puts it: beside the other programs of this virtual environment."""

MODULE = "github.com/centrifugal/centrifugo/v6@latest"

GO_SECONDS = 900.0
"""How long Go may take to fetch and build it before it is skipped."""


class Centrifugo:
    """Centrifugo 6 with all in its memory: messages and no items.

    Anyone may connect and subscribe. A join is a subscription that recovers
    from the beginning: its answer holds the last 100 messages of the group.
    """

    name: ClassVar[str] = "centrifugo"
    subprotocol: ClassVar[str | None] = None
    copies: ClassVar[int] = 1
    is_pinging: ClassVar[bool] = True

    def prepare(self) -> None:
        if _program() is not None:
            return
        if shutil.which("go") is None:
            raise Skipped("neither it nor Go is installed")
        environment = os.environ | {"GOBIN": str(PROGRAMS)}
        try:
            done = subprocess.run(
                ["go", "install", MODULE],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=GO_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise Skipped(f"Go had not built it in {GO_SECONDS:.0f} s") from error
        if done.returncode != 0:
            said = done.stderr.strip().rpartition("\n")[2].rpartition(": ")[2]
            raise Skipped(f"Go could not install it: {said}")

    def version(self) -> str:
        done = subprocess.run([str(_program()), "version"], capture_output=True, text=True, timeout=10)
        return done.stdout.strip().partition(" (")[0]

    @contextmanager
    def running(self, directory: Path) -> Iterator[Servers]:
        port = free_port()
        settings = directory / "centrifugo.json"
        settings.write_bytes(orjson.dumps(_settings(port)))
        with running(self.name, [str(_program()), "-c", str(settings)], directory) as server:
            server.wait_for_port(port)
            yield Servers(port, [server.pid], [])

    def writing(self, servers: Servers) -> AbstractAsyncContextManager[Write]:
        return posting(servers.port, _request)

    def path(self, group: str) -> str:
        return "/connection/websocket"

    def opening(self, group: str) -> list[bytes]:
        return [orjson.dumps({"id": 1, "connect": {}}), *self.further(group, 0)]

    def further(self, group: str, number: int) -> list[bytes]:
        wanted = {"channel": _channel(group), "recover": True}
        return [orjson.dumps({"id": number + 2, "subscribe": wanted})]

    def is_joined(self, received: bytes) -> bool:
        return b'"subscribe":{' in payloads(received)

    def answer(self, received: bytes) -> bytes | None:
        # Alone in its frame, or on a line of its own beside messages.
        is_ping = any(ping in received for ping in (b"\x02{}", b"\n{}", b"{}\n"))
        return b"{}" if is_ping else None


def _program() -> str | None:
    return shutil.which("centrifugo", path=os.pathsep.join([str(PROGRAMS), *os.get_exec_path()]))


def _settings(port: int) -> dict[str, Any]:
    namespace = {
        "name": STREAM,
        "allow_subscribe_for_client": True,
        "allow_subscribe_for_anonymous": True,
        "force_recovery": True,
        "history_size": 100,
        "history_ttl": "10m",
    }
    return {
        "http_server": {"address": "127.0.0.1", "port": port},
        "client": {"allow_anonymous_connect_without_token": True},
        "http_api": {"insecure": True},
        "channel": {"namespaces": [namespace]},
    }


def _channel(group: str) -> str:
    return f"{STREAM}:{group}"


def _request(group: str, item: Item) -> tuple[str, bytes]:
    return "/api/publish", orjson.dumps({"channel": _channel(group), "data": item})
