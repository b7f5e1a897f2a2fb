"""Any name on its whole way through a URL, and back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.conftest import Backend
from tests.core.names import ODD_NAMES, names
from tests.resources.conftest import Api, at, serving_resources

odd_or_any = st.sampled_from(ODD_NAMES) | names

all_examples = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
"""They share one server: each leaves nothing behind."""


@pytest_asyncio.fixture
async def api(jetstream: Backend) -> AsyncIterator[Api]:
    async with serving_resources(jetstream) as api:
        yield api


@given(group=odd_or_any, item_id=odd_or_any)
@example("..", ".")
@example("a/b", "c/d/..")
@example("a?group=b", "#?id=x")
@all_examples
async def test_every_name_is_a_path_segment(api: Api, group: str, item_id: str):
    item = {"id": item_id, "text": group}
    try:
        put = await api.put(at(group, item_id), item)

        assert put.json()["address"] == {"stream": "todo", "group": group, "id": item_id}
        assert (await api.get(at(group))).json() == [{**item, "done": False}]
        assert (await api.get(at(group, item_id))).json()["text"] == group
        assert (await api.get("/streams/todo")).json()["groups"] == [group]
    finally:
        await api.delete(at(group, item_id))


@given(group=odd_or_any, item_id=odd_or_any)
@example("..", ".")
@example("events", "events")
@all_examples
async def test_every_name_can_stand_in_the_query_for_libraries_that_tidy_paths_up(
    api: Api, group: str, item_id: str
):
    place = {"group": group, "id": item_id}
    try:
        put = await api.client.put("/streams/todo", params=place, json={"id": item_id, "text": "x"})

        assert put.json()["address"] == {"stream": "todo", **place}
        assert (await api.client.get("/streams/todo", params={"group": group})).json()[0]["id"] == item_id
        assert (await api.client.get("/streams/todo", params=place)).json()["text"] == "x"
        deleted = await api.client.delete("/streams/todo", params=place)
        assert deleted.json()["old_value"] is not None
    finally:
        await api.delete(at(group, item_id))


async def test_a_group_in_the_path_goes_with_an_id_in_the_query(api: Api):
    put = await api.client.put("/streams/todo/in%2Fbox", params={"id": ".."}, json={"text": "x", "id": ".."})

    assert put.json()["address"] == {"stream": "todo", "group": "in/box", "id": ".."}


async def test_an_event_goes_to_a_group_in_the_query(api: Api):
    async def sent(target: str, **query: str) -> httpx.Response:
        return await api.client.post(target, params=query, json={"type": "ping"})

    assert (await sent("/streams/todo/events", group="..")).status_code == 202
    assert (await sent("/streams/todo/events/events")).status_code == 202


async def test_the_query_does_not_change_what_the_path_says(api: Api):
    await api.put(at("inbox", "1"), {"id": "1", "text": "x"})

    answer = await api.get(f"{at('inbox', '1')}?group=other&id=2")

    assert answer.json()["id"] == "1"


async def test_a_plus_is_a_plus_in_a_path_and_a_space_in_a_query(api: Api):
    path = await api.put("/streams/todo/a+b/1+1", {"id": "1+1", "text": "x"})
    query = await api.ask("PUT", "/streams/todo?group=a+b&id=1+1", json={"id": "1 1", "text": "x"})

    assert (path.json()["address"]["group"], path.json()["address"]["id"]) == ("a+b", "1+1")
    assert (query.json()["address"]["group"], query.json()["address"]["id"]) == ("a b", "1 1")


async def test_a_query_of_any_length_is_read(api: Api):
    answer = await api.get(f"/streams/todo?{'x=1&' * 200}group=inbox")

    assert (answer.status_code, answer.json()) == (200, [])


async def test_a_name_in_the_query_that_is_no_unicode_is_refused(api: Api):
    answer = await api.ask("GET", "/streams/todo?group=%FF")

    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_NAME")
