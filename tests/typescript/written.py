"""The TypeScript of streams that a test declares."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from streams import Stream
from streams.discovery import Application
from streams.typescript.document import types_of


def written(*streams: Stream[Any]) -> str:
    """The file of an application with these streams."""
    return types_of(Application(Path("functions"), streams, ()))


def declared(text: str, name: str) -> str:
    """What the type of that name is declared to be, without its own comment."""
    found = re.findall(rf"^export type {re.escape(name)} = (.*?);\n(?=\n|\Z)", text, re.DOTALL | re.MULTILINE)
    assert len(found) == 1, f"{name} is declared {len(found)} times:\n{text}"
    return str(found[0])


def fields(text: str, name: str) -> list[str]:
    """The fields of a type, each on its line as it is written."""
    first, *inner, last = declared(text, name).splitlines()
    assert (first, last) == ("{", "}"), declared(text, name)
    return [line.removeprefix("  ") for line in inner]


def fields_of(model: type[Any]) -> list[str]:
    """The fields of the items of a stream with that model, as they come."""
    return fields(written(Stream("thing", model)), model.__name__)


def input_of(model: type[Any]) -> list[str]:
    """The fields of the items of a stream with that model, as they may be written."""
    return fields(written(Stream("thing", model)), f"{model.__name__}Input")
