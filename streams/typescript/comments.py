"""Doc comments: what is said of a definition or a field, and what its type does not say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from streams.typescript.naming import literal


def comment(schema: Mapping[str, Any]) -> str:
    """The doc comment of what a JSON Schema describes, with its line feed. Empty where nothing is to be said.

    After the description it says the formats of the strings in it, what it is
    where it is left out (unless that is null), and whether it is deprecated.
    """
    description = str(schema.get("description", "")).strip()
    lines = [line.rstrip() for line in description.splitlines()]
    lines += [f"@format {found}" for found in dict.fromkeys(_formats(schema))]
    if schema.get("default") is not None:
        lines.append(f"@default {literal(schema['default'])}")
    if schema.get("deprecated") is True:
        lines.append("@deprecated")
    return _framed([line.replace("*/", "*\\/") for line in lines])


def _framed(lines: list[str]) -> str:
    match lines:
        case []:
            return ""
        case [line]:
            return f"/** {line} */\n"
        case _:
            inner = "\n".join(f" * {line}".rstrip() for line in lines)
            return f"/**\n{inner}\n */\n"


def _formats(schema: object) -> Iterator[str]:
    """The formats of what stands at one place. Fields of an object have comments of their own."""
    if not isinstance(schema, Mapping):
        return
    if isinstance(schema.get("format"), str) and schema.get("type") == "string":
        yield schema["format"]
    for several in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for each in schema.get(several, ()):
            yield from _formats(each)
    for one in ("items", "additionalProperties"):
        yield from _formats(schema.get(one))
