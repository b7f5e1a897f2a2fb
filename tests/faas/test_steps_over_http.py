"""Handlers as routes: what they are given, and what their errors become."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, Request
from pydantic import BaseModel

from streams import (
    Contention,
    Context,
    DiscoveryFailed,
    HttpError,
    OutcomeUnknown,
    PreconditionFailed,
    StepConfig,
    StoreUnavailable,
    Stream,
    StreamSetResult,
    http,
)
from streams.discovery import Application
from streams.faas.asgi import functions_app
from streams.keys import Address
from streams.memory import MemoryStore
from streams.step import Step


class Note(BaseModel):
    text: str


note = Stream("note", Note)

ADDRESS = Address("note", "g", "a")
Client = AbstractAsyncContextManager[httpx.AsyncClient]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(["note"])


@pytest.fixture
def serving(store: MemoryStore) -> Callable[..., Client]:
    """Serves one handler at POST /notes/{id}."""

    @asynccontextmanager
    async def serve(handler: Callable[..., Any]) -> AsyncIterator[httpx.AsyncClient]:
        app = functions_app(application(handler), store)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            yield client

    return serve


def application(*handlers: Callable[..., Any]) -> Application:
    steps = tuple(
        Step(StepConfig(f"Step{n}", [http("POST", "/notes/{id}")]), handler, Path(f"step{n}_step.py"))
        for n, handler in enumerate(handlers)
    )
    return Application(Path(), (note,), steps)


async def count() -> int:
    return len(await note.get_group("g"))


async def later() -> None:
    await note.set("g", "later", Note(text="background"))


class NotAModel:
    """Nothing that FastAPI could make JSON of."""


async def test_a_handler_gets_body_path_query_and_context_in_any_order(serving: Callable[..., Client]):
    async def handler(context: Context, id: str, body: Note, loud: bool = False) -> StreamSetResult[Note]:
        text = body.text.upper() if loud else body.text
        return await context.streams.note.set("g", id, Note(text=text))

    async with serving(handler) as client:
        answer = await client.post("/notes/a?loud=true", json={"text": "hello"})

    assert answer.json() == {
        "new_value": {"text": "HELLO"},
        "old_value": None,
        "revision": 1,
        "address": {"stream": "note", "group": "g", "id": "a"},
    }


async def test_a_context_may_have_a_default_for_calls_by_hand(serving: Callable[..., Client]):
    async def handler(id: str, context: Context | None = None) -> str:
        return "by hand" if context is None else context.step

    async with serving(handler) as client:
        over_http = (await client.post("/notes/a")).json()

    assert (over_http, await handler("a")) == ("Step0", "by hand")


async def test_imported_streams_dependencies_and_background_tasks_talk_to_the_store(
    serving: Callable[..., Client], store: MemoryStore
):
    async def handler(id: str, before: Annotated[int, Depends(count)], tasks: BackgroundTasks) -> int:
        await note.set("g", id, Note(text="now"))
        tasks.add_task(later)
        return before

    async with serving(handler) as client:
        assert (await client.post("/notes/a")).json() == 0
        assert (await client.post("/notes/a")).json() == 2

    assert [item.id for item in await store.get_group("note", "g")] == ["a", "later"]


async def test_a_plain_function_is_a_handler_too(serving: Callable[..., Client]):
    def handler(id: str, context: Context) -> str:
        return f"{id} in {context.step}"

    async with serving(handler) as client:
        assert (await client.post("/notes/a")).json() == "a in Step0"


async def test_the_trace_of_a_request_goes_on_in_the_context(serving: Callable[..., Client]):
    async def handler(id: str, context: Context) -> str:
        return context.trace_id

    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with serving(handler) as client:
        known = await client.post("/notes/a", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
        unknown = await client.post("/notes/a", headers={"traceparent": "nonsense"})

    assert known.json() == trace
    assert len(unknown.json()) == 32


async def test_a_handler_answers_with_a_status_and_a_body_of_its_own(serving: Callable[..., Client]):
    async def handler(id: str) -> Note:
        raise HttpError(418, {"error": "I am a teapot", "id": id})

    async with serving(handler) as client:
        answer = await client.post("/notes/a")

    assert (answer.status_code, answer.json()) == (418, {"error": "I am a teapot", "id": "a"})


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (Contention(ADDRESS, 30), 409, "note/g/a was changed by other writers 30 times in a row"),
        (
            PreconditionFailed(ADDRESS, "is there already; nothing was written"),
            412,
            "note/g/a is there already; nothing was written",
        ),
        (StoreUnavailable("NATS at nats://10.0.0.7:4222 is away"), 503, "nothing was written, try again"),
        (OutcomeUnknown(ADDRESS), 503, "the answer to a write of note/g/a was lost"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_trouble_with_the_store_has_a_status_and_a_sentence(
    serving: Callable[..., Client], error: Exception, status: int, sentence: str
):
    async def handler(id: str) -> Note:
        raise error

    async with serving(handler) as client:
        answer = await client.post("/notes/a")

    assert answer.status_code == status
    assert sentence in answer.json()["error"]
    assert "nats://" not in answer.text, "where our NATS is, is nobody's business"
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_a_name_or_an_item_that_cannot_be_is_the_callers_mistake(serving: Callable[..., Client]):
    async def handler(id: str, request: Request) -> StreamSetResult[Note]:
        return await note.set("g", id, await request.json())

    async with serving(handler) as client:
        long_name = await client.post(f"/notes/{'x' * 257}", json={"text": "hello"})
        bad_item = await client.post("/notes/a", json={"text": 3})

    assert (long_name.status_code, bad_item.status_code) == (422, 422)
    assert "257 bytes long; 256 is the limit" in long_name.json()["error"]
    assert "note/g/a was not written: text:" in bad_item.json()["error"]


async def test_what_is_our_own_mistake_is_not_shown(serving: Callable[..., Client], store: MemoryStore):
    await store.write(ADDRESS, lambda _: b'{"words":"secret"}')

    async def handler(id: str) -> Note | None:
        return await note.get("g", id)

    async with serving(handler) as client:
        answer = await client.post("/notes/a")

    assert (answer.status_code, answer.json()) == (
        500,
        {"error": "Internal Server Error", "code": "INTERNAL_ERROR"},
    )


async def test_a_replaced_item_that_no_longer_fits_does_not_fail_the_write(
    serving: Callable[..., Client], store: MemoryStore
):
    await store.write(ADDRESS, lambda _: b'{"words":"old"}')

    async def handler(id: str) -> StreamSetResult[Note]:
        return await note.set("g", id, Note(text="new"))

    async with serving(handler) as client:
        answer = await client.post("/notes/a")

    assert (answer.status_code, answer.json()["old_value"]) == (200, None)


def test_every_step_that_cannot_be_a_route_is_named(store: MemoryStore):
    async def undefined(id: Missing) -> None: ...  # noqa: F821

    async def twisted(id: str) -> NotAModel: ...

    with pytest.raises(DiscoveryFailed) as failed:
        functions_app(application(undefined, twisted), store)

    assert [problem.path.name for problem in failed.value.problems] == ["step0_step.py", "step1_step.py"]
    assert "Missing" in str(failed.value)
    assert all(problem.line > 1 for problem in failed.value.problems)


@pytest.mark.parametrize("path", ["/streams", "/streams/todo", "/streams/{id}"])
def test_a_step_cannot_take_the_place_where_items_are_served(store: MemoryStore, path: str):
    async def handler() -> None: ...

    step = Step(StepConfig("Mine", [http("GET", path)]), handler, Path("mine_step.py"))

    with pytest.raises(DiscoveryFailed, match=r"step 'Mine': /streams\S* is taken"):
        functions_app(Application(Path(), (note,), (step,)), store)
