"""Any name on its whole way: a request, a step, the store, the feed, and the frame on a socket."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from streams import StepConfig, Stream, StreamDeleteResult, StreamSetResult, http
from streams.discovery import Application
from streams.faas.asgi import functions_app
from streams.gateway.server import listening
from streams.step import Step
from tests.browser import Browser, Tab
from tests.conftest import Backend
from tests.core.names import ODD_NAMES, names
from tests.everybody import open_hub

todo = Stream("todo", dict)

odd_or_any = st.sampled_from(ODD_NAMES) | names
# Starlette's `path` ends where a line does, however the request writes it; its `str` ends at a slash.
for_paths = odd_or_any.filter(lambda name: "\n" not in name)

all_examples = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
"""They share one gateway: the group of each is empty again at its end."""


class Place(BaseModel):
    group: str
    id: str


class Group(BaseModel):
    group: str


async def put_item(place: Place) -> StreamSetResult[dict[str, Any]]:
    return await todo.set(place.group, place.id, {"by": "body"})


async def put_item_by_path(id: str, place: Group) -> StreamSetResult[dict[str, Any]]:
    return await todo.set(place.group, id, {"by": "path"})


async def delete_item(place: Place) -> StreamDeleteResult[dict[str, Any]]:
    return await todo.delete(place.group, place.id)


STEPS = {
    "/items": put_item,
    "/items/{id:path}": put_item_by_path,
    "/deleted": delete_item,
}


@dataclass
class Site:
    """One port with steps and sockets."""

    http: httpx.AsyncClient
    browser: Browser

    async def post(self, path: str, **body: str) -> dict[str, Any]:
        answer = await self.http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result


@pytest_asyncio.fixture
async def site(jetstream: Backend, opened: AsyncExitStack) -> AsyncIterator[Site]:
    steps = tuple(
        Step(StepConfig(handler.__name__, [http("POST", path)]), handler, Path("names_step.py"))
        for path, handler in STEPS.items()
    )
    app = functions_app(Application(Path(), (todo,), steps), jetstream.store)
    sock = socket.create_server(("127.0.0.1", 0))
    # As uvloop does for every socket. asyncio leaves it out, and each answer would wait 40 ms.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    address = f"127.0.0.1:{sock.getsockname()[1]}"
    async with (
        open_hub(jetstream.feed) as hub,
        listening(hub, sock, app),
        httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as client,
    ):
        yield Site(client, Browser(f"ws://{address}/", opened))


def encoded(name: str) -> str:
    """Every byte as %XX: nothing on the way may take a part of it for its own."""
    return "".join(f"%{byte:02X}" for byte in name.encode())


async def shown(tab: Tab, group: str) -> tuple[str, str]:
    """What happened to which item, by the next frame. Its two ids are the same."""
    frame = await tab.next()
    assert (frame["streamName"], frame["groupId"]) == ("todo", group)
    assert frame["id"] == frame["event"]["data"]["id"]
    return frame["event"]["type"], frame["id"]


@all_examples
@given(group=odd_or_any, item_id=odd_or_any)
@example(group="a/b", item_id="../c")
@example(group="*", item_id=">")
@example(group="é", item_id="e\N{COMBINING ACUTE ACCENT}")
@example(group="a\nb\n", item_id="a\nb\n")
async def test_a_name_in_a_body_is_the_name_in_the_frame(site: Site, group: str, item_id: str):
    of_group = await site.browser.join("todo", group)
    of_item = await site.browser.join("todo", group, item_id)
    try:
        result = await site.post("/items", group=group, id=item_id)
    finally:
        await site.post("/deleted", group=group, id=item_id)

    assert result["address"] == {"stream": "todo", "group": group, "id": item_id}
    assert result["new_value"] == {"id": item_id, "by": "body"}
    for tab in (of_group, of_item):
        assert await shown(tab, group) == ("create", item_id)
        assert await shown(tab, group) == ("delete", item_id)
        await tab.close()


@all_examples
@given(group=odd_or_any, item_id=for_paths)
@example(group="a/b", item_id="a/b/")
@example(group="*", item_id="..")
@example(group="e\N{COMBINING ACUTE ACCENT}", item_id="é")
async def test_a_name_in_a_path_is_the_name_in_the_frame(site: Site, group: str, item_id: str):
    tab = await site.browser.join("todo", group)
    try:
        result = await site.post(f"/items/{encoded(item_id)}", group=group)
    finally:
        await site.post("/deleted", group=group, id=item_id)

    assert result["address"] == {"stream": "todo", "group": group, "id": item_id}
    assert await shown(tab, group) == ("create", item_id)
    assert await shown(tab, group) == ("delete", item_id)
    await tab.close()
