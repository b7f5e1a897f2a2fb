"""Who may run a step. Asked before anything of the request's body is read."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.types import ASGIApp, Receive, Scope, Send

from streams.auth.callers import Doorkeeper, caller_of
from streams.errors import NotLetIn
from streams.step import HttpTrigger

DOORKEEPER = "streams.doorkeeper"
"""Where in a request's scope it stands who says who callers are."""

_AUTH = "streams.auth"

_BEARER = HTTPBearer(scheme_name="bearer", bearerFormat="JWT", auto_error=False)
"""For the document alone: nothing that it finds is used."""

_NOT_LET_IN = {
    "description": "There is no token, or it is not accepted.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error", "code"],
                "properties": {"error": {"type": "string"}, "code": {"type": "string"}},
            }
        }
    },
}


def guarded(app: ASGIApp, trigger: HttpTrigger) -> ASGIApp:
    """The app of one route, for those whom its trigger lets in.

    Calling it raises `NotLetIn` for all others.
    """
    if trigger.auth == "none":
        return app

    async def behind_the_door(scope: Scope, receive: Receive, send: Send) -> None:
        doorkeeper: Doorkeeper = scope[DOORKEEPER]
        caller = await caller_of(scope, doorkeeper)
        if trigger.auth == "required" and caller.context is None:
            raise NotLetIn("TOKEN_REQUIRED", "the step needs to know who calls, and nobody does")
        await app({**scope, _AUTH: caller.context}, receive, send)

    return behind_the_door


def auth_of(request: Request) -> Any:
    """The `auth` of the context of a step that runs for this request."""
    return request.scope.get(_AUTH)


def documented(trigger: HttpTrigger) -> dict[str, Any]:
    """What FastAPI is told of a route, so that its document says who may call."""
    match trigger.auth:
        case "none":
            return {}
        case "required":
            return {"dependencies": [Depends(_BEARER)], "responses": {401: _NOT_LET_IN}}
        case "optional":
            # Beside the token: nothing at all.
            return {"dependencies": [Depends(_BEARER)], "openapi_extra": {"security": [{}]}}
