"""What is known of a step: what it takes, and what it answers."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import pytest
from fastapi import Body, Depends, File, Form, Header, Query, Request, Response
from pydantic import BaseModel

from streams import Context, DiscoveryFailed, StepConfig, Stream, StreamSetResult, http
from streams.discovery import Application
from streams.step import HttpTrigger, Step
from streams.typescript.document import types_of
from tests.typescript.written import fields


class Note(BaseModel):
    id: str
    text: str
    done: bool = False


class NewNote(BaseModel):
    text: str
    due: datetime | None = None


class Paging(BaseModel):
    last: int = 10


class Filters(BaseModel):
    tag: str
    last: int = 10


def file_of(*steps: Step, streams: tuple[Stream[Any], ...] = ()) -> str:
    return types_of(Application(Path("functions"), streams, steps))


def step(
    handler: Callable[..., Any],
    trigger: HttpTrigger | None = None,
    *more: HttpTrigger,
    name: str = "Do",
    description: str | None = None,
) -> Step:
    triggers = [trigger or http("POST", "/do"), *more]
    return Step(StepConfig(name, triggers, description=description), handler, Path(__file__))


def known_of(handler: Callable[..., Any], trigger: HttpTrigger | None = None) -> list[str]:
    """What stands of the step below its name, but for method and path."""
    lines = fields(file_of(step(handler, trigger)), "Steps")
    assert (lines[0], lines[-1]) == ("Do: {", "};")
    return [line.removeprefix("  ") for line in lines[3:-1]]


def test_a_step_takes_its_body_and_answers_what_its_handler_returns():
    async def handler(body: NewNote, context: Context) -> StreamSetResult[Note]: ...

    text = file_of(step(handler, http("POST", "/notes"), name="CreateNote"))

    assert fields(text, "Steps") == [
        "CreateNote: {",
        '  method: "POST";',
        '  path: "/notes";',
        "  body: NewNote;",
        "  response: StreamSetResultNote;",
        "};",
    ]
    assert fields(text, "NewNote") == [
        "text: string;",
        "/** @format date-time */",
        "due?: string | null;",
    ]


def test_a_model_is_one_type_in_streams_and_steps():
    async def handler(body: Note) -> list[Note]: ...

    text = file_of(step(handler), streams=(Stream("note", Note),))

    assert text.count("export type Note ") == text.count("export type NoteInput ") == 1
    assert "  body: NoteInput;" in fields(text, "Steps")
    assert "  response: Note[];" in fields(text, "Steps")


def test_what_is_not_declared_is_not_known():
    async def nothing(): ...
    async def request(request: Request): ...
    async def response(body: dict[str, Any]) -> Response: ...
    async def untyped(body: Annotated[Any, Body()]): ...
    async def stream() -> AsyncIterator[Note]:
        yield Note(id="1", text="")

    assert known_of(nothing) == ["body: undefined;", "response: unknown;"]
    assert known_of(request) == ["body: unknown;", "response: unknown;"]
    assert known_of(response) == ["body: Record<string, unknown>;", "response: unknown;"]
    assert known_of(untyped) == ["body: unknown;", "response: unknown;"]
    assert known_of(stream) == ["body: undefined;", "response: unknown;"]


def test_a_step_that_returns_nothing_answers_null():
    async def handler() -> None: ...

    assert known_of(handler) == ["body: undefined;", "response: null;"]


def test_a_body_that_may_be_left_out_may_be_undefined():
    async def handler(body: NewNote | None = None) -> None: ...

    assert known_of(handler)[0] == "body: NewNote | null | undefined;"


def test_several_parts_of_a_body_are_one_object():
    async def handler(note: NewNote, tags: list[str]) -> None: ...

    text = file_of(step(handler))

    assert "  body: BodyDoDoPost;" in fields(text, "Steps")
    assert fields(text, "BodyDoDoPost") == ["note: NewNote;", "tags: string[];"]


def test_a_form_is_no_json(monkeypatch: pytest.MonkeyPatch):
    # FastAPI asks whether it is there; nothing is read with it here.
    parser = ModuleType("python_multipart")
    parser.__dict__["__version__"] = "0.0.20"
    monkeypatch.setitem(sys.modules, "python_multipart", parser)

    async def form(text: Annotated[str, Form()]) -> None: ...
    async def file(data: Annotated[bytes, File()]) -> None: ...

    assert known_of(form)[0] == known_of(file)[0] == "body: unknown;"


def test_what_stands_in_the_path_is_named_with_its_type():
    async def handler(room: str, number: int) -> None: ...

    assert known_of(handler, http("GET", "/rooms/{room}/{number}")) == [
        "params: {",
        "  room: string;",
        "  number: number;",
        "};",
        "body: undefined;",
        "response: null;",
    ]


def test_a_path_says_where_a_value_goes_and_nothing_else():
    async def handler(name: str) -> None: ...

    colon = fields(file_of(step(handler, http("GET", "/files/:name"))), "Steps")
    rest = fields(file_of(step(handler, http("GET", "/files/{name:path}"))), "Steps")

    assert colon == rest
    assert '  path: "/files/{name}";' in rest


def test_what_stands_in_the_query_may_be_left_out_where_it_has_a_default():
    async def handler(
        tag: str,
        last: Annotated[int, Query(description="How many.")] = 10,
        before: str | None = None,
        at: Annotated[datetime | None, Query(alias="created-at")] = None,
        tags: Annotated[list[str], Query()] = [],  # noqa: B006  # FastAPI copies it
    ) -> None: ...

    assert known_of(handler, http("GET", "/notes"))[:-2] == [
        "query: {",
        "  tag: string;",
        "  /**",
        "   * How many.",
        "   * @default 10",
        "   */",
        "  last?: number;",
        "  before?: string;",
        "  /** @format date-time */",
        '  "created-at"?: string;',
        "  /** @default [] */",
        "  tags?: string[];",
        "};",
    ]


def test_a_query_of_which_nothing_is_needed_may_be_left_out_itself():
    async def handler(last: int = 10) -> None: ...

    assert known_of(handler, http("GET", "/notes"))[0] == "query?: {"


def test_a_query_can_be_a_model():
    async def handler(filters: Annotated[Filters, Query()]) -> None: ...

    text = file_of(step(handler, http("GET", "/notes")))

    assert "  query: Filters;" in fields(text, "Steps")
    assert fields(text, "Filters") == ["tag: string;", "/** @default 10 */", "last?: number;"]


def traced(tenant: str, x_trace: Annotated[str, Header()]) -> str:
    return f"{tenant} {x_trace}"


def test_a_query_that_is_a_model_may_be_left_out_where_nothing_of_it_is_needed():
    async def handler(page: Annotated[Paging, Query()]) -> None: ...

    assert known_of(handler, http("GET", "/notes"))[0] == "query?: Paging;"


def test_what_dependencies_take_is_taken_once():
    async def handler(tenant: str, trace: Annotated[str, Depends(traced)]) -> None: ...

    assert known_of(handler, http("GET", "/notes"))[:-2] == [
        "query: {",
        "  tenant: string;",
        "};",
        "headers: {",
        '  "x-trace": string;',
        "};",
    ]


def test_a_step_with_several_triggers_has_one_member_for_each():
    async def handler() -> None: ...

    text = file_of(step(handler, http("GET", "/a"), http("PUT", "/a"), name="Both"))

    names = [line for line in fields(text, "Steps") if line.endswith("{")]
    assert names == ['"Both GET /a": {', '"Both PUT /a": {']


def test_what_is_said_of_a_step_is_said_in_its_comment():
    async def handler() -> None: ...

    text = file_of(step(handler, description="Does it."))

    assert fields(text, "Steps")[:2] == ["/** Does it. */", "Do: {"]


def test_where_the_steps_are_is_there_at_run_time_too():
    async def handler(id: str) -> None: ...
    async def other() -> None: ...

    text = file_of(step(handler, http("PATCH", "/note/{id}"), name="Update note"), step(other, name="Other"))

    assert text.endswith(
        "export const steps = {\n"
        '  Other: { method: "POST", path: "/do" },\n'
        '  "Update note": { method: "PATCH", path: "/note/{id}" },\n'
        "} as const;\n"
    )


def test_without_steps_there_are_none():
    text = types_of(Application(Path("functions"), (Stream("note", Note),), ()))

    assert "export type Steps = Record<string, never>;\n" in text
    assert text.endswith("export const steps = {} as const;\n")


class Handle:
    """What pydantic knows nothing of."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.is_instance_schema(cls)


def test_a_step_that_answers_what_cannot_be_described_is_named_with_its_file():
    async def handler() -> Handle: ...

    with pytest.raises(DiscoveryFailed) as failed:
        file_of(step(handler))

    (problem,) = failed.value.problems
    assert problem.path == Path(__file__)
    assert problem.line == handler.__code__.co_firstlineno
    assert problem.message.startswith("the answer of step 'Do' cannot be described: ")
