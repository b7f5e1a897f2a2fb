"""The type `Streams`: what the items of every stream are, as they come and as they may be written."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.errors import DefinitionRefused
from streams.stream import Stream
from streams.typescript.naming import key, type_name
from streams.typescript.schemas import Asked, Mode, Schemas
from streams.typescript.shapes import Shapes, Type, block, both

_ANY_ITEM = {"type": "object"}
_ID = Type("{ id: string }")


@dataclass(frozen=True, slots=True)
class Items:
    """The items of one stream."""

    stream: Stream[Any]
    asked: tuple[Asked, Asked] | None
    """As they come, and as they may be written. None: their schema was written by hand."""

    @classmethod
    def of(cls, stream: Stream[Any], folder: Path) -> Items:
        """What is to be asked of a stream of the application in `folder`."""
        if stream.item is dict:
            return cls(stream, None)
        what, (path, line) = f"an item of stream {stream.name!r}", _place(stream.item, folder)

        def asked(mode: Mode) -> Asked:
            return Asked(stream.item, mode, what, path, line)

        return cls(stream, (asked("serialization"), asked("validation")))

    def schemas(self, schemas: Schemas) -> tuple[Any, Any]:
        """As they come, and as they may be written.

        Raises:
            DefinitionRefused: A schema that was written by hand refers to something that is not in it.
        """
        if self.asked is not None:
            came, written = self.asked
            return schemas[came], schemas[written]
        schema = self.stream.json_schema()
        if schema == _ANY_ITEM:
            return schema, schema
        name = type_name(str(schema.get("title") or self.stream.name))
        if name in schemas.definitions:
            name = f"{name}.{self.stream.name}"
        try:
            found = schemas.add(name, schema)
        except DefinitionRefused as error:
            raise DefinitionRefused(f"stream {self.stream.name!r}: {error}") from error
        return found, found


def asked_of(items: Iterable[Items]) -> Iterator[Asked]:
    """All that pydantic has to be asked."""
    for each in items:
        yield from each.asked or ()


def streams_type(found: Iterable[tuple[str, tuple[Any, Any]]], shapes: Shapes) -> str:
    """The type, with a member for every stream, by its name."""
    members = [f"{key(name)}: {_stream(came, written, shapes).text};" for name, (came, written) in found]
    return f"export type Streams = {block(members).text};\n"


def _stream(came: Any, written: Any, shapes: Shapes) -> Type:
    item = shapes.of(came)
    if not shapes.has_id(came):
        # The id of its key is put into every item that has none.
        item = both([item, _ID])
    events = "events: Record<string, unknown>;"
    return block([f"item: {item.text};", f"input: {shapes.of(written).text};", events])


def _place(model: type[Any], folder: Path) -> tuple[Path, int]:
    """Where a model is written; where that cannot be found, the folder of all."""
    try:
        path, (_, line) = inspect.getsourcefile(model), inspect.getsourcelines(model)
    except (OSError, TypeError):
        return folder, 1
    return (folder, 1) if path is None else (Path(path), line)
