"""Items of a model: which are stored, as which JSON text, and what is read from it later."""

from __future__ import annotations

import dataclasses
import json
import math
from datetime import UTC, datetime

import pytest
from pydantic import BaseModel, ConfigDict, Field

from streams.errors import ItemDoesNotFit
from tests.core.items_encoded import ADDRESS, Anything, decode, encode, refusal
from tests.core.todos import Todo


class Aliased(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    id: str
    due_date: datetime | None = Field(None, alias="dueDate")


class WithoutId(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str


class Measure(BaseModel):
    value: float


class SpelledOut(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="constants")

    value: float


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


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


@pytest.mark.parametrize("item", [None, 7, "milk", [], ..., Point(1)], ids=repr)
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


@pytest.mark.parametrize("given", [{"text": "x"}, {"id": "42", "text": "x"}])
def test_a_mapping_without_an_id_has_that_of_its_key(given):
    value, item = encode(given, Todo)

    assert (item.id, json.loads(value)["id"]) == ("42", "42")


def test_a_stored_item_without_an_id_is_read_with_that_of_its_key():
    assert decode(b'{"text":"x"}', Todo) == Todo(id=ADDRESS.id, text="x")


def test_what_else_is_wrong_with_an_item_without_an_id_is_said():
    refused = refusal({"done": "perhaps"}, Todo)

    assert "id" not in refused.fields
    assert "text" in refused.fields
