"""What update operations make of an item. Pure: nothing here touches the input.

The rules are those of the reference that Motia's users know, with the
differences that `tests/wire/v1/ops.json` marks as deviations: above all,
either all operations of a call are applied, or none.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

from streams.errors import OpRefused
from streams.ops import Append, Decrement, Increment, Merge, Op, Refusal, Remove, Set, kind_of

_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**64 - 1


class _Missing:
    """The type of `MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"

    def __deepcopy__(self, _: object) -> _Missing:
        return self


MISSING = _Missing()
"""There is no item, or nothing at a place. Not the same as null."""


def apply(item: Any, ops: Sequence[Op]) -> Any:
    """What `ops`, in order, make of an item (`MISSING`: of none).

    Returns `MISSING` when there was no item and nothing made one.

    Raises:
        OpRefused: One of them does not fit what is there. Nothing was done.
    """
    working = copy.deepcopy(item)
    for index, op in enumerate(ops):
        try:
            working = _applied(working, op)
        except Refusal as refused:
            raise OpRefused(index, refused.code, refused.problem) from None
    return working


def _applied(root: Any, op: Op) -> Any:
    match op:
        case Set(path=(), value=value):
            return copy.deepcopy(value)
        case Remove(path=()):
            return None
        case Merge():
            return _merged(root, op)
        case Increment(path=()) | Decrement(path=()):
            return _sum(op, root)
        case Append(path=()):
            return _appended(op, root)
        case Remove():
            return _removed(root, op)
        case Append():
            return _within(root, op, lambda there: _appended(op, there), _made_on_the_way)
        case Set(value=value):
            return _within(root, op, lambda _: copy.deepcopy(value), _refused_on_the_way)
        case Increment() | Decrement():
            return _within(root, op, lambda there: _sum(op, there), _refused_on_the_way)


def _within(
    root: Any, op: Op, change: Callable[[Any], Any], step: Callable[[Op, Any], dict[str, Any]]
) -> Any:
    """Change what is at the end of a path; `step` says what a parent that is no object becomes."""
    if root is MISSING:
        root = {}
    if not isinstance(root, dict):
        raise Refusal(op, "target_not_object", f"the item is {kind_of(root)}, not an object")
    parent = root
    for segment in op.path[:-1]:
        inner = parent.get(segment)
        if not isinstance(inner, dict):
            inner = parent[segment] = step(op, inner)
        parent = inner
    last = op.path[-1]
    parent[last] = change(parent.get(last, MISSING))
    return root


def _made_on_the_way(_: Op, there: Any) -> dict[str, Any]:
    return {}


def _refused_on_the_way(op: Op, there: Any) -> dict[str, Any]:
    if there is None:
        return {}
    raise Refusal(op, "target_not_object", f"{kind_of(there)} is in the way of {_text(op.path)}")


def _merged(root: Any, op: Merge) -> Any:
    if not op.path:
        if root is MISSING:
            root = {}
        # Not an error, for what such a call meant elsewhere: there is nothing to merge into.
        if isinstance(root, dict):
            root.update(copy.deepcopy(dict(op.value)))
        return root
    if not isinstance(root, dict):
        root = {}

    def change(there: Any) -> dict[str, Any]:
        return {**(there if isinstance(there, dict) else {}), **copy.deepcopy(dict(op.value))}

    return _within(root, op, change, _made_on_the_way)


def _removed(root: Any, op: Remove) -> Any:
    parent = root
    for depth, segment in enumerate(op.path):
        if parent is MISSING or (parent is None and depth):
            return root
        if not isinstance(parent, dict):
            raise Refusal(op, "target_not_object", f"{kind_of(parent)} is in the way of {_text(op.path)}")
        if depth == len(op.path) - 1:
            parent.pop(segment, None)
        else:
            parent = parent.get(segment, MISSING)
    return root


def _sum(op: Increment | Decrement, there: Any) -> int | float:
    by = op.by if isinstance(op, Increment) else -op.by
    if there is MISSING:
        return by
    if isinstance(there, bool) or not isinstance(there, int | float):
        raise Refusal(op, "not_number", f"{kind_of(there)} is at {_text(op.path)}, not a number")
    total = there + by
    if isinstance(total, float):
        if not math.isfinite(total):
            raise Refusal(op, "not_number", f"the result at {_text(op.path)} is not a finite number")
    elif not _MIN_INTEGER <= total <= _MAX_INTEGER:
        raise Refusal(op, "not_number", f"the result at {_text(op.path)} is beyond 64 bits")
    return total


def _appended(op: Append, there: Any) -> Any:
    value = copy.deepcopy(op.value)
    match there:
        case list():
            return [*there, value]
        case str() if isinstance(value, str):
            return there + value
        case str():
            raise Refusal(
                op, "type_mismatch", f"{kind_of(value)} cannot be added to the text at {_text(op.path)}"
            )
        case None | _Missing():
            return value if isinstance(value, str) and len(op.path) < 2 else [value]
        case _:
            raise Refusal(
                op, "type_mismatch", f"{kind_of(there)} is at {_text(op.path)}, not an array or a text"
            )


def _text(path: tuple[str, ...]) -> str:
    return "/".join(path) if path else "the item itself"
