"""The images of the functions and of the gateway: what is in them, what they may do, how they end."""

from __future__ import annotations

import json
import re
from typing import Any

import docker
import httpx
import pytest

from tests.browser import SECONDS, Browser
from tests.dev.commands import REPOSITORY, free_port
from tests.docker.conftest import Images
from tests.docker.containers import Place, has_ended, is_healthy, stopped

# The first test that needs them waits for the images to be built.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

NAMES = ("functions", "gateway", "serve")
NATS = {"STREAMS_NATS_URL": "nats://nats:4222"}

LOOK_AROUND = """
import json, os
skipped = ("/proc", "/sys", "/dev")
files, writable = [], []
for folder, folders, names in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in skipped]
    files += [os.path.join(folder, name) for name in names]
    writable += [path for path in [folder, *(os.path.join(folder, name) for name in names)]
                 if os.access(path, os.W_OK) and not os.path.islink(path)]
print(json.dumps({"files": files, "writable": writable, "user": os.getuid(), "group": os.getgid()}))
"""


def inside(engine: docker.DockerClient, image: str) -> dict[str, Any]:
    """What a process sees that runs in a container of this image, and could write to it."""
    said = engine.containers.run(
        image, ["-c", LOOK_AROUND], entrypoint=["python"], remove=True, network_disabled=True
    )
    seen: dict[str, Any] = json.loads(said)
    return seen


@pytest.mark.parametrize("name", NAMES)
def test_an_image_holds_what_it_needs_and_nothing_else(
    docker_engine: docker.DockerClient, images: Images, name: str
):
    files = inside(docker_engine, getattr(images, name))["files"]
    ours = [path for path in files if path.startswith(("/opt/", "/app/", "/build/", "/root"))]

    sources = [path for path in ours if "/streams/" in path and path.endswith(".py")]
    assert any(path.endswith("/site-packages/streams/cli/commands.py") for path in sources)
    assert any(path == "/app/functions/todo/todo_stream.py" for path in ours)
    assert any("/app/functions/todo/__pycache__/todo_stream.cpython" in path for path in ours)
    assert any("/site-packages/streams/cli/__pycache__/commands.cpython" in path for path in ours)
    for unwanted in ("/pip/", "/.cache/", "/tests/conftest", "/.git/", "/build/", "hatchling"):
        assert [path for path in ours if unwanted in path] == []
    compilers = {"cc", "gcc", "g++", "clang", "make", "ld", "as"}
    assert [path for path in files if "/bin/" in path and path.rpartition("/")[2] in compilers] == []


@pytest.mark.parametrize("name", NAMES)
def test_an_image_runs_as_nobody_who_could_change_it(
    docker_engine: docker.DockerClient, images: Images, name: str
):
    seen = inside(docker_engine, getattr(images, name))

    user, group = docker_engine.images.get(getattr(images, name)).attrs["Config"]["User"].split(":")
    assert (seen["user"], seen["group"]) == (int(user), int(group))
    assert int(user) > 0
    # Of the base image, and the volume of `serve`.
    assert {path for path in seen["writable"] if path not in ("/tmp", "/var/tmp", "/run/lock")} <= {"/data"}


@pytest.mark.parametrize("name", NAMES)
def test_an_image_says_what_it_is(docker_engine: docker.DockerClient, images: Images, name: str):
    config = docker_engine.images.get(getattr(images, name)).attrs["Config"]

    assert config["Labels"]["org.opencontainers.image.title"] == f"streams-{name}"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert config["StopSignal"] == "SIGTERM"


def test_all_images_are_built_of_the_same():
    files = [(REPOSITORY / f"infra/{name}/Dockerfile").read_text() for name in ("functions", "gateway")]

    functions, gateway = (re.search(r"(?s)^FROM \S+ AS build\n.*?\n\n", text, re.M) for text in files)

    assert functions is not None
    assert gateway is not None
    # Also, the second one to be built finds all of it done.
    assert functions[0] == gateway[0]


async def test_a_todo_posted_to_the_functions_shows_on_a_socket_of_the_gateway(
    place: Place, images: Images, opened
):
    http_port, ws_port = free_port(), free_port()
    place.nats(images.base.nats)
    assert await provisioned(place, images) == 0
    functions = place.run(images.functions, environment=NATS, port=(8080, http_port))
    gateway = place.run(images.gateway, environment=NATS, port=(3112, ws_port))
    await is_healthy(functions)
    await is_healthy(gateway)
    tab = await Browser(f"ws://127.0.0.1:{ws_port}/", opened).join("todo", "inbox")

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}") as http:
        assert (await http.get("/readyz")).status_code == 200
        answer = await http.post("/todo", json={"description": "call mum"}, timeout=SECONDS)

    assert answer.status_code == 200
    assert (await tab.next_event())["data"]["description"] == "call mum"

    # In order: the socket is told to come back, and both have ended before they are killed.
    for container in (gateway, functions):
        code, seconds = await stopped(container)
        assert (code, seconds < 10) == (0, True), container.logs().decode()
    assert (await tab.closed())[0] == 1012


@pytest.mark.parametrize("name", ["functions", "gateway"])
async def test_an_image_without_nats_ends_and_says_why(place: Place, images: Images, name: str):
    container = place.run(getattr(images, name), environment={"STREAMS_NATS_URL": "nats://127.0.0.1:1"})

    assert await has_ended(container) == 1
    assert b"does not answer" in container.logs()


async def test_functions_listen_where_the_platform_says(place: Place, images: Images):
    port = free_port()
    place.nats(images.base.nats)
    assert await provisioned(place, images) == 0
    container = place.run(images.functions, environment={**NATS, "PORT": "9000"}, port=(9000, port))

    await is_healthy(container)

    async with httpx.AsyncClient() as http:
        assert (await http.get(f"http://127.0.0.1:{port}/todos")).json() == []


async def test_metrics_of_a_gateway_are_read_from_another_container(place: Place, images: Images):
    place.nats(images.base.nats)
    assert await provisioned(place, images) == 0
    gateway = place.run(images.gateway, name="gateway", environment=NATS)
    await is_healthy(gateway)

    read = "import urllib.request as r; print(r.urlopen('http://gateway:9090/metrics').read().decode())"
    other = place.run(images.gateway, "-c", read, entrypoint=["python"])

    assert await has_ended(other) == 0
    assert b"streams_gateway_connections 0" in other.logs()


async def provisioned(place: Place, images: Images) -> int:
    """Make the buckets, as soon as NATS answers."""
    return await has_ended(place.run(images.functions, "provision", "functions", environment=NATS))
