"""`streams serve` in a container with one volume: what was answered is there, whatever ended it."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from docker.models.containers import Container

from tests.browser import SECONDS, Browser
from tests.dev.commands import REPOSITORY, free_port, running
from tests.docker.conftest import Images
from tests.docker.containers import Place, is_healthy, stopped

# The first test that needs them waits for the images to be built.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


def serving(place: Place, images: Images, volume: str, port: int) -> Container:
    return place.run(
        images.serve,
        port=(3000, port),
        volumes={volume: {"bind": "/data"}},
        tmpfs={"/tmp": ""},
    )


async def posted(port: int, description: str) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS) as http:
        assert (await http.post("/todo", json={"description": description})).status_code == 200


async def todos(port: int) -> list[str]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS) as http:
        return [todo["description"] for todo in (await http.get("/todos")).json()]


async def test_it_serves_everything_on_one_port_and_ends_in_order(place: Place, images: Images, opened):
    port = free_port()
    container = serving(place, images, place.volume(), port)
    await is_healthy(container)
    tab = await Browser(f"ws://127.0.0.1:{port}/", opened).join("todo", "inbox")

    await posted(port, "call mum")

    assert (await tab.next_event())["data"]["description"] == "call mum"
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        assert "text/html" in (await http.get("/", follow_redirects=True)).headers["content-type"]
    code, seconds = await stopped(container)
    assert (code, seconds < 10) == (0, True), container.logs().decode()
    assert (await tab.closed())[0] == 1012


@pytest.mark.parametrize("how", ["kill", "restart"])
async def test_what_was_answered_is_there_after(place: Place, images: Images, how: str):
    port = free_port()
    container = serving(place, images, place.volume(), port)
    await is_healthy(container)
    url = f"ws://127.0.0.1:{port}/"
    async with running("watch", "todo", "inbox", "--json", "--url", url, cwd=REPOSITORY) as watcher:
        await watcher.says('"type":"sync"')
        await posted(port, "before")
        await watcher.says("before")

        if how == "kill":
            await asyncio.to_thread(container.kill, "SIGKILL")
            await asyncio.to_thread(container.start)
        else:
            await asyncio.to_thread(container.restart)
        await is_healthy(container)

        assert await todos(port) == ["before"]
        await posted(port, "after")
        # It came back by itself, and what it knew was still so.
        await watcher.says("after")


async def test_another_container_takes_over_the_volume(place: Place, images: Images):
    port, volume = free_port(), place.volume()
    first = serving(place, images, volume, port)
    await is_healthy(first)
    await posted(port, "before")
    await asyncio.to_thread(first.remove, force=True)

    second = serving(place, images, volume, port)
    await is_healthy(second)

    assert await todos(port) == ["before"]
