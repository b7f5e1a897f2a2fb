"""Update operations: small changes of an item, applied in order, all or nothing.

    from streams import ops

    await post.update("feed", "42", [ops.increment("likes"), ops.append(["log", "seen"], "ann")])

A `path` says where: a string is one key of the item, taken literally (dots
mean nothing), a list is a way through nested objects, and `""` or `[]` is
the item itself. The same operations can be written as dicts
(`{"type": "increment", "path": "likes", "by": 1}`). What each does in every
case is in `tests/wire/v1/ops.json`, which clients in other languages share.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

from streams.errors import OpRefused

MAX_OPS = 256
MAX_SEGMENTS = 32
MAX_SEGMENT_BYTES = 256
MAX_VALUE_DEPTH = 64
"""Levels of objects and arrays in a value: as many as an item may have."""
MAX_MERGED_KEYS = 1024
MAX_MERGED_DEPTH = 16
"""Levels of objects and arrays in a merged value; a plain value has none."""

_PROTOTYPE_KEYS = frozenset({"__proto__", "constructor", "prototype"})
"""Keys by which a client in JavaScript could be made to change what all its objects inherit."""

_MAX_BY = 2**63 - 1

Path: TypeAlias = str | Sequence[str]


class Refusal(Exception):
    """Why an operation is refused; who has its index makes an `OpRefused` of it."""

    def __init__(self, op: Op | str, kind: str, problem: str) -> None:
        name = op if isinstance(op, str) else op.name
        self.code, self.problem = f"{name}.{kind}", problem


@dataclass(frozen=True, slots=True)
class Set:
    """Put a value in place of whatever is there."""

    name: ClassVar[str] = "set"
    path: tuple[str, ...]
    value: Any = None


@dataclass(frozen=True, slots=True)
class Merge:
    """Overwrite some keys of an object, and leave the others. A null is stored, not removed."""

    name: ClassVar[str] = "merge"
    path: tuple[str, ...]
    value: Any = None


@dataclass(frozen=True, slots=True)
class Increment:
    """Add to a number; what is missing becomes `by`."""

    name: ClassVar[str] = "increment"
    path: tuple[str, ...]
    by: int = 1


@dataclass(frozen=True, slots=True)
class Decrement:
    """Take from a number; what is missing becomes `-by`."""

    name: ClassVar[str] = "decrement"
    path: tuple[str, ...]
    by: int = 1


@dataclass(frozen=True, slots=True)
class Append:
    """Add one element to an array, or text to a text."""

    name: ClassVar[str] = "append"
    path: tuple[str, ...]
    value: Any = None


@dataclass(frozen=True, slots=True)
class Remove:
    """Take a key out. One that is not there changes nothing."""

    name: ClassVar[str] = "remove"
    path: tuple[str, ...]


Op: TypeAlias = Set | Merge | Increment | Decrement | Append | Remove


def set(path: Path, value: Any = None) -> Op:
    """Put `value` at `path`; missing objects on the way are made."""
    return Set(_path(path), value)


def merge(path: Path, value: Mapping[str, Any]) -> Op:
    """Overwrite the keys of the object at `path` that `value` has. `""` is the item itself."""
    return Merge(_path(path), value)


def increment(path: Path, by: int = 1) -> Op:
    """Add `by` to the number at `path`."""
    return Increment(_path(path), by)


def decrement(path: Path, by: int = 1) -> Op:
    """Take `by` from the number at `path`."""
    return Decrement(_path(path), by)


def append(path: Path, value: Any) -> Op:
    """Add `value` to the array at `path` as one element, or to the text there when it is text."""
    return Append(_path(path), value)


def remove(path: Path) -> Op:
    """Take out what is at `path`."""
    return Remove(_path(path))


def parse(ops: Sequence[Op | Mapping[str, Any]]) -> list[Op]:
    """The operations of one call, checked.

    Raises:
        OpRefused: One of them can never work, whatever the item is; or there are more than 256.
    """
    if len(ops) > MAX_OPS:
        raise OpRefused(
            MAX_OPS, "ops.too_many", f"{len(ops)} operations are too many; {MAX_OPS} is the limit"
        )
    parsed: list[Op] = []
    for index, op in enumerate(ops):
        try:
            parsed.append(_checked(_from_mapping(op) if isinstance(op, Mapping) else op))
        except Refusal as refused:
            raise OpRefused(index, refused.code, refused.problem) from None
    return parsed


def _from_mapping(op: Mapping[str, Any]) -> Op:
    kind = op.get("type")
    made: Callable[..., Op] | None = _CONSTRUCTORS.get(kind) if isinstance(kind, str) else None
    if made is None:
        known = ", ".join(_CONSTRUCTORS)
        raise Refusal("op", "invalid", f"there is no operation {kind!r}; there are: {known}")
    fields = {key: value for key, value in op.items() if key != "type"}
    path = fields.pop("path", "")
    allowed = made.__annotations__.keys() - {"name", "path"}
    if unknown := sorted(map(repr, fields.keys() - allowed)):
        raise Refusal("op", "invalid", f"{kind} does not know {', '.join(unknown)}")
    if made is Append and "value" not in fields:
        raise Refusal("op", "invalid", "append needs a `value`; null is one")
    return made(_path(path), **fields)


_CONSTRUCTORS: dict[str, Callable[..., Op]] = {
    op.name: op for op in (Set, Merge, Increment, Decrement, Append, Remove)
}


def _path(path: Any) -> tuple[str, ...]:
    if isinstance(path, str):
        return (path,) if path else ()
    # What is neither is left for `parse`, which knows which operation it belongs to.
    is_list = isinstance(path, Sequence) and not isinstance(path, bytes | bytearray | memoryview)
    return tuple(path) if is_list else (path,)


def _checked(given: Any) -> Op:
    if not isinstance(given, Set | Merge | Increment | Decrement | Append | Remove):
        raise Refusal("op", "invalid", f"{given!r} is no operation")
    op: Op = given
    if not all(isinstance(segment, str) for segment in op.path):
        raise Refusal("op", "invalid", f"the path of {op.name} is not a string or a list of strings")
    if len(op.path) > MAX_SEGMENTS:
        raise Refusal(op, "path.too_deep", f"a path of {len(op.path)} segments; {MAX_SEGMENTS} is the limit")
    for segment in op.path:
        _check_segment(op, segment)
    match op:
        case Merge(value=value):
            _check_merged(op, value)
            return replace(op, value=_plain(value))
        case Set(value=value) | Append(value=value):
            _check_keys(op, value)
            return replace(op, value=_plain(value))
        case Increment(by=by) | Decrement(by=by):
            if isinstance(by, bool) or not isinstance(by, int) or not -_MAX_BY - 1 <= by <= _MAX_BY:
                raise Refusal("op", "invalid", f"`by` is {by!r}, not a whole number of at most 64 bits")
        case Remove():
            pass
    return op


def _check_segment(op: Op, segment: str) -> None:
    if not segment:
        raise Refusal(op, "path.empty_segment", "a path has an empty segment")
    length = len(segment.encode("utf-8", "surrogatepass"))
    if length > MAX_SEGMENT_BYTES:
        raise Refusal(
            op, "path.segment_too_long", f"a segment of {length} bytes; {MAX_SEGMENT_BYTES} is the limit"
        )
    if segment in _PROTOTYPE_KEYS:
        raise Refusal(op, "path.proto_polluted", f"{segment!r} cannot be a key")


def _check_merged(op: Merge, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise Refusal(op, "value.not_an_object", f"{kind_of(value)} cannot be merged; an object can")
    if len(value) > MAX_MERGED_KEYS:
        raise Refusal(op, "value.too_many_keys", f"{len(value)} keys; {MAX_MERGED_KEYS} is the limit")
    depth = _check_keys(op, value)
    if depth > MAX_MERGED_DEPTH:
        raise Refusal(op, "value.too_deep", f"{depth} levels; {MAX_MERGED_DEPTH} is the limit")


def _check_keys(op: Op, value: Any) -> int:
    """The levels of objects and arrays in a value, whose keys may all be there."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        inner, level = waiting.pop()
        if isinstance(inner, Mapping):
            if found := _PROTOTYPE_KEYS.intersection(inner):
                raise Refusal(op, "value.proto_polluted", f"{min(found)!r} cannot be a key")
            children: Any = inner.values()
        elif isinstance(inner, list | tuple):
            children = inner
        elif isinstance(inner, float) and not math.isfinite(inner):
            raise Refusal("op", "invalid", f"{inner} is no number in JSON")
        else:
            continue
        if level > MAX_VALUE_DEPTH:
            raise Refusal(op, "value.too_deep", f"more than {MAX_VALUE_DEPTH} levels")
        deepest = max(deepest, level)
        waiting += [(child, level + 1) for child in children]
    return deepest


def _plain(value: Any) -> Any:
    """The same value in dicts and lists alone, as it would be after it was stored."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def kind_of(value: Any) -> str:
    """What a value is, in words."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list() | tuple():
            return "an array"
        case _:
            return "an object"
