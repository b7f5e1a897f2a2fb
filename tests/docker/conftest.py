"""The images of this repository, built once for all tests that need one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import docker
import pytest

from tests.dev.commands import REPOSITORY
from tests.docker.base_images import BaseImages, NoBaseImages, make_base_images
from tests.docker.containers import Place

BUILD_SECONDS = 600
OFFICIAL = BaseImages("python:3.13-slim-bookworm", "nats:2.12-alpine", "haproxy:3.2-alpine")


@dataclass(frozen=True, slots=True)
class Images:
    """Names of images that were built from this checkout, and of those that they are built on."""

    base: BaseImages
    functions: str
    gateway: str
    serve: str


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env(timeout=BUILD_SECONDS)
    yield client
    client.close()


@pytest.fixture(scope="session")
def base_images(docker_engine: docker.DockerClient) -> BaseImages:
    """The official images; in an engine of our own, which pulls none, what stands for them."""
    if "STREAMS_TEST_BASE_IMAGES" not in os.environ:
        return OFFICIAL
    try:
        return make_base_images(docker_engine)
    except NoBaseImages as error:
        pytest.fail(str(error))


@pytest.fixture(scope="session")
def images(docker_engine: docker.DockerClient, base_images: BaseImages) -> Images:
    def built(name: str, target: str | None = None) -> str:
        file, tag = f"infra/{name}/Dockerfile", f"streams-test/{target or name}:latest"
        docker_engine.images.build(
            path=str(REPOSITORY),
            dockerfile=file,
            target=target,
            tag=tag,
            buildargs={"PYTHON_IMAGE": base_images.python, "NATS_IMAGE": base_images.nats, "VERSION": "0"},
            # Packages come the way that they come to this machine.
            network_mode="host",
            rm=True,
            forcerm=True,
        )
        return tag

    return Images(base_images, built("functions"), built("gateway"), built("functions", "serve"))


@pytest.fixture
def place(docker_engine: docker.DockerClient) -> Iterator[Place]:
    place = Place(docker_engine)
    yield place
    place.remove()
