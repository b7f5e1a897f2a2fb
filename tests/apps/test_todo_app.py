"""The todo application without a server: its routes over HTTP, and its handlers as plain functions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from functions.todo import create_todo_step, delete_todo_step, list_todos_step, update_todo_step
from functions.todo.todo_stream import Todo, todo
from streams import HttpError, StreamSetResult, bound_to, context_for
from streams.discovery import discover
from streams.faas.asgi import functions_app
from streams.memory import MemoryStore

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = functions_app(discover(FUNCTIONS), MemoryStore(["todo"]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://todos") as client:
        yield client


async def add(http: httpx.AsyncClient, description: str) -> dict[str, Any]:
    answer = await http.post("/todo", json={"description": description})
    assert answer.status_code == 200
    item: dict[str, Any] = answer.json()["new_value"]
    return item


async def inbox(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await http.get("/todos")
    assert answer.status_code == 200
    items: list[dict[str, Any]] = answer.json()
    return items


class TestOverHttp:
    async def test_an_inbox_begins_empty(self, http: httpx.AsyncClient) -> None:
        assert await inbox(http) == []

    async def test_what_is_posted_is_answered_with_its_address_and_no_old_value(
        self, http: httpx.AsyncClient
    ) -> None:
        answer = await http.post("/todo", json={"description": "  Call mum "})

        result = answer.json()
        assert answer.status_code == 200
        assert result["new_value"]["description"] == "Call mum"
        assert result["new_value"]["completed_at"] is None
        assert result["old_value"] is None
        assert result["address"] == {"stream": "todo", "group": "inbox", "id": result["new_value"]["id"]}

    async def test_todos_are_listed_in_the_order_of_their_creation(self, http: httpx.AsyncClient) -> None:
        first, second = await add(http, "Call mum"), await add(http, "Buy milk")
        await http.patch(f"/todo/{first['id']}", json={"description": "Call dad"})

        assert [item["id"] for item in await inbox(http)] == [first["id"], second["id"]]

    @pytest.mark.parametrize("body", [{}, {"description": ""}, {"description": " \t\n"}])
    async def test_a_todo_without_a_text_is_refused_in_the_words_of_the_step(
        self, http: httpx.AsyncClient, body: dict[str, Any]
    ) -> None:
        answer = await http.post("/todo", json=body)

        assert answer.status_code == 400
        assert answer.json() == {"error": "Description is required"}
        assert await inbox(http) == []

    async def test_a_text_cannot_be_taken_away(self, http: httpx.AsyncClient) -> None:
        item = await add(http, "Call mum")

        answer = await http.patch(f"/todo/{item['id']}", json={"description": " "})

        assert (answer.status_code, answer.json()) == (400, {"error": "Description is required"})
        assert await inbox(http) == [item]

    async def test_a_change_leaves_what_it_does_not_name(self, http: httpx.AsyncClient) -> None:
        answer = await http.post(
            "/todo", json={"description": "Call mum", "due_date": "2030-05-12T10:00:00Z"}
        )
        item = answer.json()["new_value"]

        answer = await http.patch(f"/todo/{item['id']}", json={"description": "Call dad"})

        assert answer.status_code == 200
        assert answer.json()["old_value"] == item
        assert await inbox(http) == [{**item, "description": "Call dad"}]

    async def test_done_is_a_time_that_stays_when_it_is_said_again(self, http: httpx.AsyncClient) -> None:
        item = await add(http, "Call mum")

        once = await http.patch(f"/todo/{item['id']}", json={"done": True})
        twice = await http.patch(f"/todo/{item['id']}", json={"done": True})

        completed_at = once.json()["new_value"]["completed_at"]
        assert completed_at is not None
        assert twice.json()["new_value"]["completed_at"] == completed_at

    async def test_what_is_done_can_be_opened_again(self, http: httpx.AsyncClient) -> None:
        item = await add(http, "Call mum")
        await http.patch(f"/todo/{item['id']}", json={"done": True})

        await http.patch(f"/todo/{item['id']}", json={"done": False})

        assert await inbox(http) == [item]

    async def test_a_delete_answers_with_what_went(self, http: httpx.AsyncClient) -> None:
        item = await add(http, "Call mum")

        answer = await http.delete(f"/todo/{item['id']}")

        assert (answer.status_code, answer.json()["old_value"]) == (200, item)
        assert await inbox(http) == []

    async def test_what_is_not_there_can_neither_be_changed_nor_deleted(
        self, http: httpx.AsyncClient
    ) -> None:
        changed = await http.patch("/todo/nobody", json={"done": True})
        deleted = await http.delete("/todo/nobody")

        assert (changed.status_code, changed.json()) == (404, {"error": "There is no todo 'nobody'"})
        assert (deleted.status_code, deleted.json()) == (404, {"error": "There is no todo 'nobody'"})
        assert await inbox(http) == []

    async def test_a_body_of_the_wrong_shape_is_refused(self, http: httpx.AsyncClient) -> None:
        assert (await http.post("/todo", json={"description": 7})).status_code == 422
        assert (await http.post("/todo", json=["Call mum"])).status_code == 422

    async def test_the_api_document_names_every_step(self, http: httpx.AsyncClient) -> None:
        document = (await http.get("/openapi.json")).json()

        operations = {
            (method.upper(), path): operation["operationId"].partition("_")[0]
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }
        assert operations == {
            ("POST", "/todo"): "CreateTodo",
            ("PATCH", "/todo/{id}"): "UpdateTodo",
            ("DELETE", "/todo/{id}"): "DeleteTodo",
            ("GET", "/todos"): "ListTodos",
        }


class TestCalledByHand:
    """A handler is a function: no server, no client, no application around it."""

    async def create(self, description: str) -> StreamSetResult[Todo]:
        return await create_todo_step.handler(
            create_todo_step.NewTodo(description=description), context_for(todo)
        )

    async def test_create_stores_the_item_that_it_returns(self) -> None:
        with bound_to(MemoryStore()):
            result = await self.create("Call mum")

            assert await todo.get("inbox", result.new_value.id) == result.new_value

    async def test_create_raises_what_is_answered(self) -> None:
        with bound_to(MemoryStore()):
            with pytest.raises(HttpError) as refused:
                await self.create(" ")

            assert (refused.value.status, refused.value.body) == (400, {"error": "Description is required"})
            assert await list_todos_step.handler() == []

    async def test_update_returns_both_values(self) -> None:
        with bound_to(MemoryStore()):
            created = (await self.create("Call mum")).new_value

            result = await update_todo_step.handler(created.id, update_todo_step.TodoChange(done=True))

            assert result.old_value == created
            assert result.new_value.completed_at is not None

    async def test_delete_leaves_nothing(self) -> None:
        with bound_to(MemoryStore()):
            created = (await self.create("Call mum")).new_value

            result = await delete_todo_step.handler(created.id)

            assert result.old_value == created
            assert await list_todos_step.handler() == []
