"""JSON Schema → TypeScript: the type of whatever a schema allows.

What TypeScript cannot say (lengths, patterns, `not`) is left out, so that a
type may allow more than its schema, and never less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from streams.typescript.comments import comment
from streams.typescript.naming import key, literal

DEFINITIONS = "#/$defs/"
"""What every reference begins with."""


@dataclass(frozen=True, slots=True)
class Type:
    """A type as it is written."""

    text: str
    joined: Literal["", "&", "|"] = ""
    """What stands between its parts. As a part of something else it may need parentheses."""

    @property
    def whole(self) -> str:
        """The text as one thing, whatever comes after it."""
        return f"({self.text})" if self.joined else self.text


UNKNOWN, NEVER = Type("unknown"), Type("never")

_SIMPLE = {
    "string": Type("string"),
    "number": Type("number"),
    "integer": Type("number"),
    "boolean": Type("boolean"),
    "null": Type("null"),
}


@dataclass(frozen=True, slots=True)
class Shapes:
    """Writes the types of schemas that refer to one set of definitions."""

    names: Mapping[str, str]
    """What each definition is called."""
    definitions: Mapping[str, Any]

    def of(self, schema: Any) -> Type:
        """The type of what a schema allows."""
        if schema is False:
            return NEVER
        if not isinstance(schema, Mapping):
            return UNKNOWN
        return both(self._parts(schema))

    def fields(self, schema: Mapping[str, Any]) -> Type:
        """An object with the fields that a schema names."""
        required = set(schema.get("required", ()))
        written = [
            f"{_said(field)}{key(name)}{'' if name in required else '?'}: {self.of(field).text};"
            for name, field in schema.get("properties", {}).items()
        ]
        if schema.get("additionalProperties") not in (None, False) or "patternProperties" in schema:
            # The fields above are among these, so that nothing narrower would hold for all.
            written.append("[key: string]: unknown;")
        return block(written)

    def meant(self, schema: Any) -> Any:
        """What a schema refers to, or itself."""
        while isinstance(schema, Mapping) and "$ref" in schema:
            schema = self.definitions[_definition(schema["$ref"])]
        return schema

    def has_id(self, schema: Any) -> bool:
        """Whether everything that a schema allows is an object with a text as its `id`."""
        schema = self.meant(schema)
        if not isinstance(schema, Mapping):
            return False
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return all(map(self.has_id, schema[several]))
        if "id" not in schema.get("required", ()):
            return False
        return self.of(schema.get("properties", {}).get("id")).text == "string"

    def _parts(self, schema: Mapping[str, Any]) -> list[Type]:
        """Types that all hold at once."""
        parts: list[Type] = []
        if "$ref" in schema:
            parts.append(Type(self.names[_definition(schema["$ref"])]))
        if "anyOf" in schema:
            parts.append(either(map(self.of, schema["anyOf"])))
        if "oneOf" in schema:
            parts.append(self._one_of(schema))
        parts += map(self.of, schema.get("allOf", ()))
        if "const" in schema:
            return [*parts, _literal(schema["const"])]
        if "enum" in schema:
            return [*parts, either(map(_literal, schema["enum"]))]
        kinds = schema.get("type", _kind(schema))
        if kinds is not None:
            kinds = [kinds] if isinstance(kinds, str) else kinds
            parts.append(either(self._kind_of(kind, schema) for kind in kinds))
        return parts

    def _one_of(self, schema: Mapping[str, Any]) -> Type:
        told_by = schema.get("discriminator", {}).get("propertyName")
        return either(self._told(each, told_by) for each in schema["oneOf"])

    def _told(self, schema: Any, told_by: str | None) -> Type:
        """One of several that a field tells apart. Though it may have a default, there it must be given."""
        written = self.of(schema)
        meant = self.meant(schema)
        fields = meant.get("properties", {}) if isinstance(meant, Mapping) else {}
        if told_by not in fields or told_by in meant.get("required", ()):
            return written
        return both([written, Type(f"Required<Pick<{written.text}, {literal(told_by)}>>")])

    def _kind_of(self, kind: str, schema: Mapping[str, Any]) -> Type:
        match kind:
            case "array":
                return self._array(schema)
            case "object":
                return self._object(schema)
            case _:
                return _SIMPLE.get(kind, UNKNOWN)

    def _array(self, schema: Mapping[str, Any]) -> Type:
        items, first = schema.get("items"), schema.get("prefixItems")
        if isinstance(items, Sequence):
            # As it was before 2020-12.
            first, items = items, schema.get("additionalItems")
        if first is None:
            return Type(f"{self.of(items).whole}[]")
        types, least = [self.of(each) for each in first], schema.get("minItems", 0)
        written = [each.text for each in types[:least]] + [f"{each.whole}?" for each in types[least:]]
        if items is not False and schema.get("maxItems") != len(first):
            written.append(f"...{self.of(items).whole}[]")
        return Type(f"[{', '.join(written)}]")

    def _object(self, schema: Mapping[str, Any]) -> Type:
        if schema.get("properties"):
            return self.fields(schema)
        values, keys = schema.get("additionalProperties"), schema.get("propertyNames")
        if values is False:
            return Type("Record<string, never>")
        names = UNKNOWN if keys is None else self.of(keys)
        if names.text not in ("unknown", "string"):
            return Type(f"{{ [Key in {names.text}]?: {self.of(values).text} }}")
        written = self.of(values)
        if written == UNKNOWN:
            return Type("Record<string, unknown>")
        # Not a Record: in one, a type could not be part of itself.
        return Type(f"{{ [key: string]: {written.text} }}")


def either(types: Iterable[Type]) -> Type:
    """A union. Of nothing at all, it is what cannot be."""
    parts = {part.text: part for part in types if part != NEVER}
    if UNKNOWN.text in parts:
        return UNKNOWN
    match list(parts.values()):
        case []:
            return NEVER
        case [part]:
            return part
        case several:
            return Type(" | ".join(part.whole if part.joined == "&" else part.text for part in several), "|")


def both(types: Iterable[Type]) -> Type:
    """What is all of these at once."""
    parts = {part.text: part for part in types if part != UNKNOWN}
    match list(parts.values()):
        case []:
            return UNKNOWN
        case [part]:
            return part
        case several:
            return Type(" & ".join(part.whole if part.joined == "|" else part.text for part in several), "&")


def block(members: Iterable[str]) -> Type:
    """An object, a member a line."""
    inner = "".join(f"  {indented(member)}\n" for member in members)
    return Type(f"{{\n{inner}}}" if inner else "Record<string, never>")


def indented(text: str) -> str:
    """Text for a place that is two further to the right. Its first line is there already."""
    return text.replace("\n", "\n  ")


def _definition(reference: str) -> str:
    return reference.removeprefix(DEFINITIONS)


def _said(schema: Any) -> str:
    return comment(schema) if isinstance(schema, Mapping) else ""


def _literal(value: object) -> Type:
    if isinstance(value, Mapping | list):
        # There is no literal of these; what they consist of stands in the schema, if anywhere.
        return UNKNOWN
    return Type(literal(value))


def _kind(schema: Mapping[str, Any]) -> str | None:
    """What is meant where a schema names no type."""
    if "properties" in schema or "additionalProperties" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else None
