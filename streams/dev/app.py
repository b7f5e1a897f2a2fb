"""Plain HTTP on the development port: the app's page, and everything else to the functions process.

A development server can be reached by every page that the developer's
browser has open. So it answers to loopback names only (DNS rebinding), and
to pages of this machine, and of origins that were named, only.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from streams.auth.origins import Origins, is_loopback_host
from streams.dev.functions import Functions, FunctionsBroken
from streams.dev.pages import Pages
from streams.resources.cors import across
from streams.resources.names import is_resource
from streams.step import METHODS

log = logging.getLogger(__name__)

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def dev_app(functions: Functions, folder: Path, origins: Origins) -> ASGIApp:
    """The ASGI app of the development port."""
    return Starlette(
        routes=[Route("/{path:path}", _Answers(functions, folder), methods=list(METHODS))],
        middleware=[
            Middleware(_LoopbackOnly, origins=origins),
            Middleware(across, origins=origins),
        ],
    )


class _LoopbackOnly:
    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app, self._origins = app, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Request(scope).headers
        refused: str | None = None
        if not is_loopback_host(headers.get("host")):
            refused = "the development server answers to localhost and 127.0.0.1 only"
        elif not self._origins.allows(headers.get("origin")):
            refused = "pages of other sites may not talk to the development server; --origin lets one in"
        if refused is None:
            await self._app(scope, receive, send)
        else:
            await JSONResponse({"error": refused, "code": "ORIGIN_REFUSED"}, 403)(scope, receive, send)


class _Answers:
    """The page's files where they exist, the functions for everything else."""

    def __init__(self, functions: Functions, folder: Path) -> None:
        self._functions, self._folder = functions, folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        # Looked up anew each time: a page saved a moment ago is the one that is served.
        response = Pages.of(self._folder).answer(scope) or await self._forwarded(request)
        await response(scope, receive, send)

    async def _forwarded(self, request: Request) -> Response:
        began = time.perf_counter()
        try:
            client = await self._functions.client()
            answer = await client.send(_copied(request, client), stream=True)
        except FunctionsBroken as error:
            if is_resource(request.url.path):
                return JSONResponse({"error": str(error), "code": "FUNCTIONS_BROKEN"}, 500)
            return PlainTextResponse(f"{error}\n", 500)
        except ClientDisconnect:
            return Response(status_code=499)
        except httpx.TransportError as error:
            log.error("the functions process did not answer: %s", error)
            ended = "the functions process ended while it answered; try again"
            return JSONResponse({"error": ended, "code": "FUNCTIONS_ENDED"}, 502)
        log.info(
            "%s %s %d in %.0f ms",
            request.method,
            request.url.path,
            answer.status_code,
            (time.perf_counter() - began) * 1000,
        )
        response = StreamingResponse(
            answer.aiter_raw(), answer.status_code, background=BackgroundTask(answer.aclose)
        )
        response.raw_headers = [
            (name, value) for name, value in answer.headers.raw if name.decode().lower() not in _HOP_BY_HOP
        ]
        return response


def _copied(request: Request, client: httpx.AsyncClient) -> httpx.Request:
    headers = [(name, value) for name, value in request.headers.raw if name.decode() not in _HOP_BY_HOP]
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    target = request.scope["raw_path"] + (b"?" + request.url.query.encode() if request.url.query else b"")
    # The target goes on as it came: as part of a URL, its `..` would be taken for a step between folders.
    return client.build_request(
        request.method,
        client.base_url,
        headers=headers,
        content=_body(request) if has_body else None,
        extensions={"target": target},
    )


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for part in request.stream():
        if part:
            yield part
