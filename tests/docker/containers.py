"""Containers of a test, in a network of their own, with nothing that they could do without."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any
from uuid import uuid4

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from tests.browser import SECONDS

NO_RIGHTS: dict[str, Any] = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "mem_limit": "256m",
    "pids_limit": 64,
}
NATS_IN_MEMORY = ["nats-server", "--jetstream", "--store_dir", "/data"]

_OFTEN = {"interval": 1_000_000_000}
"""A health check as the image says it, but every second."""


class Place:
    """A network, and what runs in it. `remove` takes it all away."""

    def __init__(self, engine: docker.DockerClient) -> None:
        self._engine = engine
        self.name = f"streams-test-{uuid4().hex[:12]}"
        self._network = engine.networks.create(self.name)
        self._containers: list[Container] = []

    def run(
        self,
        image: str,
        *command: str,
        name: str | None = None,
        port: tuple[int, int] | None = None,
        **more: Any,
    ) -> Container:
        """Start a container without rights. Others find it by its `name`.

        `port` is one of the container's, and the one of 127.0.0.1 that leads to it.
        """
        options = {**NO_RIGHTS, "healthcheck": _OFTEN, **more}
        if port is not None:
            options["ports"] = {f"{port[0]}/tcp": ("127.0.0.1", port[1])}
        container = self._engine.containers.create(image, list(command) or None, **options)
        self._containers.append(container)
        # Only here, and not in `create`: there it could be given no other name.
        self._engine.networks.get("bridge").disconnect(container)
        self._network.connect(container, aliases=[name] if name else None)
        container.start()
        return container

    def nats(self, image: str) -> Container:
        """NATS as the others find it: nats://nats:4222. Its data go with it."""
        return self.run(image, *NATS_IN_MEMORY, name="nats", tmpfs={"/data": ""}, healthcheck=None)

    def volume(self) -> str:
        """A new one, with nothing in it."""
        return str(self._engine.volumes.create(f"{self.name}-{uuid4().hex[:6]}").name)

    def remove(self) -> None:
        for container in self._containers:
            with suppress(NotFound):  # A test may have removed it.
                container.remove(force=True, v=True)
        self._network.remove()
        for volume in self._engine.volumes.list(filters={"name": self.name}):
            volume.remove()


async def is_healthy(container: Container) -> None:
    """Wait until its health check says so."""
    await _until(container, lambda state: state["Health"]["Status"] == "healthy", "healthy")


async def has_ended(container: Container) -> int:
    """Wait until it has ended. Its exit code."""
    state = await _until(container, lambda state: not state["Running"], "at its end")
    code: int = state["ExitCode"]
    return code


async def stopped(container: Container) -> tuple[int, float]:
    """Tell it to end, as an engine does that waits for ten seconds. Exit code, and the seconds it took."""
    began = time.monotonic()
    await asyncio.to_thread(container.stop, timeout=10)
    took = time.monotonic() - began
    return await has_ended(container), took


async def _until(container: Container, holds: Any, what: str) -> dict[str, Any]:
    try:
        async with asyncio.timeout(3 * SECONDS):
            while True:
                await asyncio.to_thread(container.reload)
                state: dict[str, Any] = container.attrs["State"]
                if holds(state):
                    return state
                assert state["Running"] or what == "at its end", "it has ended"
                await asyncio.sleep(0.05)
    except (AssertionError, TimeoutError) as error:
        said = container.logs().decode(errors="replace")
        raise AssertionError(f"{container.name} is not {what} ({error}); it says:\n{said}") from error
