"""What the OpenAPI document says of answers."""

from __future__ import annotations

from typing import Any, TypeAlias

Answers: TypeAlias = dict[int | str, dict[str, Any]]

_ERROR = {
    "type": "object",
    "required": ["error", "code"],
    "properties": {
        "error": {"type": "string", "description": "A sentence: what happened, and what to do."},
        "code": {"type": "string", "examples": ["ITEM_REFUSED", "PRECONDITION_FAILED"]},
        "fields": {"type": "array", "items": {"type": "string"}},
        "op": {
            "type": "object",
            "properties": {"index": {"type": "integer"}, "code": {"type": "string"}},
        },
    },
}
_ADDRESS = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("stream", "group", "id")},
}
_OBJECT = {"type": "object"}
_OBJECT_OR_NULL = {"type": ["object", "null"]}
_REVISION = {"type": ["integer", "null"], "description": "Grows with every write of the stream."}
_STREAM: dict[str, Any] = {
    "name": {"type": "string"},
    "schema": {"type": "object", "description": "A JSON Schema of the items."},
    "ttl": {"type": ["number", "null"], "description": "Seconds that an item lives."},
}
_GROUPS = {"groups": {"type": "array", "items": {"type": "string"}}}


def _json(description: str, schema: dict[str, Any], tag: str | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": description, "content": {"application/json": {"schema": schema}}}
    if tag is not None:
        answer["headers"] = {"ETag": {"schema": {"type": "string"}, "description": tag}}
    return answer


def _result(description: str, *extra: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    fields = {
        "new_value": _OBJECT_OR_NULL,
        "old_value": _OBJECT_OR_NULL,
        "revision": _REVISION,
        "address": _ADDRESS,
    }
    return _json(
        description, {"type": "object", "properties": {**fields, **dict(extra)}}, "The item's revision."
    )


def body(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The request body of an operation that reads it itself."""
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": True, "description": description, "content": content}}


STREAMS: Answers = {
    200: _json("The streams.", {"type": "array", "items": {"type": "object", "properties": _STREAM}})
}
STREAM: Answers = {200: _json("The stream.", {"type": "object", "properties": _STREAM | _GROUPS})}
ITEMS: Answers = {
    200: _json(
        "The items.",
        {"type": "array", "items": _OBJECT},
        "The position up to which this is complete, as `at` in a `sync`.",
    )
}
ITEM: Answers = {200: _json("The item.", _OBJECT, "Its revision.")}
NOT_MODIFIED: Answers = {304: {"description": "Nothing has changed since then."}}
NOT_FOUND: Answers = {404: _json("There is no such item.", _ERROR)}
DENIED: Answers = {
    401: _json("Nobody knows who asks, or the token is not accepted.", _ERROR),
    403: _json("Whoever asks may not see it.", _ERROR),
}
SET: Answers = {200: _result("It is replaced.")}
CREATED: Answers = {201: _result("It is new.")}
UPDATED: Answers = {200: _result("It is as `new_value` says.", ("changed", {"type": "boolean"}))}
DELETED: Answers = {
    200: _json(
        "It is gone; `old_value` is null where it was not there.",
        {"type": "object", "properties": {"old_value": _OBJECT_OR_NULL, "address": _ADDRESS}},
    )
}
SENT: Answers = {202: {"description": "It has left; it is kept nowhere."}}
PRECONDITION: Answers = {412: _json("The item is not what the headers say; nothing was written.", _ERROR)}
REFUSED: Answers = {422: _json("It does not fit; nothing was written.", _ERROR)}
