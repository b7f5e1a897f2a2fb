"""What streams there are, events, and the document that describes it all."""

from __future__ import annotations

from tests.browser import Browser
from tests.conftest import Backend, gateway_on
from tests.resources.conftest import Api, Todo, at

EVENTS = at("inbox", "events")


async def test_the_streams_are_listed_with_what_their_items_may_be(api: Api):
    answer = await api.get("/streams")

    assert answer.json() == [{"name": "todo", "schema": Todo.model_json_schema(), "ttl": None}]


async def test_a_stream_says_which_groups_hold_items(api: Api):
    for group in ("inbox", "a/b", "empty"):
        await api.put(at(group, "1"), {"id": "1", "text": "x"})
    await api.delete(at("empty", "1"))

    answer = await api.get("/streams/todo")

    assert answer.json()["groups"] == ["a/b", "inbox"]
    assert answer.json()["name"] == "todo"


async def test_an_event_is_heard_by_who_watches_the_group_and_kept_nowhere(
    api: Api, backend: Backend, opened
):
    async with gateway_on(backend.feed) as gateway:
        tab = await Browser(gateway.url, opened).join("todo", "inbox")

        answer = await api.post(EVENTS, {"type": "typing", "data": {"who": "ann"}})

        assert (answer.status_code, answer.content) == (202, b"")
        assert await tab.next_event() == {
            "type": "event",
            "event": {"type": "typing", "data": {"who": "ann"}},
        }
        assert (await api.get(at("inbox"))).json() == []


async def test_an_event_about_an_item_reaches_who_watches_that_item(api: Api, backend: Backend, opened):
    async with gateway_on(backend.feed) as gateway:
        tab = await Browser(gateway.url, opened).join("todo", "inbox", "1")

        await api.post(EVENTS, {"type": "typing", "data": 1, "id": "2"})
        await api.post(EVENTS, {"type": "typing", "data": 2, "id": "1"})

        assert await tab.next_event() == {"type": "event", "event": {"type": "typing", "data": 2}}


async def test_an_item_may_be_called_events(api: Api):
    put = await api.put(at("inbox", "events"), {"id": "events", "text": "x"})

    assert put.status_code == 201
    assert (await api.get(at("inbox", "events"))).json()["text"] == "x"


async def test_the_document_describes_every_route_and_the_shape_of_errors(api: Api):
    document = (await api.get("/streams/openapi.json")).json()

    routes = {path: sorted(operations) for path, operations in document["paths"].items()}
    assert routes == {
        "/streams": ["get"],
        "/streams/{stream}": ["get"],
        "/streams/{stream}/{group}": ["get"],
        "/streams/{stream}/{group}/{id}": ["delete", "get", "patch", "put"],
        "/streams/{stream}/{group}/events": ["post"],
    }
    put = document["paths"]["/streams/{stream}/{group}/{id}"]["put"]
    assert put["responses"]["412"]["content"]["application/json"]["schema"]["required"] == ["error", "code"]
    assert put["requestBody"]["content"]["application/json"]["schema"] == {"type": "object"}
    assert {each["name"] for each in put["parameters"]} == {
        "stream", "group", "id", "ttl", "If-Match", "If-None-Match"
    }  # fmt: skip
