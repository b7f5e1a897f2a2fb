"""Python types → JSON Schemas with one set of definitions, as what they describe is on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, JsonSchemaWarningKind
from pydantic_core import core_schema

from streams.errors import DefinitionRefused, DiscoveryFailed, Problem
from streams.typescript.shapes import DEFINITIONS

Mode: TypeAlias = Literal["serialization", "validation"]
"""What we write, and what we take."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A Python type whose schema is wanted."""

    annotation: Any
    mode: Mode
    what: str
    """For whoever reads that it has none: "the items of stream 'todo'"."""
    path: Path
    """The file that it is in."""
    line: int = 1


@dataclass(slots=True)
class Schemas:
    """The schemas of all that was asked for, in one set of definitions.

    One that is the same in both modes has one definition, `Todo`; else they
    are `Todo-Output` and `Todo-Input`. Those are pydantic's names.
    """

    definitions: dict[str, Any] = field(default_factory=dict)
    _found: dict[Asked, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, asked: Sequence[Asked]) -> Schemas:
        """Ask pydantic.

        Raises:
            DiscoveryFailed: Names every type that pydantic cannot describe.
        """
        adapters = [(number, each.mode, TypeAdapter(each.annotation)) for number, each in enumerate(asked)]
        try:
            found, common = TypeAdapter.json_schemas(adapters, schema_generator=_OnTheWire)
        except PydanticUserError as error:
            raise DiscoveryFailed(_problems(asked)) from error
        definitions = common.get("$defs", {})
        same = _same_both_ways(definitions)
        kept = {name: schema for name, schema in definitions.items() if name not in same}
        schemas = {each: found[number, each.mode] for number, each in enumerate(asked)}
        return cls(_renamed(kept, same), _renamed(schemas, same))

    def __getitem__(self, asked: Asked) -> Any:
        return self._found[asked]

    def add(self, name: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take in a schema that was written by hand, with its own definitions. Returns what refers to it.

        Raises:
            DefinitionRefused: It refers to something that is not in it.
        """
        own = {place: f"{name}.{key}" for place, key in _definitions(schema)}
        own["#"] = name
        for kind in ("$defs", "definitions"):
            for key, inner in schema.get(kind, {}).items():
                self.definitions[f"{name}.{key}"] = _moved(inner, own)
        self.definitions[name] = _moved(schema, own)
        return {"$ref": f"{DEFINITIONS}{name}"}


class _OnTheWire(GenerateJsonSchema):
    """What pydantic says, and that fields with a default are written too."""

    # A default that is no JSON is not said; what can be of no schema is left out of a union.
    ignored_warning_kinds: set[JsonSchemaWarningKind] = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        if self.mode == "validation" or field["type"] == "typed-dict-field":
            return super().field_is_required(field, total)
        return "serialization_exclude_if" not in field

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        described = super().decimal_schema(schema)
        for each in (described, *described.get("anyOf", ())):
            if each.get("type") == "string":
                each["format"] = "decimal"
        return described


def _same_both_ways(definitions: Mapping[str, Any]) -> dict[str, str]:
    """Definitions for what is taken that say what those for what is written say, which stand for them.

    pydantic finds these, but for those that are part of themselves. So all
    are taken for the same, until one is found to be none.
    """
    twins = {name: name.removesuffix("-Input") + "-Output" for name in definitions if name.endswith("-Input")}
    same = {taken: written for taken, written in twins.items() if written in definitions}
    while different := [
        taken for taken, written in same.items() if _renamed(definitions[taken], same) != definitions[written]
    ]:
        for taken in different:
            del same[taken]
    return same


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    """A schema that refers to other definitions."""
    if isinstance(schema, list):
        return [_renamed(each, names) for each in schema]
    if not isinstance(schema, dict):
        return schema
    renamed = {key: _renamed(value, names) for key, value in schema.items()}
    reference = schema.get("$ref")
    if isinstance(reference, str) and (name := names.get(reference.removeprefix(DEFINITIONS))) is not None:
        renamed["$ref"] = f"{DEFINITIONS}{name}"
    return renamed


def _problems(asked: Sequence[Asked]) -> list[Problem]:
    """Those that pydantic cannot describe one by one."""
    problems: list[Problem] = []
    for each in asked:
        try:
            TypeAdapter(each.annotation).json_schema(mode=each.mode, schema_generator=_OnTheWire)
        except PydanticUserError as error:
            problems.append(Problem(each.path, each.line, _said(each, error)))
    return list(dict.fromkeys(problems))


def _said(asked: Asked, error: PydanticUserError) -> str:
    why = error.message.partition("\n")[0].rstrip(".")
    sentence = f"{asked.what} cannot be described: {why}"
    if not isinstance(error, PydanticInvalidForJsonSchema):
        return sentence
    return (
        f"{sentence}; say what it is as JSON with "
        'Annotated[..., WithJsonSchema({"type": "string"})], or leave it out with Field(exclude=True)'
    )


def _definitions(schema: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How a schema refers to each of its own definitions, and what that one is called."""
    return [(f"#/{kind}/{key}", key) for kind in ("$defs", "definitions") for key in schema.get(kind, {})]


_VALUES = frozenset({"const", "default", "enum", "examples"})


def _moved(schema: Any, places: Mapping[str, str]) -> Any:
    """A schema that refers to its definitions where they are now."""
    if isinstance(schema, list | tuple):
        return [_moved(each, places) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    moved = {
        key: value if key in _VALUES else _moved(value, places)
        for key, value in schema.items()
        if key not in ("$defs", "definitions")
    }
    reference = schema.get("$ref")
    if isinstance(reference, str):
        if reference not in places:
            raise DefinitionRefused(
                f"its schema refers to {reference!r}, which is not in it; write what that is under "
                '"$defs", and refer to "#/$defs/<name>"'
            )
        moved["$ref"] = f"{DEFINITIONS}{places[reference]}"
    return moved
