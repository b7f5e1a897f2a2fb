"""Who may have an event stream, and what a page of another origin is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import orjson
import pytest
import pytest_asyncio

from streams.memory import MemoryStore
from tests.conftest import gateway_on
from tests.gateway.members import ANN, Site
from tests.gateway.members import site as site
from tests.gateway.sources import Door, Source


@pytest_asyncio.fixture
async def door(opened: AsyncExitStack) -> AsyncIterator[Door]:
    async with gateway_on(MemoryStore(["todo"])) as gateway:
        yield Door(gateway.url, opened)


async def test_a_stream_with_a_token_is_its_users(site: Site, opened: AsyncExitStack):
    browser = await site.gateway()
    door = Door(browser.url, opened)

    response = await door.get("/streams/todo/inbox", Authorization=f"Bearer {ANN}")
    source = Source(response)
    hello = (await source.next()).data

    assert hello["sub"] == "ann"


async def test_a_bad_token_is_refused(door: Door):
    response = await door.get("/streams/todo/inbox", Authorization="Bearer nonsense")

    assert response.status_code == 401
    assert orjson.loads(await response.aread())["code"] == "TOKEN_REFUSED"


async def test_a_room_that_there_is_not_is_refused_in_the_room(door: Door):
    source = await door.open("/streams/nothing/inbox")

    assert (await source.next()).data["event"]["code"] == "STREAM_NOT_FOUND"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://localhost:5173"}, 200),
        ({"Origin": "https://evil.example.com"}, 403),
        ({"Host": "evil.example.com"}, 400),
    ],
    ids=["this machine", "another site", "a name that points here"],
)
async def test_pages_of_this_machine_alone_may_where_no_others_are_named(
    door: Door, headers: dict[str, str], status: int
):
    response = await door.get("/streams/todo/inbox", **headers)

    assert response.status_code == status
    if status == 200:
        assert response.headers["access-control-allow-origin"] == headers["Origin"]


async def test_browsers_that_ask_first_are_told_what_a_page_may_send(door: Door):
    async with httpx.AsyncClient(trust_env=False) as http:
        asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
        ours = await http.options(
            door.url + "/streams/todo/inbox", headers={**asked, "Origin": "http://localhost:1"}
        )
        others = await http.options(
            door.url + "/streams/todo/inbox", headers={**asked, "Origin": "https://evil.example.com"}
        )

    assert (ours.status_code, ours.headers["access-control-allow-origin"]) == (204, "http://localhost:1")
    assert others.status_code == 404
