"""Names ⇄ TypeScript: what a definition is called, and how any text stands in the file.

A definition has one name, wherever it stands: `TypeNames` gives all of them
out at once, so that what is declared is what is referred to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping

_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")

# What the file uses itself, and what no type can be called.
_TAKEN = frozenset(
    {
        *("Streams", "Steps", "Record", "Required", "Pick"),
        *("any", "bigint", "boolean", "never", "null", "number", "object", "string", "symbol", "undefined"),
        *("unknown", "void"),
    }
)


class TypeNames(Mapping[str, str]):
    """The name in TypeScript of every definition, by what pydantic calls it.

    Where two would be called the same, the one that comes first keeps the
    name, and the others are numbered: `Todo2`. First are those whose name is
    what pydantic calls them, and then it is the alphabet that counts.
    """

    def __init__(self, definitions: Iterable[str]) -> None:
        self._names: dict[str, str] = {}
        given = {name.lower() for name in _TAKEN}
        for definition in sorted(definitions, key=lambda found: (type_name(found) != found, found)):
            wanted = name = type_name(definition)
            number = 2
            # No two of them differ in capitals alone: nobody could tell them apart.
            while name.lower() in given:
                name = f"{wanted}{number}"
                number += 1
            given.add(name.lower())
            self._names[definition] = name

    def __getitem__(self, definition: str) -> str:
        return self._names[definition]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def type_name(text: str) -> str:
    """What a type would be called after any text: `Page_Todo_` is `PageTodo`, `Todo-Output` is `Todo`."""
    words = re.findall(r"[A-Za-z0-9]+", text.removesuffix("-Output"))
    name = "".join(word[0].upper() + word[1:] for word in words)
    return name if _IDENTIFIER.fullmatch(name) else f"Type{name}"


def key(name: str) -> str:
    """The name of a field, quoted where it is no identifier."""
    return name if _IDENTIFIER.fullmatch(name) else literal(name)


def literal(value: object) -> str:
    """A JSON value as it stands in the file, on one line."""
    text = json.dumps(value, ensure_ascii=False)
    # Old readers of JavaScript take these for the ends of lines.
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
