"""`GET`: the streams, the items of a group, one item."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from streams.access import Subscription
from streams.changes import ItemSet, with_id
from streams.context import StreamsByName
from streams.keys import Address
from streams.paging import page
from streams.resources.documents import DENIED, ITEM, ITEMS, NOT_FOUND, NOT_MODIFIED, STREAM, STREAMS
from streams.resources.names import GroupName, ItemId
from streams.resources.positions import SeenPositions
from streams.resources.refusals import NotFound
from streams.store import EpochChanged, Feed, Position, Store
from streams.stream import Stream

IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", description="An `ETag` that is known already.")
]

# At most as long as a revision, and a position in digits, can be.
_TAG = re.compile(r'(?:W/)?"([^"]{1,80})"')


@dataclass(frozen=True, slots=True)
class Resources:
    """What the API is about."""

    streams: StreamsByName
    store: Store
    feed: Feed
    seen: SeenPositions = field(default_factory=SeenPositions)


def reading(resources: Resources) -> APIRouter:
    """The routes that change nothing."""
    router = APIRouter()

    @router.get("/streams", summary="The streams and what their items may be", responses=STREAMS)
    async def streams() -> list[dict[str, Any]]:
        return [_described(stream) for stream in resources.streams]

    @router.get("/streams/{stream}", summary="One stream and its groups", responses=STREAM)
    async def one_stream(stream: str) -> dict[str, Any]:
        found = resources.streams[stream]
        return {**_described(found), "groups": await found.list_groups()}

    @router.get(
        "/streams/{stream}/{group}",
        summary="The items of a group, in the order of creation",
        responses=ITEMS | NOT_MODIFIED | DENIED,
    )
    async def items(
        stream: str,
        group: GroupName,
        if_none_match: IfNoneMatch = None,
        last: Annotated[int | None, Query(ge=1, description="How many at most, from the end.")] = None,
        before: Annotated[
            str | None, Query(description="An item id: only what was created before it.")
        ] = None,
    ) -> Response:
        name = resources.streams[stream].name
        end = await resources.feed.end(name)
        resources.seen.note(name, end)
        unchanged = await _unchanged_since(resources, name, group, end, _tags(if_none_match))
        if unchanged is not None:
            return _not_modified(unchanged)
        found, at = await _group(resources, name, group, end)
        wanted = page(name, group, found, last=last, before=before)
        body = b"[%s]" % b",".join([with_id(item.id, item.value) for item in wanted])
        return _json(body, str(at))

    @router.get(
        "/streams/{stream}/{group}/{id}",
        summary="One item",
        responses=ITEM | NOT_MODIFIED | NOT_FOUND | DENIED,
    )
    async def item(
        stream: str, group: GroupName, item_id: ItemId, if_none_match: IfNoneMatch = None
    ) -> Response:
        address = Address(resources.streams[stream].name, group, item_id)
        found = await resources.store.get(address)
        if found is None:
            raise NotFound("ITEM_NOT_FOUND", f"there is no item {address}")
        tag, known = str(found.revision), _tags(if_none_match)
        if tag in known or "*" in known:
            return _not_modified(tag)
        return _json(with_id(found.id, found.value), tag)

    return router


def _described(stream: Stream[Any]) -> dict[str, Any]:
    return {"name": stream.name, "schema": stream.json_schema(), "ttl": stream.ttl}


async def _group(
    resources: Resources, stream: str, group: str, end: Position
) -> tuple[list[ItemSet], Position]:
    """The items of a group in order, and up to where that is everything: `end` or further."""
    while True:
        try:
            delta = await resources.feed.changes(Subscription(stream, group), 0, end)
            break
        except EpochChanged:
            # The bucket was made anew meanwhile; the next end is of the new one.
            end = await resources.feed.end(stream)
    now = time.time_ns() // 1_000_000
    present = [item for item in delta.changes if isinstance(item, ItemSet) and not item.is_over(now)]
    return sorted(present, key=attrgetter("created", "id")), delta.position


async def _unchanged_since(
    resources: Resources, stream: str, group: str, end: Position, known: set[str]
) -> str | None:
    """One of the known positions since which nothing of the group changed; None: not for certain."""
    for tag in known:
        epoch, _, digits = tag.rpartition(".")
        if epoch != end.epoch.name or not digits.isdecimal():
            continue
        revision = int(digits)
        if revision >= end.revision:
            # Above the end: a replica had answered that knew more than its leader.
            return tag if revision == end.revision else None
        if not resources.seen.is_young(stream, end.epoch, revision):
            continue
        try:
            delta = await resources.feed.changes(Subscription(stream, group), revision, end)
        except EpochChanged:
            return None
        if not delta.changes:
            return tag
    return None


def _tags(header: str | None) -> set[str]:
    if header is None:
        return set()
    return {"*"} if header.strip() == "*" else set(_TAG.findall(header)[:8])


def _json(body: bytes, tag: str) -> Response:
    return Response(body, media_type="application/json", headers={"ETag": f'"{tag}"'})


def _not_modified(tag: str) -> Response:
    return Response(status_code=304, headers={"ETag": f'"{tag}"'})
