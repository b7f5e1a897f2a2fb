"""The resource API as one ASGI app, for whoever serves it.

GET                     /streams                          names and schemas
GET                     /streams/{stream}                 and its groups
GET                     /streams/{stream}/{group}         the items, in order
GET, PUT, PATCH, DELETE /streams/{stream}/{group}/{id}    one item
POST                    /streams/{stream}/{group}/events  an event, kept nowhere
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from streams.answers import Answer
from streams.auth.operator import Operator
from streams.context import StreamsByName
from streams.resources.names import PREFIX, is_resource, with_encoded_path
from streams.resources.reading import Resources, reading
from streams.resources.refusals import answered_in_one_shape
from streams.resources.writing import writing
from streams.store import Feed, Store, bound_to
from streams.stream import Stream

EXPOSED_HEADERS = ("ETag", "Retry-After")
"""What a page on another origin may read of an answer, beside its body."""


def resources_app(
    streams: Iterable[Stream[Any]], store: Store, feed: Feed, *, operator: Operator | None
) -> ASGIApp:
    """Serves the items of `streams`.

    With an `operator`, to nobody else; None lets everybody in who gets
    there, and is for servers that nobody but the developer can reach.
    """
    api = FastAPI(
        title="Streams",
        description="Items over HTTP. Names are percent-encoded path segments.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    answered_in_one_shape(api)
    resources = Resources(StreamsByName(streams), store, feed)
    api.include_router(reading(resources))
    api.include_router(writing(resources))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await api(scope, receive, send)
            return
        authorization = dict(scope["headers"]).get(b"authorization")
        if operator is not None and not operator.is_meant_by(authorization):
            await _NOT_THE_OPERATOR(scope, receive, send)
            return
        with bound_to(store):
            await api(with_encoded_path(scope), receive, send)

    return app


def beside(resources: ASGIApp, app: ASGIApp) -> ASGIApp:
    """Both on one port: what is under `/streams` is `resources`, everything else is `app`."""

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and is_resource(scope["path"])
        await (resources if ours else app)(scope, receive, send)

    return both


_NOT_THE_OPERATOR = JSONResponse(
    Answer(401, "OPERATOR_ONLY", "send `Authorization: Bearer <the operator's token>`").body,
    401,
    {"WWW-Authenticate": "Bearer"},
)
