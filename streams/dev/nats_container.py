"""NATS in a container, for development. Its data are in a volume and stay; the container ends with the block.

The engine starts it again when it crashes. When we are killed (`kill -9`),
it goes on, and the next block for the same data removes it: no reaper
container watches us (testcontainers' Ryuk), because where images cannot be
pulled it could not be started, and then nothing could.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

from streams.dev.nats_server import locked
from streams.errors import DevFailed

log = logging.getLogger(__name__)

IMAGE = "nats:2.12-alpine"
LABEL = "realtime-streams.data"
"""On every container of ours: the folder that it stands for."""

READY_SECONDS = 15.0
STOP_SECONDS = 3

_PORT = 4222
_RESTARTS = 5


@asynccontextmanager
async def contained(data: Path, image: str | None = None) -> AsyncIterator[NatsContainer]:
    """Run NATS with JetStream in a container, reachable from this machine only, until the block ends.

    `data` stands for the data: the same folder, the same volume. An image that
    is not there is pulled, which cancelling ends.

    Raises:
        DevFailed: No engine answers, the image cannot be had, NATS does not start, or the data are in use.
    """
    async with locked(data):
        # Whatever has the name from here on was left by somebody who is gone.
        container = NatsContainer(data, image or IMAGE)
        try:
            await _in_thread(container._start, container._given_up.set)
            yield container
        finally:
            await _in_thread(container._remove)


class NatsContainer:
    """A running container. `contained` makes it, and hands it out when NATS answers."""

    def __init__(self, data: Path, image: str) -> None:
        folder = str(data.resolve())
        self.image = image
        self.name = f"streams-nats-{hashlib.sha256(folder.encode()).hexdigest()[:12]}"
        """Of the container, and of the volume with its data."""
        self._labels = {LABEL: folder}
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            # Not one that the engine chooses: that would be another one when it starts NATS again.
            self._port: int = free.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self._port}"
        self._given_up = threading.Event()
        self._engine: Any = None

    def _start(self) -> None:
        try:
            from docker.errors import DockerException
            from testcontainers.core.config import testcontainers_config
            from testcontainers.core.container import DockerContainer
            from testcontainers.core.docker_client import get_docker_host
        except ImportError as error:
            raise DevFailed(
                f"NATS in a container needs the package {error.name}: pip install 'realtime-streams[dev]'"
            ) from error
        testcontainers_config.ryuk_disabled = True
        try:
            container = DockerContainer(self.image)
        except DockerException as error:
            tried = get_docker_host() or "the default socket, unix:///var/run/docker.sock"
            raise DevFailed(
                f"no container engine answers at {tried} ({error}); start Docker, say where it is "
                "with DOCKER_HOST, or leave out `--nats container`"
            ) from error
        self._engine = container.get_docker_client().client
        try:
            self._have_image(container.image)
            if self._given_up.is_set():
                return
            self._remove_container()
            container.with_name(self.name).with_volume_mapping(self.name, "/data", "rw")
            container.with_command(["--jetstream", "--store_dir", "/data"])
            container.with_kwargs(
                labels=self._labels, restart_policy={"Name": "on-failure", "MaximumRetryCount": _RESTARTS}
            )
            # Its own `with_bind_ports` knows no address, and would open the port to everyone.
            container.ports[f"{_PORT}/tcp"] = ("127.0.0.1", self._port)  # type: ignore[assignment]
            container.start()
        except DockerException as error:
            raise DevFailed(f"NATS in a container of {self.image} does not start: {error}") from error
        self._wait_until_ready(container.get_wrapped_container())

    def _have_image(self, image: str) -> None:
        """Pull the image if it is not there."""
        from docker.errors import DockerException, ImageNotFound
        from docker.utils import parse_repository_tag

        try:
            self._engine.images.get(image)
            return
        except ImageNotFound:
            pass
        repository, tag = parse_repository_tag(image)
        log.info("pulling the image %s", image)
        problem: object = None
        try:
            for line in self._engine.api.pull(repository, tag or "latest", stream=True, decode=True):
                problem = problem or line.get("error")
                if self._given_up.is_set():
                    return
        except DockerException as error:
            problem = error
        if problem is not None:
            raise DevFailed(
                f"the image {image} is not here and cannot be pulled ({problem}); "
                "name one that is here with --nats-image"
            )

    def _wait_until_ready(self, running: Any) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and not self._given_up.is_set():
            if self._greets():
                return
            running.reload()
            if running.status in ("exited", "dead"):
                break
            time.sleep(0.02)
        if not self._given_up.is_set():
            problem = f"NATS in a container of {self.image} does not answer at {self.url}; it says:"
            words = running.logs(tail=6).decode(errors="replace").splitlines()
            raise DevFailed("\n  ".join([problem, *words]))

    def _greets(self) -> bool:
        # A connection alone proves nothing: the engine takes it before NATS does.
        with suppress(OSError, ValueError), socket.create_connection(("127.0.0.1", self._port), 1) as line:
            kind, _, info = line.makefile("rb").readline().partition(b" ")
            return kind == b"INFO" and bool(json.loads(info))
        return False

    def _remove(self) -> None:
        """End NATS in order, and remove its container."""
        if self._engine is None:
            return
        from docker.errors import DockerException

        try:
            self._remove_container()
        except DockerException as error:
            log.warning(
                "the container %s could not be removed; the next start tries again: %s", self.name, error
            )
        self._engine.close()

    def _remove_container(self) -> None:
        from docker.errors import NotFound

        with suppress(NotFound):
            left = self._engine.containers.get(self.name)
            left.stop(timeout=STOP_SECONDS)
            left.remove(force=True)


async def _in_thread(work: Callable[[], None], give_up: Callable[[], None] = lambda: None) -> None:
    """Do what blocks in a thread. Cancelling tells it to give up, and waits until it has."""
    running = asyncio.create_task(asyncio.to_thread(work), name="dev: container engine")
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        give_up()
        await asyncio.wait([running])
        running.exception()  # Nobody waits for what it says any more.
        raise
