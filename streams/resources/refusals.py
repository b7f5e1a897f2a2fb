"""What cannot be answered, in the one shape: `{"error": "<sentence>", "code": "<CODE>"}`."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from streams.answers import FAULT, Answer, answer_to
from streams.auth.callers import log_refusal
from streams.errors import NotLetIn, StreamsError

log = logging.getLogger(__name__)


class Refused(StreamsError):
    """A request that cannot be served, whatever the store holds."""

    status = 400

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        super().__init__(sentence)


class NotFound(Refused):
    """What was asked for is not there."""

    status = 404


class TooLong(Refused):
    """The body is longer than anything that could be stored."""

    status = 413


def answered_in_one_shape(api: FastAPI) -> None:
    """Let every error of this API have the one shape, the framework's own too."""
    api.add_exception_handler(StreamsError, answer_error)
    api.add_exception_handler(RequestValidationError, _of_parameters)
    api.add_exception_handler(HTTPException, _of_routing)
    api.add_exception_handler(Exception, _of_nobody)


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    """What a caller is told of an error of ours."""
    answer = Answer(error.status, error.code, str(error)) if isinstance(error, Refused) else answer_to(error)
    if isinstance(error, NotLetIn):
        log_refusal(error, request.url.path)
    elif answer.status >= 500:
        log.error("%s path=%s", error, request.url.path)
    return JSONResponse(answer.body, answer.status, answer.headers)


async def _of_parameters(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = [f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors()]
    return JSONResponse(Answer(422, "INVALID_PARAMETER", "; ".join(found)).body, 422)


async def _of_routing(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        sentence, code = f"{request.method} is not possible here", "METHOD_NOT_ALLOWED"
    else:
        sentence, code = "there is nothing here; see /streams/openapi.json", "NOT_FOUND"
    return JSONResponse(Answer(error.status_code, code, sentence).body, error.status_code, error.headers)


async def _of_nobody(_: Request, error: Exception) -> JSONResponse:
    # The framework logs it, with its traceback, after this.
    return JSONResponse(FAULT.body, FAULT.status)
