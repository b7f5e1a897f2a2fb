"""Items that are plain JSON objects, with a JSON Schema or without."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from streams.errors import DefinitionRefused
from streams.items import codec_for
from tests.core.items_encoded import ADDRESS, decode, encode, refusal
from tests.core.todos import Todo

SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
    "required": ["text"],
}


def test_a_dict_is_stored_as_its_json_text():
    value, stored = encode({"text": "Milk", "n": [1, 2.5, None, True]})

    assert value == b'{"text":"Milk","n":[1,2.5,null,true]}'
    assert stored == {"id": "42", "text": "Milk", "n": [1, 2.5, None, True]}


def test_a_dict_is_read_with_the_id_of_its_key():
    assert decode(b'{"text":"x"}') == {"id": "42", "text": "x"}
    assert decode(b'{"text":"x","id":"42"}') == {"id": "42", "text": "x"}


def test_a_dict_that_is_changed_afterwards_does_not_change_what_was_stored():
    item = {"tags": ["a"]}

    _, stored = encode(item)
    item["tags"].append("b")

    assert stored["tags"] == ["a"]


def test_dates_and_uuids_in_a_dict_become_text():
    value, stored = encode({"at": datetime(2026, 1, 2, tzinfo=UTC), "key": UUID(int=7)})

    assert stored == {
        "id": "42",
        "at": "2026-01-02T00:00:00+00:00",
        "key": "00000000-0000-0000-0000-000000000007",
    }
    assert decode(value) == stored


@pytest.mark.parametrize("item", [None, 7, "milk", [], [("a", 1)], ..., Todo(id="42", text="x")], ids=repr)
def test_what_is_no_mapping_is_refused_in_a_dict_stream(item):
    assert f"an item is a JSON object, not a {type(item).__name__}" in str(refusal(item))


@pytest.mark.parametrize(
    "content",
    [..., {1, 2}, b"bytes", Decimal("1.5"), 2**64, "\ud83d", {7: "a key that is no string"}],
    ids=repr,
)
def test_what_json_does_not_have_is_refused_in_a_dict(content):
    assert "it cannot become JSON" in str(refusal({"a": content}))


def test_a_dict_that_refers_to_itself_is_refused():
    item: dict[str, Any] = {}
    item["me"] = item

    refusal(item)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_does_not_have_is_refused_in_a_dict(number):
    assert "it cannot become JSON" in str(refusal({"a": number}))
    assert "it cannot become JSON" in str(refusal({"nothing": None, "a": [{"b": (1, number)}]}))


# JSON Schema.


def test_an_item_that_fits_its_schema_is_stored():
    value, stored = encode({"text": "Milk", "tags": ["a"]}, schema=SCHEMA)

    assert value == b'{"text":"Milk","tags":["a"]}'
    assert stored == {"id": "42", "text": "Milk", "tags": ["a"]}


def test_an_item_that_does_not_fit_its_schema_hears_every_field_that_is_wrong():
    refused = refusal({"text": 7, "tags": ["a", 8]}, schema=SCHEMA)

    assert refused.fields == ("text", "tags.1")
    assert "text: 7 is not of type 'string'; tags.1: 8 is not of type 'string'" in str(refused)


def test_a_missing_field_is_named():
    assert "'text' is a required property" in str(refusal({}, schema=SCHEMA))


def test_the_schema_of_a_model_works_as_a_schema():
    schema = Todo.model_json_schema()

    assert encode({"id": "42", "text": "Milk"}, schema=schema)[1] == {"id": "42", "text": "Milk"}
    refusal({"id": "42"}, schema=schema)


def test_an_old_item_that_no_longer_fits_its_schema_is_read_all_the_same():
    assert codec_for(dict, SCHEMA).decode(ADDRESS, b'{"text":7}') == {"id": "42", "text": 7}


def test_a_schema_that_is_none_is_refused():
    with pytest.raises(DefinitionRefused, match=r"^`schema` is not a JSON Schema: 'strin' is not valid"):
        codec_for(dict, {"type": "strin"})


def test_a_schema_beside_a_model_is_refused():
    with pytest.raises(DefinitionRefused, match="a model has a schema of its own"):
        codec_for(Todo, SCHEMA)
