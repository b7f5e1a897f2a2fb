"""`GET /streams/types.ts`: what `streams types` writes, of the application that runs."""

from __future__ import annotations

import asyncio

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from streams.discovery import Application
from streams.errors import StreamsError
from streams.resources.names import PREFIX
from streams.typescript.document import types_of

PATH = f"{PREFIX}/types.ts"
"""No stream can have such a name, so that this hides none."""


def with_types(application: Application, items: ASGIApp) -> ASGIApp:
    """The resource API, and the types of the same application beside it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] in ("GET", "HEAD"):
            # In a thread: others need not wait while all the models are looked through.
            response = await asyncio.to_thread(_answer, application)
            await response(scope, receive, send)
        else:
            await items(scope, receive, send)

    return app


def _answer(application: Application) -> Response:
    # Made when somebody asks: nobody should wait for it at every file that is saved.
    try:
        text = types_of(application)
    except StreamsError as error:
        return JSONResponse({"error": str(error), "code": "TYPES_NOT_KNOWN"}, 500)
    # As text, so that a browser shows it.
    return PlainTextResponse(text, headers={"Cache-Control": "no-cache"})
