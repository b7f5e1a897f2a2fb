"""Items ⇄ JSON text: what may be stored, and what is made of it when it is read.

Items are checked where they are written, and checked again where they are
read, because the model may have changed in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

import orjson
from pydantic import PydanticInvalidForJsonSchema, TypeAdapter, ValidationError

from streams.changes import with_id
from streams.errors import DefinitionRefused, ItemDoesNotFit, ItemRefused
from streams.keys import Address

ItemT = TypeVar("ItemT")

MAX_DEPTH = 64
"""Levels of objects and arrays in one item."""


class ItemCodec(Protocol[ItemT]):
    """How the items of one stream become JSON text and back."""

    def encode(self, address: Address, item: ItemT | Mapping[str, Any]) -> tuple[bytes, ItemT]:
        """The JSON text to store, and the item as it will be read.

        Raises:
            ItemRefused: It does not fit.
        """
        ...

    def accepted(self, address: Address, value: bytes) -> ItemT:
        """The item behind JSON text that is to be stored as it is.

        Raises:
            ItemRefused: It does not fit.
        """
        ...

    def decode(self, address: Address, value: bytes) -> ItemT:
        """The item behind stored JSON text.

        Raises:
            ItemDoesNotFit: It no longer fits.
        """
        ...

    def json_schema(self) -> dict[str, Any]:
        """What may be written, as a JSON Schema."""
        ...


def codec_for(item: Any, schema: Mapping[str, Any] | None) -> ItemCodec[Any]:
    """The codec for a model, or for `dict` with or without a JSON Schema.

    Raises:
        DefinitionRefused: `item` is nothing that items could be.
    """
    if item is dict:
        return _Dicts(schema)
    if schema is not None:
        raise DefinitionRefused("a JSON Schema goes with `dict`; a model has a schema of its own")
    if not isinstance(item, type):
        raise DefinitionRefused(f"the items of a stream are a pydantic model or `dict`, not {item!r}")
    try:
        return _Models(item)
    except Exception as error:
        raise DefinitionRefused(f"the items of a stream are a pydantic model or `dict`: {error}") from error


class _Models(Generic[ItemT]):
    def __init__(self, model: type[ItemT]) -> None:
        self._adapter = TypeAdapter(model)

    def encode(self, address: Address, item: ItemT | Mapping[str, Any]) -> tuple[bytes, ItemT]:
        try:
            # A mapping is what a client could have sent; an instance may have been changed since it
            # was made, so what counts is whether its JSON text can be read again.
            checked = self._read_mapping(address, item) if isinstance(item, Mapping) else item
            value = self._adapter.dump_json(checked, by_alias=True, warnings=False)
        except ValidationError as error:
            raise ItemRefused(address, *_reasons(error)) from error
        except Exception as error:
            # pydantic raises several types for things that are no model or hold what is no JSON.
            raise ItemRefused(address, f"it cannot become JSON: {error}") from error
        # What an instance lacks is not made up for it: it is of another model, or was changed.
        return value, self._checked(address, value, self._adapter.validate_json)

    def accepted(self, address: Address, value: bytes) -> ItemT:
        return self._checked(address, value, lambda text: self._read(address, text))

    def _checked(self, address: Address, value: bytes, read: Callable[[bytes], ItemT]) -> ItemT:
        try:
            item = read(value)
        except ValidationError as error:
            raise ItemRefused(address, *_reasons(error)) from error
        _check(address, value)
        return item

    def decode(self, address: Address, value: bytes) -> ItemT:
        try:
            return self._read(address, value)
        except ValidationError as error:
            raise ItemDoesNotFit(address, *_reasons(error)) from error

    def _read(self, address: Address, value: bytes) -> ItemT:
        try:
            return self._adapter.validate_json(value)
        except ValidationError as error:
            if not _wants_an_id(error):
                raise
        # As on the wire: an item without an `id` of its own has the one of its key.
        return self._adapter.validate_json(with_id(address.id, value))

    def _read_mapping(self, address: Address, item: Mapping[str, Any]) -> ItemT:
        try:
            return self._adapter.validate_python(item)
        except ValidationError as error:
            if not _wants_an_id(error):
                raise
        return self._adapter.validate_python({"id": address.id, **item})

    def json_schema(self) -> dict[str, Any]:
        try:
            return self._adapter.json_schema()
        except PydanticInvalidForJsonSchema:
            # A type with checks of its own in Python need not have a schema.
            return {"type": "object"}


class _Dicts:
    def __init__(self, schema: Mapping[str, Any] | None) -> None:
        self._check, self._schema = _checker(schema), schema

    def json_schema(self) -> dict[str, Any]:
        return {"type": "object"} if self._schema is None else dict(self._schema)

    def encode(self, address: Address, item: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
        if not isinstance(item, Mapping):
            raise ItemRefused(address, f"an item is a JSON object, not a {type(item).__name__}")
        try:
            value = orjson.dumps(dict(item))
        except TypeError as error:
            raise ItemRefused(address, f"it cannot become JSON: {error}") from error
        # orjson writes these as null, and the number would be lost without a word.
        if b"null" in value and not _is_finite(item):
            raise ItemRefused(address, "it cannot become JSON: NaN and Infinity are no numbers there")
        return value, self.accepted(address, value)

    def accepted(self, address: Address, value: bytes) -> dict[str, Any]:
        item = _check(address, value)
        if self._check is not None and (found := self._check(item)):
            raise ItemRefused(address, *found)
        return {"id": address.id, **item}

    def decode(self, address: Address, value: bytes) -> dict[str, Any]:
        # As on the wire: an item without an `id` of its own has the one of its key.
        return {"id": address.id, **orjson.loads(value)}


def _check(address: Address, value: bytes) -> dict[str, Any]:
    """The item, when it keeps the rules that hold for every one, whatever its model."""
    if not value.startswith(b"{"):
        raise ItemRefused(address, "an item is a JSON object")
    # Almost no item has that many brackets, and only these are looked through.
    if value.count(b"{") + value.count(b"[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise ItemRefused(address, f"it is nested deeper than {MAX_DEPTH} levels")
    try:
        parsed: dict[str, Any] = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        # A model may be told to write NaN and Infinity.
        raise ItemRefused(address, f"it cannot become JSON: {error}") from error
    if "id" in parsed and parsed["id"] != address.id:
        raise ItemRefused(address, f"its id is {parsed['id']!r}, and its key says {address.id!r}", ("id",))
    return parsed


def _is_finite(value: object) -> bool:
    match value:
        case float():
            return math.isfinite(value)
        case Mapping():
            return all(map(_is_finite, value.values()))
        case list() | tuple():
            return all(map(_is_finite, value))
        case _:
            return True


def _depth(value: bytes) -> int:
    deepest, level, in_text, escaped = 0, 0, False, False
    for byte in value:
        if in_text:
            in_text = escaped or byte != 0x22
            escaped = byte == 0x5C and not escaped
        elif byte == 0x22:
            in_text = True
        elif byte in b"{[":
            level += 1
            deepest = max(deepest, level)
        elif byte in b"}]":
            level -= 1
    return deepest


def _wants_an_id(error: ValidationError) -> bool:
    return any(found["type"] == "missing" and found["loc"] == ("id",) for found in error.errors())


def _reasons(error: ValidationError) -> tuple[str, tuple[str, ...]]:
    """A sentence that names every field, and the fields."""
    found = [
        (".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_url=False, include_input=False)
    ]
    sentence = "; ".join(f"{field}: {message}" if field else message for field, message in found)
    return sentence, tuple(field for field, _ in found)


def _checker(schema: Mapping[str, Any] | None) -> Any:
    if schema is None:
        return None
    try:
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import SchemaError
    except ImportError as error:
        raise DefinitionRefused(
            "a JSON Schema needs the package jsonschema: pip install 'realtime-streams[functions]'"
        ) from error
    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        raise DefinitionRefused(f"`schema` is not a JSON Schema: {error.message}") from error
    validator = Draft202012Validator(dict(schema))

    def check(item: Any) -> tuple[str, tuple[str, ...]] | None:
        found = [(".".join(map(str, e.absolute_path)), e.message) for e in validator.iter_errors(item)]
        if not found:
            return None
        sentence = "; ".join(f"{field}: {message}" if field else message for field, message in found)
        return sentence, tuple(field for field, _ in found)

    return check
