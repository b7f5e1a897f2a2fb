"""Which items may be stored, as which JSON text, and what is read from it later."""

from __future__ import annotations

import dataclasses
import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pytest
from pydantic import BaseModel, ConfigDict, Field

from streams.errors import DefinitionRefused, ItemDoesNotFit, ItemRefused
from streams.items import MAX_DEPTH, codec_for
from streams.keys import Address

ADDRESS = Address("todo", "inbox", "42")


class Todo(BaseModel):
    id: str
    text: str
    done: bool = False


class Aliased(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    id: str
    due_date: datetime | None = Field(None, alias="dueDate")


class WithoutId(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


class Measure(BaseModel):
    value: float


class SpelledOut(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="constants")

    value: float


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
    "required": ["text"],
}


def encode(item: Any, model: Any = dict, schema: Any = None) -> tuple[bytes, Any]:
    return codec_for(model, schema).encode(ADDRESS, item)


def decode(value: bytes, model: Any = dict) -> Any:
    return codec_for(model, None).decode(ADDRESS, value)


def refusal(item: Any, model: Any = dict, schema: Any = None) -> ItemRefused:
    with pytest.raises(ItemRefused) as refused:
        encode(item, model, schema)
    assert str(refused.value).startswith("todo/inbox/42 was not written: ")
    assert refused.value.address == ADDRESS
    return refused.value


def nested(levels: int) -> dict[str, Any]:
    """An item with that many levels, objects and arrays in turn."""
    value: Any = {} if levels % 2 else []
    for level in range(levels - 1, 0, -1):
        value = {"a": value} if level % 2 else [value]
    return value


# Models.


def test_a_model_is_stored_as_its_json_text():
    value, stored = encode(Todo(id="42", text="Milk"), Todo)

    assert value == b'{"id":"42","text":"Milk","done":false}'
    assert stored == Todo(id="42", text="Milk")
    assert decode(value, Todo) == stored


def test_a_mapping_is_taken_where_it_fits_the_model():
    value, stored = encode({"id": "42", "text": "Milk"}, Todo)

    assert stored == Todo(id="42", text="Milk", done=False)
    assert json.loads(value) == {"id": "42", "text": "Milk", "done": False}


def test_aliases_are_what_is_stored_and_what_is_read():
    due = datetime(2026, 1, 2, tzinfo=UTC)

    value, stored = encode(Aliased(id="42", due_date=due), Aliased)

    assert json.loads(value) == {"id": "42", "dueDate": "2026-01-02T00:00:00Z"}
    assert stored.due_date == decode(value, Aliased).due_date == due


def test_a_mapping_may_use_aliases_or_names_as_the_model_says():
    assert encode({"id": "42", "dueDate": None}, Aliased) == encode({"id": "42", "due_date": None}, Aliased)


def test_a_dataclass_is_a_model_too():
    assert encode(Point(1), Point) == encode({"x": 1}, Point) == (b'{"x":1,"y":0}', Point(1))


def test_a_model_needs_no_id():
    assert encode(WithoutId(text="x"), WithoutId) == (b'{"text":"x"}', WithoutId(text="x"))


def test_an_item_that_does_not_fit_hears_every_field_that_is_wrong():
    refused = refusal({"id": "42", "text": 7, "done": "perhaps"}, Todo)

    assert refused.fields == ("text", "done")
    assert "text: Input should be a valid string; done: Input should be a valid boolean" in str(refused)


def test_an_error_deep_in_an_item_names_the_way_to_it():
    class Board(BaseModel):
        todos: list[Todo]

    refused = refusal({"todos": [{"id": "1", "text": "x"}, {"id": "2"}]}, Board)

    assert refused.fields == ("todos.1.text",)


def test_an_instance_that_was_changed_until_it_no_longer_fits_is_refused():
    todo = Todo(id="42", text="Milk")
    todo.text = None  # type: ignore[assignment]  # that is the point

    assert refusal(todo, Todo).fields == ("text",)


def test_an_instance_that_was_made_without_checks_is_refused():
    assert refusal(Todo.model_construct(id="42"), Todo).fields == ("text",)


@pytest.mark.parametrize("item", [None, 7, "milk", [], object(), Point(1)], ids=repr)
def test_something_else_than_the_model_is_refused(item):
    refusal(item, Todo)


def test_an_instance_of_another_model_is_refused():
    refusal(WithoutId(text="x"), Todo)


def test_what_a_model_holds_must_become_json():
    refusal(Anything(lock=object()), Anything)
    refusal(Anything(text="\ud83d"), Anything)


def test_a_model_that_refers_to_itself_is_refused():
    item = Anything()
    item.me = item  # type: ignore[attr-defined]  # extra fields are allowed

    refusal(item, Anything)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("model", [Measure, SpelledOut])
def test_a_number_that_json_does_not_have_is_refused_in_a_model(model, number):
    refusal(model(value=number), model)


def test_a_model_whose_json_is_no_object_is_refused():
    assert "an item is a JSON object" in str(refusal([1], list))
    assert "an item is a JSON object" in str(refusal(7, int))


def test_an_old_item_that_no_longer_fits_says_which_fields_and_what_to_do():
    with pytest.raises(ItemDoesNotFit) as error:
        decode(b'{"id":"42","done":3}', Todo)

    assert error.value.address == ADDRESS
    assert error.value.fields == ("text", "done")
    assert str(error.value).startswith(
        "todo/inbox/42 is stored in a form that its model no longer accepts: text: Field required; done: "
    )
    assert str(error.value).endswith("; give new fields a default, or write the item again")


def test_an_old_item_without_a_field_that_has_a_default_still_fits():
    assert decode(b'{"id":"42","text":"Milk"}', Todo) == Todo(id="42", text="Milk", done=False)


# Plain JSON objects.


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


@pytest.mark.parametrize(
    "item", [None, 7, "milk", [], [("a", 1)], object(), Todo(id="42", text="x")], ids=repr
)
def test_what_is_no_mapping_is_refused_in_a_dict_stream(item):
    assert f"an item is a JSON object, not a {type(item).__name__}" in str(refusal(item))


@pytest.mark.parametrize(
    "content",
    [object(), {1, 2}, b"bytes", Decimal("1.5"), 2**64, "\ud83d", {7: "a key that is no string"}],
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


@pytest.mark.parametrize("model", [None, "Todo", Todo(id="1", text="x"), 7, list[int]], ids=repr)
def test_what_items_cannot_be_is_refused_where_it_is_declared(model):
    with pytest.raises(DefinitionRefused, match=r"^the items of a stream are a pydantic model or `dict`"):
        codec_for(model, None)


# The rules that hold for every item.


@pytest.mark.parametrize("model", [dict, Anything])
@pytest.mark.parametrize("found", ["43", "", 42, None])
def test_an_id_that_differs_from_the_key_is_refused(model, found):
    refused = refusal({"id": found, "text": "x"}, model)

    assert f"its id is {found!r}, and its key says '42'" in str(refused)
    assert refused.fields == ("id",)


@pytest.mark.parametrize("model", [dict, Anything])
def test_an_id_further_down_is_the_items_own_business(model):
    value, _ = encode({"parent": {"id": "43"}}, model)

    assert value == b'{"parent":{"id":"43"}}'


@pytest.mark.parametrize("model", [dict, Anything])
def test_an_item_may_be_nested_as_deep_as_the_limit(model):
    value, _ = encode(nested(MAX_DEPTH), model)

    assert orjson.loads(value) == nested(64)


@pytest.mark.parametrize("model", [dict, Anything])
@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 130, 200])
def test_an_item_that_is_nested_deeper_is_refused(model, levels):
    assert "it is nested deeper than 64 levels" in str(refusal(nested(levels), model))


@pytest.mark.parametrize("model", [dict, Anything])
@pytest.mark.parametrize(
    "item",
    [
        {"rows": [[] for _ in range(500)]},
        {"text": "[{" * 500},
        {"text": '"' + "[" * 100},
        {"text": "\\" + '"' + "[" * 100},
        {"text": "\\", "more": "[" * 100},
        {'key"' + "{" * 100: 1},
    ],
    ids=lambda item: repr(item)[:20],
)
def test_brackets_side_by_side_or_in_texts_are_not_depth(model, item):
    value, _ = encode(item, model)

    assert orjson.loads(value) == item


def test_how_long_an_item_may_be_is_the_stores_business():
    value, _ = encode({"text": "x" * 2_000_000})

    assert len(value) > 2_000_000
