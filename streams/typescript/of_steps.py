"""The type `Steps`: what every step takes over HTTP, and what it answers; and where the steps are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from streams.typescript.comments import comment
from streams.typescript.naming import key, literal
from streams.typescript.schemas import Asked, Schemas
from streams.typescript.shapes import Shapes, Type, block, either

if TYPE_CHECKING:
    # Only for their names: who has no steps needs no FastAPI.
    from streams.typescript.calls import Body, Call, Parameter


def steps_type(calls: Iterable[Call], schemas: Schemas, shapes: Shapes) -> str:
    """The type, with a member for every way to call a step."""
    members = [
        f"{comment({'description': call.description})}{key(call.name)}: {_call(call, schemas, shapes).text};"
        for call in calls
    ]
    return f"export type Steps = {block(members).text};\n"


def steps_value(calls: Iterable[Call]) -> str:
    """What a client needs when it runs, and types are gone: method and path of every step."""
    members = [
        f"  {key(call.name)}: {{ method: {literal(call.method)}, path: {literal(call.path)} }},\n"
        for call in calls
    ]
    written = "".join(["{\n", *members, "}"]) if members else "{}"
    said = "/** Where the steps are, for whoever calls them by name. */\n"
    return f"{said}export const steps = {written} as const;\n"


def _call(call: Call, schemas: Schemas, shapes: Shapes) -> Type:
    members = [f"method: {literal(call.method)};", f"path: {literal(call.path)};"]
    for where, found in call.beside.items():
        optional = "" if _is_needed(found, schemas, shapes) else "?"
        members.append(f"{where}{optional}: {_beside(found, schemas, shapes).text};")
    members.append(f"body: {_body(call.body, schemas, shapes).text};")
    members.append(f"response: {_of(call.answer, schemas, shapes).text};")
    return block(members)


def _body(body: Body | None, schemas: Schemas, shapes: Shapes) -> Type:
    if body is None:
        return Type("undefined")
    written = _of(body.asked, schemas, shapes)
    return written if body.is_required else either([written, Type("undefined")])


def _of(asked: Asked | None, schemas: Schemas, shapes: Shapes) -> Type:
    return shapes.of(True if asked is None else schemas[asked])


def _beside(found: list[Parameter] | Asked, schemas: Schemas, shapes: Shapes) -> Type:
    if isinstance(found, Asked):
        return shapes.of(schemas[found])
    fields = {each.name: {**_without_null(schemas[each.asked]), **each.said} for each in found}
    return shapes.fields(
        {"properties": fields, "required": [each.name for each in found if each.is_required]}
    )


def _is_needed(found: list[Parameter] | Asked, schemas: Schemas, shapes: Shapes) -> bool:
    if isinstance(found, Asked):
        return bool(shapes.meant(schemas[found]).get("required"))
    return any(each.is_required for each in found)


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A URL has no null: who has nothing to say leaves it out."""
    kinds = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    return {**schema, "anyOf": kinds} if kinds else schema
