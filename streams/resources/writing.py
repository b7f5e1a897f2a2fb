"""`PUT`, `PATCH`, `DELETE` and `POST`: what functions can do to items, for programs that are none."""

from __future__ import annotations

import re
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic_core import to_json

from streams.errors import EventRefused, ItemRefused
from streams.keys import Address
from streams.ops import kind_of
from streams.resources.documents import CREATED, DELETED, PRECONDITION, REFUSED, SENT, SET, UPDATED, body
from streams.resources.names import GroupName, ItemId
from streams.resources.reading import Resources
from streams.resources.refusals import Refused, TooLong

MAX_BODY_BYTES = 2 * 1024 * 1024
"""Longest body that is read: an item of the longest kind, written with spaces and escapes."""

_ONE_REVISION = re.compile(r'\s*"(\d{1,19})"\s*')

IfMatch = Annotated[
    str | None, Header(alias="If-Match", description='A revision, such as `"17"`: only over that version.')
]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", description="`*`: only where there is no item.")
]


def writing(resources: Resources) -> APIRouter:
    """The routes that write."""
    router = APIRouter()
    streams = resources.streams

    @router.put(
        "/streams/{stream}/{group}/{id}",
        summary="Create or replace one item",
        responses=SET | CREATED | PRECONDITION | REFUSED,
        openapi_extra=body("The item.", {"type": "object"}),
    )
    async def set_item(
        request: Request,
        stream: str,
        group: GroupName,
        item_id: ItemId,
        ttl: Annotated[float | None, Query(description="It vanishes after so many seconds.")] = None,
        if_match: IfMatch = None,
        if_none_match: IfNoneMatch = None,
    ) -> Response:
        target, address = streams[stream], Address(stream, group, item_id)
        item = await _json(request)
        if not isinstance(item, dict):
            raise ItemRefused(address, f"an item is a JSON object, not {kind_of(item)}")
        conditions = _conditions(if_match, if_none_match)
        done = await target.set(group, item_id, item, ttl=ttl, **conditions)
        return _done(done, done.revision, 201 if done.old_value is None else 200)

    @router.patch(
        "/streams/{stream}/{group}/{id}",
        summary="Change one item by operations, all or none",
        responses=UPDATED | PRECONDITION | REFUSED,
        openapi_extra=body("The operations, in order.", {"type": "array", "items": {"type": "object"}}),
    )
    async def update_item(
        request: Request,
        stream: str,
        group: GroupName,
        item_id: ItemId,
        if_match: IfMatch = None,
        if_none_match: IfNoneMatch = None,
    ) -> Response:
        target, ops = streams[stream], await _json(request)
        if not isinstance(ops, list):
            raise Refused("NOT_A_LIST", f"operations are a JSON array, not {kind_of(ops)}")
        done = await target.update(group, item_id, ops, **_conditions(if_match, if_none_match))
        return _done(done, done.revision)

    @router.delete(
        "/streams/{stream}/{group}/{id}", summary="Remove one item", responses=DELETED | PRECONDITION
    )
    async def delete_item(
        stream: str, group: GroupName, item_id: ItemId, if_match: IfMatch = None
    ) -> Response:
        revision = _conditions(if_match, None).get("if_revision")
        return _done(await streams[stream].delete(group, item_id, if_revision=revision), None)

    @router.post(
        "/streams/{stream}/{group}/events",
        status_code=202,
        summary="Tell everyone who watches now",
        responses=SENT | REFUSED,
        openapi_extra=body(
            "With an `id`, the event is about one item.",
            {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"type": "string"}, "data": {}, "id": {"type": "string"}},
            },
        ),
    )
    async def send_event(request: Request, stream: str, group: GroupName) -> Response:
        target, event = streams[stream], await _json(request)
        if not isinstance(event, dict):
            raise EventRefused(f'an event is {{"type": ..., "data": ...}}, not {kind_of(event)}')
        item_id = event.pop("id", None)
        await target.send(group if item_id is None else {"groupId": group, "id": item_id}, event)
        return Response(status_code=202)

    return router


async def _json(request: Request) -> Any:
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > MAX_BODY_BYTES:
            raise TooLong(
                "BODY_TOO_LONG", f"the body is over {MAX_BODY_BYTES} bytes long, which is the limit"
            )
        parts.append(part)
    try:
        return orjson.loads(b"".join(parts))
    except orjson.JSONDecodeError as error:
        raise Refused("NOT_JSON", f"the body is not JSON: {error}") from error


def _conditions(if_match: str | None, if_none_match: str | None) -> dict[str, Any]:
    """`If-Match` and `If-None-Match` as what `set` and `update` take."""
    found: dict[str, Any] = {}
    if if_match is not None:
        one = _ONE_REVISION.fullmatch(if_match)
        if one is None:
            raise Refused(
                "INVALID_CONDITION", f'If-Match takes one revision, such as "17", not {if_match[:40]}'
            )
        found["if_revision"] = int(one[1])
    if if_none_match is not None:
        if if_none_match.strip() != "*":
            raise Refused("INVALID_CONDITION", f"If-None-Match of a write takes *, not {if_none_match[:40]}")
        found["if_absent"] = True
    return found


def _done(result: object, revision: int | None, status: int = 200) -> Response:
    headers = {} if revision is None else {"ETag": f'"{revision}"'}
    return Response(to_json(result, by_alias=True), status, headers, "application/json")
