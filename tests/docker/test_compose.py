"""local/compose.yaml as it is, started by compose itself: whatever is in it may end, one at a time."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from uuid import uuid4

import docker
import httpx
import pytest
from docker.models.containers import Container

from tests.browser import SECONDS
from tests.dev.commands import REPOSITORY, free_port, running
from tests.docker.conftest import Images

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

FILE = REPOSITORY / "local/compose.yaml"
SECRET = "5ec2e7" * 8


@cache
def program() -> list[str]:
    """Compose, as a plugin of the engine's command or as the program that it was before."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(command[0])
            and not subprocess.run([*command, "version"], capture_output=True).returncode
        ):
            return command
    if "STREAMS_TEST_DOCKER" in os.environ:
        pytest.fail("compose is not installed: apt-get install -y --no-install-recommends docker-compose")
    pytest.skip("compose is not installed")


@dataclass(frozen=True)
class Project:
    """What compose started."""

    engine: docker.DockerClient
    name: str
    port: int

    def containers(self, service: str) -> list[Container]:
        labels = [f"com.docker.compose.project={self.name}", f"com.docker.compose.service={service}"]
        found: list[Container] = self.engine.containers.list(all=True, filters={"label": labels})
        return found

    async def post(self, description: str) -> None:
        """Post a todo, as often as it takes."""
        async with asyncio.timeout(3 * SECONDS), httpx.AsyncClient(timeout=SECONDS) as http:
            url = f"http://127.0.0.1:{self.port}/todo"
            while (await http.post(url, json={"description": description})).status_code != 200:
                await asyncio.sleep(0.1)


def compose(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*program(), "-p", name, "-f", str(FILE), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def project(docker_engine: docker.DockerClient, images: Images) -> Iterator[Project]:
    project = Project(docker_engine, f"streams-test-{uuid4().hex[:8]}", free_port())
    environment = {
        "STREAMS_SECRET": SECRET,
        "STREAMS_PORT": str(project.port),
        "STREAMS_NATS_IMAGE": images.base.nats,
        "STREAMS_PROXY_IMAGE": images.base.proxy,
        "STREAMS_FUNCTIONS_IMAGE": images.functions,
        "STREAMS_GATEWAY_IMAGE": images.gateway,
    }
    try:
        # The number of gateways is in the file too, where the old program does not look.
        up = compose(project.name, "up", "-d", "--no-build", "--scale", "gateway=2", **environment)
        assert up.returncode == 0, up.stdout + up.stderr
        yield project
    finally:
        down = compose(project.name, "down", "-v", "-t", "1", **environment)
        assert down.returncode == 0, down.stdout + down.stderr


def test_only_the_proxy_is_open_and_to_this_machine_only(project: Project):
    services = ("nats-1", "nats-2", "nats-3", "provision", "gateway", "functions", "proxy")
    started = {service: project.containers(service) for service in services}

    open_to = {
        (service, port, at["HostIp"])
        for service, containers in started.items()
        for container in containers
        for port, ports in container.ports.items()
        for at in ports or []
    }

    assert open_to == {("proxy", "3000/tcp", "127.0.0.1")}
    for containers in started.values():
        assert containers
        for container in containers:
            host = container.attrs["HostConfig"]
            assert host["ReadonlyRootfs"]
            assert host["CapDrop"] == ["ALL"]
            assert host["SecurityOpt"] == ["no-new-privileges:true"]


async def test_a_client_hears_of_everything_while_one_after_the_other_ends(project: Project):
    url = f"ws://127.0.0.1:{project.port}/"
    async with running("watch", "todo", "inbox", "--json", "--url", url, cwd=REPOSITORY) as watcher:
        await project.post("first")
        await watcher.says("first")

        first, second = project.containers("gateway")
        for gateway in (first, second):
            await asyncio.to_thread(gateway.stop)
            assert (await asyncio.to_thread(gateway.wait))["StatusCode"] == 0
            await project.post(f"without {gateway.name}")
            await watcher.says(f"without {gateway.name}")
            await asyncio.to_thread(gateway.start)
            await ready(gateway)

        (nats,) = project.containers("nats-1")
        await asyncio.to_thread(nats.kill, "SIGKILL")
        await project.post(f"without {nats.name}")
        await watcher.says(f"without {nats.name}")
        await asyncio.to_thread(nats.start)
        await ready(nats)


async def ready(container: Container) -> None:
    """Wait until its health check says so, since its last start."""
    async with asyncio.timeout(6 * SECONDS):
        while True:
            await asyncio.to_thread(container.reload)
            if container.attrs["State"]["Health"]["Status"] == "healthy":
                return
            await asyncio.sleep(0.1)


def test_without_a_secret_nothing_starts_and_it_says_where_to_read():
    refused = compose("streams-test", "config", "-q", STREAMS_SECRET="")

    assert refused.returncode != 0
    assert "the head of this file says how" in refused.stderr
