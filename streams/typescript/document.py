"""One TypeScript file with all that a frontend may know of an application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from streams.discovery import Application
from streams.typescript.comments import comment
from streams.typescript.naming import TypeNames
from streams.typescript.of_steps import steps_type, steps_value
from streams.typescript.of_streams import Items, asked_of, streams_type
from streams.typescript.schemas import Schemas
from streams.typescript.shapes import Shapes

if TYPE_CHECKING:
    from streams.typescript.calls import Call

HEADER = "// made by `streams types`; do not edit\n"


def types_of(application: Application) -> str:
    """The text of the file. The same application always makes the same one.

    Raises:
        DiscoveryFailed: Names every model that cannot be described, or every step that cannot become a route.
        DefinitionRefused: A schema that was written by hand refers to something that is not in it.
    """
    items = [Items.of(stream, application.folder) for stream in application.streams]
    items.sort(key=lambda each: each.stream.name)
    calls = _calls(application)
    schemas = Schemas.of([*asked_of(items), *(asked for call in calls for asked in call.asked())])
    of_streams = [(each.stream.name, each.schemas(schemas)) for each in items]
    shapes = Shapes(TypeNames(schemas.definitions), schemas.definitions)
    sections = [
        HEADER,
        *_declared(shapes),
        streams_type(of_streams, shapes),
        steps_type(calls, schemas, shapes),
        steps_value(calls),
    ]
    return "\n".join(sections)


def _calls(application: Application) -> list[Call]:
    if not application.steps:
        return []
    # Here, and not above: it loads FastAPI, which streams alone do not need.
    from streams.typescript.calls import calls_of

    return calls_of(application)


def _declared(shapes: Shapes) -> list[str]:
    """Every definition under its name, by the alphabet."""
    by_name: Mapping[str, str] = {name: definition for definition, name in shapes.names.items()}
    return [
        f"{comment(schema)}export type {name} = {shapes.of(schema).text};\n"
        for name, schema in ((name, shapes.definitions[by_name[name]]) for name in sorted(by_name))
    ]
