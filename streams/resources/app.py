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

from fastapi import Depends, FastAPI, Request
from fastapi.security import HTTPBearer
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams.auth.callers import Doorkeeper
from streams.auth.operator import Operator
from streams.context import StreamsByName
from streams.errors import StreamsError
from streams.resources.access import Door
from streams.resources.names import PREFIX, is_resource, with_encoded_path
from streams.resources.reading import Resources, reading
from streams.resources.refusals import answer_error, answered_in_one_shape
from streams.resources.writing import writing
from streams.store import Feed, Store, bound_to
from streams.stream import Stream


def resources_app(
    streams: Iterable[Stream[Any]],
    store: Store,
    feed: Feed,
    *,
    operator: Operator | None,
    doorkeeper: Doorkeeper,
) -> ASGIApp:
    """Serves the items of `streams`.

    Whoever the `doorkeeper` lets see a group or an item may read it. Writes,
    events and lists are for the `operator`, who may read everything too.
    None lets everybody write and list who gets there, and is for servers
    that nobody but the developer can reach.
    """
    api = FastAPI(
        title="Streams",
        description="Items over HTTP. Names are percent-encoded path segments.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # For the document alone: the door is in front of all this.
        dependencies=[Depends(HTTPBearer(scheme_name="bearer", auto_error=False))],
    )
    answered_in_one_shape(api)
    resources = Resources(StreamsByName(streams), store, feed)
    door = Door(operator, doorkeeper, resources.streams)
    api.include_router(reading(resources))
    api.include_router(writing(resources))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await api(scope, receive, send)
            return
        scope, send = with_encoded_path(scope), _kept_by_nobody_else(send)
        try:
            await door.let_in(scope)
        except StreamsError as error:
            response = await answer_error(Request(scope), error)
            await response(scope, receive, send)
            return
        with bound_to(store):
            await api(scope, receive, send)

    return app


def beside(resources: ASGIApp, app: ASGIApp) -> ASGIApp:
    """Both on one port: what is under `/streams` is `resources`, everything else is `app`."""

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and is_resource(scope["path"])
        await (resources if ours else app)(scope, receive, send)

    return both


def _kept_by_nobody_else(send: Send) -> Send:
    """Keep answers out of caches that people share: another one may not see the same."""

    async def private(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message["headers"])
            # `no-cache`: may be kept, and must be asked for again. Without it browsers guess how long it
            # is fresh.
            headers["Cache-Control"] = "private, no-cache"
            headers.add_vary_header("Authorization")
            message = {**message, "headers": headers.raw}
        await send(message)

    return private
