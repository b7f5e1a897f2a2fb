"""What holds for every item: its id, how deep it may be nested, and what it may be declared as."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from streams.errors import DefinitionRefused
from streams.items import MAX_DEPTH, codec_for
from tests.core.items_encoded import Anything, encode, refusal
from tests.core.todos import Todo


def nested(levels: int) -> dict[str, Any]:
    """An item with that many levels, objects and arrays in turn."""
    value: Any = {} if levels % 2 else []
    for level in range(levels - 1, 0, -1):
        value = {"a": value} if level % 2 else [value]
    return value


@pytest.mark.parametrize("model", [None, "Todo", Todo(id="1", text="x"), 7, list[int]], ids=repr)
def test_what_items_cannot_be_is_refused_where_it_is_declared(model):
    with pytest.raises(DefinitionRefused, match=r"^the items of a stream are a pydantic model or `dict`"):
        codec_for(model, None)


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
