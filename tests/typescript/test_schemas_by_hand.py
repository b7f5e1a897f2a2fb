"""Streams of dicts, and the JSON Schemas that they may have."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from streams import DefinitionRefused, Stream
from tests.typescript.written import declared, fields, written


def type_of(schema: dict[str, Any]) -> str:
    """What becomes of the schema of one field."""
    text = written(Stream("thing", dict, schema={"type": "object", "properties": {"it": schema}}))
    (field,) = [line for line in fields(text, "Thing") if "it?: " in line]
    return field.removeprefix("it?: ").removesuffix(";")


def test_an_item_of_a_stream_of_dicts_is_any_object_with_an_id():
    assert fields(written(Stream("any", dict)), "Streams") == [
        "any: {",
        "  item: Record<string, unknown> & { id: string };",
        "  input: Record<string, unknown>;",
        "  events: Record<string, unknown>;",
        "};",
    ]


def test_a_schema_is_a_type_with_the_name_of_its_stream_or_its_title():
    schema = {
        "type": "object",
        "required": ["id", "text"],
        "properties": {
            "id": {"type": "string"},
            "text": {"type": "string", "description": "What to do."},
            "done": {"type": "boolean", "default": False},
        },
    }

    titled = {**schema, "title": "A note"}

    text = written(Stream("to_do", dict, schema=schema), Stream("note", dict, schema=titled))

    assert fields(text, "ToDo") == [
        "id: string;",
        "/** What to do. */",
        "text: string;",
        "/** @default false */",
        "done?: boolean;",
    ]
    assert fields(text, "ANote") == fields(text, "ToDo")
    assert "  item: ToDo;" in fields(text, "Streams")
    assert "  input: ToDo;" in fields(text, "Streams")


def test_a_schema_that_requires_no_id_has_one_beside_it():
    schema = {"type": "object", "properties": {"id": {"type": "string"}}}

    text = written(Stream("vote", dict, schema=schema))

    assert "  item: Vote & { id: string };" in fields(text, "Streams")


@pytest.mark.parametrize(
    ("schema", "typescript"),
    [
        ({}, "unknown"),
        ({"type": "integer"}, "number"),
        ({"type": ["string", "null"]}, "string | null"),
        ({"const": "a"}, '"a"'),
        ({"enum": ["a", 1, None]}, '"a" | 1 | null'),
        ({"enum": [["a"], "b"]}, "unknown"),
        ({"anyOf": [{"type": "string"}, {"type": "string"}]}, "string"),
        ({"anyOf": [{"type": "string"}, {}]}, "unknown"),
        ({"anyOf": [{"type": "string"}, False]}, "string"),
        ({"oneOf": [{"type": "string"}, True]}, "unknown"),
        ({"allOf": [{"required": ["a"]}, {"type": "string"}]}, "string"),
        ({"type": "array"}, "unknown[]"),
        ({"items": {"enum": [1, 2]}}, "(1 | 2)[]"),
        ({"prefixItems": [{"type": "string"}], "items": False, "minItems": 1}, "[string]"),
        ({"prefixItems": [{"type": "string"}], "minItems": 1}, "[string, ...unknown[]]"),
        ({"prefixItems": [{"type": "string"}], "items": {"type": "number"}}, "[string?, ...number[]]"),
        ({"type": "object"}, "Record<string, unknown>"),
        ({"type": "object", "additionalProperties": False}, "Record<string, never>"),
        ({"additionalProperties": {"type": "number"}}, "{ [key: string]: number }"),
        ({"not": {"type": "string"}}, "unknown"),
    ],
)
def test_whatever_a_schema_says_its_type_allows_no_less(schema: dict[str, Any], typescript: str):
    assert type_of(schema) == typescript


def test_all_of_several_is_each_of_them_at_once():
    schema = {
        "allOf": [
            {"properties": {"a": {"type": "string"}}},
            {"anyOf": [{"properties": {"b": {"type": "string"}}}, {"type": "null"}]},
        ]
    }

    text = written(Stream("thing", dict, schema=schema))

    assert declared(text, "Thing") == "{\n  a?: string;\n} & ({\n  b?: string;\n} | null)"


@pytest.mark.parametrize("kind", ["$defs", "definitions"])
def test_definitions_of_a_schema_are_types_named_after_it(kind: str):
    schema = {
        "type": "object",
        "properties": {"head": {"$ref": f"#/{kind}/node"}, "again": {"$ref": "#"}},
        kind: {"node": {"type": "object", "properties": {"next": {"$ref": f"#/{kind}/node"}}}},
    }

    text = written(Stream("list", dict, schema=schema))

    assert fields(text, "List") == ["head?: ListNode;", "again?: List;"]
    assert fields(text, "ListNode") == ["next?: ListNode;"]


def test_a_definition_may_be_called_as_pydantic_calls_one_of_a_pair():
    output = {"type": "string"}
    schema = {"type": "object", "properties": {"it": {"$ref": "#/$defs/Output"}}, "$defs": {"Output": output}}

    text = written(Stream("thing", dict, schema=schema))

    assert fields(text, "Thing") == ["it?: ThingOutput;"]
    assert declared(text, "ThingOutput") == "string"


def test_a_schema_and_a_model_of_one_name_are_two_types():
    class Note(BaseModel):
        id: str

    schema = {"title": "Note", "type": "object", "properties": {"text": {"type": "string"}}}

    text = written(Stream("one", Note), Stream("two", dict, schema=schema))

    assert fields(text, "Note") == ["id: string;"]
    assert fields(text, "NoteTwo") == ["text?: string;"]


def test_values_in_a_schema_are_not_taken_for_references():
    schema = {"type": "object", "properties": {"it": {"type": "object", "default": {"$ref": "x"}}}}

    assert '/** @default {"$ref": "x"} */' in fields(written(Stream("thing", dict, schema=schema)), "Thing")


def test_a_schema_that_refers_to_something_elsewhere_is_refused_with_what_to_do():
    schema = {"type": "object", "properties": {"it": {"$ref": "other.json"}}}

    with pytest.raises(DefinitionRefused) as refused:
        written(Stream("thing", dict, schema=schema))

    sentence = "stream 'thing': its schema refers to 'other.json', which is not in it; write what that is"
    assert str(refused.value).startswith(sentence)
