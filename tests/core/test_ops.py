"""Update operations do what the corpus says, which clients in other languages share."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from streams import ops
from streams.errors import OpRefused
from streams.updates import MISSING, apply

CORPUS = json.loads((Path(__file__).parents[1] / "wire/v1/ops.json").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = CORPUS["cases"]

KINDS = ("set", "merge", "increment", "decrement", "append", "remove")
WITH_VALUE = ("set", "merge", "append")
RULES = {f"U{number}" for number in range(1, 34)} | {"limits", "deviation"}
CODES = {
    "op.invalid",
    "ops.too_many",
    "merge.value.not_an_object",
    "merge.value.too_many_keys",
    "append.type_mismatch",
    "increment.not_number",
    "decrement.not_number",
    *(f"{kind}.target_not_object" for kind in KINDS if kind != "merge"),
    *(f"{kind}.value.{problem}" for kind in WITH_VALUE for problem in ("proto_polluted", "too_deep")),
    *(
        f"{kind}.path.{problem}"
        for kind in KINDS
        for problem in ("too_deep", "segment_too_long", "empty_segment", "proto_polluted")
    ),
}


def named(cases: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in cases]


def exact(value: Any) -> str:
    """The value as text that tells 1 from 1.0 and true, and one order of keys from another."""
    return "missing" if value is MISSING else json.dumps(value, ensure_ascii=False)


def item_of(case: dict[str, Any]) -> Any:
    return copy.deepcopy(case["item"]) if "item" in case else MISSING


def constructed(op: dict[str, Any]) -> ops.Op:
    """The same operation by the function of its name, as an application writes it."""
    constructor: Callable[..., ops.Op] = getattr(ops, op["type"])
    if op["type"] in WITH_VALUE:
        return constructor(op.get("path", ""), op.get("value"))
    return constructor(op.get("path", ""), **({"by": op["by"]} if "by" in op else {}))


def outcome(given: list[Any]) -> list[ops.Op] | tuple[int, str]:
    """The operations that are parsed, or the place and the code of the one that is refused."""
    try:
        return ops.parse(given)
    except OpRefused as refused:
        return refused.index, refused.code


def holds_a_wide_integer(value: Any) -> bool:
    match value:
        case dict():
            return any(map(holds_a_wide_integer, value.values()))
        case list():
            return any(map(holds_a_wide_integer, value))
        case int():
            return abs(value) > 2**53 - 1
    return False


@pytest.mark.parametrize("case", named([case for case in CASES if "error" not in case]))
def test_ops_give_the_result_in_the_corpus(case: dict[str, Any]):
    item, given = item_of(case), copy.deepcopy(case["ops"])

    result = apply(item, ops.parse(given))

    assert exact(result) == exact(MISSING if case.get("missing") else case["result"])
    assert exact(item) == exact(item_of(case)), "the item was changed"
    assert exact(given) == exact(case["ops"]), "the operations were changed"


@pytest.mark.parametrize("case", named([case for case in CASES if "error" in case]))
def test_ops_are_refused_as_the_corpus_says(case: dict[str, Any]):
    item, given = item_of(case), copy.deepcopy(case["ops"])

    with pytest.raises(OpRefused) as refused:
        apply(item, ops.parse(given))

    assert {"index": refused.value.index, "code": refused.value.code} == case["error"]
    assert refused.value.problem
    assert refused.value.problem in str(refused.value)
    assert exact(item) == exact(item_of(case)), "the item was changed"
    assert exact(given) == exact(case["ops"]), "the operations were changed"


@pytest.mark.parametrize(
    "case", named([case for case in CASES if case.get("error", {}).get("code") != "op.invalid"])
)
def test_a_dict_and_its_constructor_are_the_same_operation(case: dict[str, Any]):
    made = [constructed(op) for op in case["ops"]]

    assert outcome(made) == outcome(case["ops"])


def test_every_rule_of_the_table_has_a_case():
    assert {case["rule"] for case in CASES} == RULES


def test_every_code_has_a_case():
    assert {case["error"]["code"] for case in CASES if "error" in case} == CODES


def test_the_corpus_says_each_thing_once_and_ends_each_case_in_one_way():
    names = [case["name"] for case in CASES]
    bodies = [json.dumps([case.get("item", "no item"), "item" in case, case["ops"]]) for case in CASES]

    assert len(set(names)) == len(names)
    assert len(set(bodies)) == len(bodies)
    for case in CASES:
        assert case.keys() <= {"name", "rule", "item", "ops", "result", "error", "missing", "wide"}
        assert len(case.keys() & {"result", "error", "missing"}) == 1, case["name"]
        assert case.get("missing", True) is True


def test_the_corpus_marks_the_cases_that_a_double_cannot_hold():
    for case in CASES:
        assert case.get("wide", False) is holds_a_wide_integer(case), case["name"]


def test_strings_and_lists_are_paths_and_dots_mean_nothing():
    assert ops.set("a.b", 1).path == ("a.b",)
    assert ops.set(["a", "b"], 1).path == ("a", "b")
    assert ops.set(("a", "b"), 1) == ops.set(["a", "b"], 1)
    assert ops.remove("") == ops.remove([])


def test_increment_and_decrement_count_one_when_told_nothing():
    assert ops.increment("n") == ops.increment("n", 1) == ops.increment("n", by=1)
    assert ops.decrement("n") == ops.decrement("n", 1) == ops.decrement("n", by=1)


def test_dicts_and_constructors_can_be_mixed():
    parsed = ops.parse([ops.set("n", 1), {"type": "increment", "path": "n", "by": 2}])

    assert parsed == [ops.set("n", 1), ops.increment("n", 2)]
    assert apply({}, parsed) == {"n": 3}


@pytest.mark.parametrize("by", [1.5, 1.0, "1", True, None, 2**63, -(2**63) - 1])
@pytest.mark.parametrize("count", [ops.increment, ops.decrement])
def test_a_constructor_with_a_bad_by_is_refused_with_its_place(count: Callable[..., ops.Op], by: Any):
    with pytest.raises(OpRefused) as refused:
        ops.parse([ops.set("a", 1), count("n", by)])

    assert (refused.value.index, refused.value.code) == (1, "op.invalid")


@pytest.mark.parametrize("path", [b"", b"a", bytearray(), 5, None, {"a"}])
def test_what_is_no_path_is_never_taken_for_the_item_itself(path: Any):
    with pytest.raises(OpRefused) as refused:
        ops.parse([ops.set("a", 1), ops.set(path, 2)])

    assert (refused.value.index, refused.value.code) == (1, "op.invalid")


@pytest.mark.parametrize("given", [5, None, "increment", ["increment", "n", 1]])
def test_what_is_no_operation_at_all_is_refused_with_its_place(given: Any):
    with pytest.raises(OpRefused) as refused:
        ops.parse([ops.increment("n"), given])

    assert (refused.value.index, refused.value.code) == (1, "op.invalid")


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("op", [ops.increment("n"), ops.decrement("n")])
def test_a_sum_that_json_cannot_hold_is_refused(op: ops.Op, number: float):
    with pytest.raises(OpRefused) as refused:
        apply({"n": number}, [op])

    assert (refused.value.index, refused.value.code) == (0, f"{op.name}.not_number")


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("kind", ["set", "append"])
def test_a_value_that_json_cannot_hold_is_refused(kind: str, number: float):
    with pytest.raises(OpRefused) as refused:
        ops.parse([{"type": kind, "path": "a", "value": {"b": [number]}}])

    assert (refused.value.index, refused.value.code) == (0, "op.invalid")


def test_the_error_names_the_operation_and_the_code():
    with pytest.raises(OpRefused, match=r"1.*increment\.not_number"):
        apply({"n": "5"}, [ops.set("a", 1), ops.increment("n")])


def test_values_are_taken_as_they_will_be_stored():
    given = ops.parse(
        [ops.set("a", (1, 2)), ops.append("a", 3), ops.merge("", {"b": MappingProxyType({"c": ()})})]
    )

    assert apply({}, given) == {"a": [1, 2, 3], "b": {"c": []}}


def test_a_value_that_holds_itself_is_refused():
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(OpRefused) as refused:
        ops.parse([ops.set("a", endless)])

    assert refused.value.code == "set.value.too_deep"
