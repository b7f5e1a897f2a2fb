"""Any operations on any item: splitting them changes nothing, and nothing is shared or half done."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streams import ops
from streams.errors import OpRefused
from streams.updates import MISSING, apply

# Few keys, so that operations meet at the same places.
keys = st.sampled_from(["a", "b", "a.b", "ñ"])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=3),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(keys, values, max_size=4)
paths = st.one_of(keys, st.lists(keys, max_size=3), st.just(""))
amounts = st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1)
operations = st.one_of(
    st.builds(ops.set, paths, values),
    st.builds(ops.merge, paths, objects),
    st.builds(ops.increment, paths, amounts),
    st.builds(ops.decrement, paths, amounts),
    st.builds(ops.append, paths, values),
    st.builds(ops.remove, paths),
)
items = st.one_of(objects, objects, st.just(MISSING), values)
sequences = st.lists(operations, max_size=6)


def exact(value: Any) -> str:
    """The value as text that tells 1 from 1.0 and true, and one order of keys from another."""
    return "missing" if value is MISSING else json.dumps(value)


def failing_at(item: Any, given_ops: list[ops.Op]) -> int | None:
    """The index of the first operation that is refused."""
    try:
        apply(item, given_ops)
    except OpRefused as refused:
        return refused.index
    return None


def that_work(item: Any, given_ops: list[ops.Op]) -> list[ops.Op]:
    """The operations without those that are refused."""
    working = list(given_ops)
    while (index := failing_at(item, working)) is not None:
        del working[index]
    return working


def scribble(value: Any) -> None:
    """Change every object and every array in a value."""
    match value:
        case dict():
            for inner in value.values():
                scribble(inner)
            value["scribbled"] = True
        case list():
            for inner in value:
                scribble(inner)
            value.append("scribbled")


@given(item=items, given_ops=sequences, data=st.data())
def test_two_calls_give_what_one_call_gives(item: Any, given_ops: list[ops.Op], data: st.DataObject):
    working = that_work(item, given_ops)
    cut = data.draw(st.integers(0, len(working)))

    in_one = apply(item, working)
    in_two = apply(apply(item, working[:cut]), working[cut:])

    assert exact(in_two) == exact(in_one)


@given(item=items, given_ops=sequences)
def test_a_refused_call_changes_nothing_and_names_the_first_that_fails(item: Any, given_ops: list[ops.Op]):
    index = failing_at(item, given_ops)
    assume(index is not None)
    item_before, ops_before = copy.deepcopy(item), copy.deepcopy(given_ops)

    with pytest.raises(OpRefused) as refused:
        apply(item, given_ops)

    assert exact(item) == exact(item_before)
    assert given_ops == ops_before
    assert failing_at(item, given_ops[:index]) is None
    assert failing_at(item, given_ops[: index + 1]) == refused.value.index == index


@given(item=items, given_ops=sequences)
def test_a_call_changes_neither_its_item_nor_its_operations(item: Any, given_ops: list[ops.Op]):
    working = that_work(item, given_ops)
    item_before, ops_before = exact(item), repr(working)

    first = exact(apply(item, working))

    assert (exact(item), repr(working)) == (item_before, ops_before)
    assert exact(apply(item, working)) == first


@given(item=items, given_ops=sequences)
def test_changing_the_result_changes_neither_the_item_nor_the_operations(item: Any, given_ops: list[ops.Op]):
    working = that_work(item, given_ops)
    item_before, ops_before = exact(item), repr(working)

    scribble(apply(item, working))

    assert (exact(item), repr(working)) == (item_before, ops_before)


@given(value=values)
def test_a_value_written_to_two_places_is_two_values(value: Any):
    before = exact(value)
    put = {"type": "set", "value": value}

    result = apply({}, ops.parse([put | {"path": "a"}, put | {"path": "b"}]))
    scribble(result["a"])

    assert exact(result["b"]) == before


@given(given_ops=sequences)
def test_operations_that_were_parsed_are_parsed_to_themselves(given_ops: list[ops.Op]):
    assert ops.parse(given_ops) == given_ops
