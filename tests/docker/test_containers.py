"""NATS in a container: `streams dev --nats container`, and the store on it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import httpx
import pytest
from docker.models.containers import Container

from streams.dev.nats_container import IMAGE, LABEL
from tests.browser import SECONDS, Browser
from tests.dev.commands import REPOSITORY, developing, free_port, running

pytestmark = pytest.mark.docker

CONTAINER = ("--nats", "container")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder outside of this repository, with the todo app in it."""
    shutil.copytree(
        REPOSITORY / "functions", tmp_path / "functions", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path


@pytest.fixture
def engine(project: Path) -> Iterator[docker.DockerClient]:
    """The engine. What the project leaves there is removed: it may be a developer's own engine."""
    client = docker.from_env()
    yield client
    for container in left_by(client, project):
        container.remove(force=True)
    for volume in client.volumes.list():
        if volume.name in volumes_of(project):
            volume.remove()
    client.close()


def left_by(engine: docker.DockerClient, project: Path) -> list[Container]:
    """The containers of a project, running or not."""
    # One may be removed between being listed and being looked at.
    found: list[Container] = engine.containers.list(
        all=True, filters={"label": f"{LABEL}={data_of(project)}"}, ignore_removed=True
    )
    return found


async def test_a_todo_posted_over_http_shows_on_a_socket(project: Path, opened, engine: docker.DockerClient):
    async with developing(project, *CONTAINER) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        tab = await Browser(dev.socket_url, opened).join("todo", "inbox")

        await http.post("/todo", json={"description": "call mum"})

        assert (await tab.next_event())["data"]["description"] == "call mum"
        (container,) = left_by(engine, project)
        assert any(f"in the container {container.name}" in line for line in dev.command.said)


async def test_its_port_is_open_to_this_machine_only(project: Path, engine: docker.DockerClient):
    async with developing(project, *CONTAINER):
        (container,) = left_by(engine, project)

        bound = [at["HostIp"] for ports in container.ports.values() for at in ports or []]

        assert bound == ["127.0.0.1"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_removes_the_container(
    project: Path, engine: docker.DockerClient, number: signal.Signals
):
    async with developing(project, *CONTAINER) as dev:
        dev.command.process.send_signal(number)

        assert await dev.command.ends() == 0
        assert left_by(engine, project) == []


async def test_ctrl_c_while_it_starts_removes_the_container_too(project: Path, engine: docker.DockerClient):
    async with running("dev", "functions", "--port", str(free_port()), *CONTAINER, cwd=project) as command:
        async with asyncio.timeout(SECONDS):
            while not left_by(engine, project):
                await asyncio.sleep(0.01)

        command.process.send_signal(signal.SIGINT)

        assert await command.ends() == 0
        assert left_by(engine, project) == []


async def test_todos_are_kept_between_runs(project: Path, engine: docker.DockerClient):
    async with developing(project, *CONTAINER) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        await http.post("/todo", json={"description": "call mum"})

    async with developing(project, *CONTAINER) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        todos = (await http.get("/todos")).json()

    assert [todo["description"] for todo in todos] == ["call mum"]


async def test_a_container_that_a_killed_run_left_is_replaced_and_its_data_are_kept(
    project: Path, engine: docker.DockerClient
):
    async with developing(project, *CONTAINER) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        await http.post("/todo", json={"description": "call mum"})
        dev.command.process.kill()
        await dev.command.ends()
    (left,) = left_by(engine, project)

    async with developing(project, *CONTAINER) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        (now,) = left_by(engine, project)
        todos = (await http.get("/todos")).json()

    assert now.id != left.id
    assert [todo["description"] for todo in todos] == ["call mum"]


async def test_a_second_run_on_the_same_data_does_not_take_the_container_away(
    project: Path, engine: docker.DockerClient
):
    async with developing(project, *CONTAINER):
        (before,) = left_by(engine, project)
        async with running("dev", "functions", "--port", str(free_port()), *CONTAINER, cwd=project) as second:
            await second.says("uses the store")
            assert await second.ends() == 1

        assert [container.id for container in left_by(engine, project)] == [before.id]


async def test_nats_that_crashes_in_its_container_comes_back_and_sockets_stay_open(
    project: Path, opened, engine: docker.DockerClient
):
    async with developing(project, *CONTAINER) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        tab = await Browser(dev.socket_url, opened).join("todo", "inbox")
        (container,) = left_by(engine, project)
        container.reload()
        pid = container.attrs["State"]["Pid"]
        if not runs_here(pid):
            pytest.skip("the engine is on another machine, or in a virtual one")

        os.kill(pid, signal.SIGKILL)
        answer = await http.post("/todo", json={"description": "call mum"}, timeout=SECONDS)

        assert answer.status_code == 200
        assert (await tab.next_event())["data"]["description"] == "call mum"


async def test_an_image_that_cannot_be_had_is_named_with_a_way_out(
    project: Path, engine: docker.DockerClient
):
    image = "127.0.0.1:1/nats:nowhere"
    async with running("dev", "functions", *CONTAINER, "--nats-image", image, cwd=project) as command:
        assert "name one that is here with --nats-image" in await command.says(
            f"the image {image} is not here"
        )
        assert await command.ends() == 1


async def test_a_container_that_is_not_nats_is_removed_and_its_last_words_are_shown(
    project: Path, engine: docker.DockerClient
):
    image = engine.images.get(IMAGE)
    image.tag("streams-test", "broken")
    broken = engine.containers.create("streams-test:broken", entrypoint=["/nats-server", "--version"])
    broken.commit("streams-test", "broken")
    broken.remove()
    async with running(
        "dev", "functions", *CONTAINER, "--nats-image", "streams-test:broken", cwd=project
    ) as dev:
        await dev.says("NATS in a container of streams-test:broken does not answer at")
        await dev.says("nats-server: v2")

        assert await dev.ends() == 1
    assert left_by(engine, project) == []


@pytest.mark.timeout(300)
def test_the_store_keeps_its_contract_on_nats_in_a_container():
    suite = ["-q", "-p", "no:cacheprovider", "-k", "jetstream", "tests/store/contract"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *suite],
        cwd=REPOSITORY,
        env={**os.environ, "STREAMS_TEST_NATS": "container"},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def data_of(project: Path) -> Path:
    return (project / ".streams/nats").resolve()


def volumes_of(project: Path) -> set[str]:
    from streams.dev.nats_container import NatsContainer

    return {NatsContainer(data_of(project), IMAGE).name}


def runs_here(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "nats-server"
    except OSError:
        return False
