"""What types, streams and fields are called."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, Field, create_model

from streams import Stream
from streams.typescript.naming import TypeNames, type_name
from tests.typescript.written import declared, fields, fields_of, written


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Todo", "Todo"),
        ("Todo-Output", "Todo"),
        ("Todo-Input", "TodoInput"),
        ("Page_Todo_", "PageTodo"),
        ("Page_Todo_-Output", "PageTodo"),
        ("functions__chat__message_stream__Message", "FunctionsChatMessageStreamMessage"),
        ("todo", "Todo"),
        ("2nd", "Type2nd"),
        ("?", "Type"),
    ],
)
def test_a_type_is_called_what_pydantic_calls_it_as_far_as_typescript_can(text: str, name: str):
    assert type_name(text) == name


def test_of_two_that_would_be_called_the_same_the_one_that_is_called_so_keeps_the_name():
    names = TypeNames(["Todo-Input", "Todo-Output", "TodoInput", "Page_Todo_", "PageTodo", "todo"])

    assert dict(names) == {
        "PageTodo": "PageTodo",
        "TodoInput": "TodoInput",
        "Page_Todo_": "PageTodo2",
        "Todo-Input": "TodoInput2",
        "Todo-Output": "Todo",
        "todo": "Todo2",
    }


def test_names_do_not_depend_on_the_order_in_which_things_are_found():
    found = ["b__Todo", "a__Todo", "A_Todo", "ATodo", "atodo"]

    assert dict(TypeNames(found)) == dict(TypeNames(reversed(found)))
    assert len({name.lower() for name in TypeNames(found).values()}) == len(found)


@pytest.mark.parametrize("name", ["Streams", "Steps", "Record", "Pick", "Required"])
def test_no_model_takes_a_name_that_the_file_needs_itself(name: str):
    model = create_model(name, id=(str, ...))

    text = written(Stream("thing", model))

    assert declared(text, f"{name}2") == "{\n  id: string;\n}"
    assert f"  item: {name}2;" in fields(text, "Streams")


def test_models_of_one_name_in_two_files_are_two_types():
    def in_file(module: str, field: str) -> type[BaseModel]:
        return create_model("Note", __module__=module, id=(str, ...), **{field: (str, ...)})

    text = written(Stream("one", in_file("app.one", "first")), Stream("two", in_file("app.two", "second")))

    assert fields(text, "AppOneNote") == ["id: string;", "first: string;"]
    assert fields(text, "AppTwoNote") == ["id: string;", "second: string;"]


def test_streams_stand_under_their_names_in_the_order_of_the_alphabet():
    text = written(Stream("todo-list", dict), Stream("notes", dict), Stream("Zoo", dict))

    streams = [line for line in fields(text, "Streams") if line.endswith("{")]
    assert streams == ["Zoo: {", "notes: {", '"todo-list": {']


def test_fields_and_values_may_be_called_anything():
    class Thing(BaseModel):
        id: str
        dashed: str = Field(alias="a-b")
        quoted: Literal['say "hi"', "a\\b", "line\nfeed", "\u2028"]
        umlaut: str = Field(alias="größe")
        reserved: str = Field(alias="class")

    assert fields_of(Thing) == [
        "id: string;",
        '"a-b": string;',
        'quoted: "say \\"hi\\"" | "a\\\\b" | "line\\nfeed" | "\\u2028";',
        '"größe": string;',
        "class: string;",
    ]


def test_the_same_application_makes_the_same_file_in_whatever_order_it_is_found():
    class Note(BaseModel):
        id: str
        text: str = ""

    streams = [Stream("a", Note), Stream("b", dict), Stream("c", Note)]

    text = written(*streams)

    assert written(*reversed(streams)) == text
    assert text.startswith("// made by `streams types`; do not edit\n\n")
    assert text.endswith(" as const;\n")
