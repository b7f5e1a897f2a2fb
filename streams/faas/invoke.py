"""One handler as a FastAPI path operation: its context, and its errors as answers."""

from __future__ import annotations

import functools
import inspect
import logging
import re
import typing
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import JSONResponse

from streams.answers import FAULT, answer_to
from streams.auth.callers import log_refusal
from streams.context import Context, StreamsByName
from streams.errors import DefinitionRefused, HttpError, NotLetIn, UnknownStream
from streams.faas.access import auth_of
from streams.step import Step

log = logging.getLogger(__name__)

# Keyword parameters may stand in any order: one with a default before one without.
_KEYWORD = inspect.Parameter.KEYWORD_ONLY

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def endpoint(step: Step, streams: StreamsByName) -> Callable[..., Any]:
    """The handler with its `Context` parameter, if it has one, filled in by FastAPI.

    Everything else of its signature is FastAPI's: body models, path and
    query parameters, `Depends`, the return type.

    Raises:
        DefinitionRefused: An annotation cannot be resolved.
    """
    handler = step.handler
    try:
        hints = typing.get_type_hints(handler, include_extras=True)
    except NameError as error:
        raise DefinitionRefused(
            f"step {step.config.name!r}: an annotation of its handler is not defined at run time ({error}); "
            "import it outside of `if TYPE_CHECKING`"
        ) from error

    # A coroutine, though it waits for nothing: FastAPI would call a plain function in a thread.
    async def provide(request: Request) -> Context:
        return _context(step.config.name, streams, request)

    signature = inspect.signature(handler)
    parameters = [
        _injected(parameter, provide)
        if _is_context(hints.get(name))
        else parameter.replace(annotation=hints.get(name, parameter.annotation), kind=_KEYWORD)
        for name, parameter in signature.parameters.items()
    ]
    wrapped = _called(handler)
    wrapped.__signature__ = signature.replace(  # type: ignore[attr-defined]  # what FastAPI reads
        parameters=parameters, return_annotation=hints.get("return", signature.return_annotation)
    )
    return wrapped


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    """What a caller is told of an error of ours: a status and a sentence, never an inside."""
    if isinstance(error, HttpError):
        return JSONResponse(error.body, error.status)
    # A step that asks for a stream that is not there is wrong itself; who called it is not.
    answer = FAULT if isinstance(error, UnknownStream) else answer_to(error)
    if isinstance(error, NotLetIn):
        log_refusal(error, request.url.path)
    elif answer.status >= 500:
        log.error("%s path=%s", error, request.url.path)
    return JSONResponse(answer.body, answer.status, answer.headers)


def _is_context(hint: Any) -> bool:
    """Whether a parameter wants the context: `Context`, or `Context | None` for calls by hand."""
    return hint is Context or Context in typing.get_args(hint)


def _injected(parameter: inspect.Parameter, provide: Callable[..., Awaitable[Context]]) -> inspect.Parameter:
    return parameter.replace(
        annotation=Annotated[Context, Depends(provide)], default=inspect.Parameter.empty, kind=_KEYWORD
    )


def _called(handler: Callable[..., Any]) -> Callable[..., Any]:
    # FastAPI runs plain functions in a thread, and awaits the others: the wrapper must be of the same kind.
    if inspect.iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def waiting(**arguments: Any) -> Any:
            return await handler(**arguments)

        return waiting

    @functools.wraps(handler)
    def calling(**arguments: Any) -> Any:
        return handler(**arguments)

    return calling


def _context(step: str, streams: StreamsByName, request: Request) -> Context:
    auth = auth_of(request)
    traceparent = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    if traceparent is None:
        return Context(streams, step, auth=auth)
    return Context(streams, step, traceparent[1], auth)
