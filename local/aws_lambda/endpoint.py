"""The one port of the emulator: for boto3 the services of AWS, for everybody else the function over HTTP."""

from __future__ import annotations

import base64
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol
from urllib.parse import unquote

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from local.aws_lambda.answers import MAX_EVENT_BYTES, Answer, InvokeRefused
from local.aws_lambda.events import HttpRequest, Shape
from local.aws_lambda.responses import HttpResponse
from local.aws_lambda.stored_secrets import StoredSecrets
from streams.gateway.server import serving

MAX_LOG_TAIL_BYTES = 4096

INVOCATIONS = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")


class Invokable(Protocol):
    """The function behind the port."""

    @property
    def name(self) -> str: ...
    async def http(self, request: HttpRequest, shape: Shape) -> HttpResponse: ...
    async def invoke(self, event: bytes, *, client_context: str | None) -> Answer: ...
    def invoke_later(self, event: bytes) -> str: ...


class Endpoint:
    """The ASGI application. Until `serve` it answers for stored secrets alone."""

    def __init__(self, stored: StoredSecrets, shape: Shape) -> None:
        self._stored, self._shape = stored, shape
        self._function: Invokable | None = None

    def serve(self, function: Invokable) -> None:
        self._function = function

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._answer(request, await request.body())
        await response(scope, receive, send)

    async def _answer(self, request: Request, body: bytes) -> Response:
        if target := request.headers.get("x-amz-target"):
            status, said = self._stored.answer(target, body)
            return Response(said, status, media_type="application/x-amz-json-1.1")
        function = self._function
        if function is None:
            return Response("the function is not there yet; try again", 503)
        path = scope_path(request.scope)
        if request.method == "POST" and (called := INVOCATIONS.fullmatch(path)):
            try:
                return await self._invoke(function, unquote(called[1]), request, body)
            except InvokeRefused as error:
                return _refused(error)
        return await self._over_http(function, request, path, body)

    async def _invoke(self, function: Invokable, asked: str, request: Request, body: bytes) -> Response:
        # A name, a name with a version or alias behind it, or an ARN of either.
        name = asked.partition(":function:")[2] or asked
        if name.partition(":")[0] != function.name:
            arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
            raise InvokeRefused(404, "ResourceNotFoundException", f"Function not found: {arn}")
        _check_json(body)
        match request.headers.get("x-amz-invocation-type", "RequestResponse"):
            case "DryRun":
                return Response(status_code=204)
            case "Event":
                return _accepted(function, body)
            case "RequestResponse":
                context = request.headers.get("x-amz-client-context")
                decoded = base64.b64decode(context).decode() if context else None
                answer = await function.invoke(body or b"{}", client_context=decoded)
                return _answered(answer, has_tail=request.headers.get("x-amz-log-type") == "Tail")
            case kind:
                message = f"Value '{kind}' at 'invocationType' failed to satisfy constraint"
                raise InvokeRefused(400, "InvalidParameterValueException", message)

    async def _over_http(self, function: Invokable, request: Request, path: str, body: bytes) -> Response:
        query = request.scope["query_string"].decode("latin-1")
        asked = HttpRequest(
            method=request.method,
            target=f"{path}?{query}" if query else path,
            headers=tuple(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw
            ),
            body=body,
            client_ip=request.client.host if request.client else "127.0.0.1",
        )
        given = await function.http(asked, self._shape)
        response = Response(given.body, given.status)
        # The length is the server's to say; that of a response to HEAD is not the one of its body.
        response.raw_headers = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in given.headers
            if name not in ("content-length", "connection", "transfer-encoding")
        ]
        if given.status not in (204, 304):
            response.raw_headers.append((b"content-length", str(len(given.body)).encode()))
        return response


def listening_socket(port: int) -> socket.socket:
    """A socket on 127.0.0.1 that writes at once; 0 is any free port."""
    sock = socket.create_server(("127.0.0.1", port))
    # Passed on to each connection. Without it an answer in two parts waits 40 ms for its second one.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


@asynccontextmanager
async def listening(endpoint: Endpoint, sock: socket.socket) -> AsyncIterator[None]:
    """Answer on `sock` for the length of the block."""
    config = uvicorn.Config(
        endpoint,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    async with serving(config, [sock]):
        yield


def scope_path(scope: Scope) -> str:
    """The path as it was sent, percent-encoded."""
    return bytes(scope["raw_path"]).partition(b"?")[0].decode("latin-1")


def _check_json(body: bytes) -> None:
    try:
        json.loads(body or b"{}")
    except ValueError as error:
        message = f"Could not parse request body into json: {error}"
        raise InvokeRefused(400, "InvalidRequestContentException", message) from error


def _accepted(function: Invokable, body: bytes) -> Response:
    if len(body) > MAX_EVENT_BYTES:
        message = (
            f"{len(body)} byte payload is too large for the Event invocation type "
            f"(limit {MAX_EVENT_BYTES} bytes)"
        )
        raise InvokeRefused(413, "RequestTooLargeException", message)
    return Response(status_code=202, headers={"x-amzn-RequestId": function.invoke_later(body or b"{}")})


def _answered(answer: Answer, *, has_tail: bool) -> Response:
    headers = {"x-amzn-RequestId": answer.request_id, "X-Amz-Executed-Version": "$LATEST"}
    if answer.error:
        headers["X-Amz-Function-Error"] = "Unhandled"
    if has_tail:
        tail = answer.logs.encode("utf-8", "replace")[-MAX_LOG_TAIL_BYTES:]
        headers["X-Amz-Log-Result"] = base64.b64encode(tail).decode()
    return Response(answer.body, headers=headers, media_type="application/json")


def _refused(error: InvokeRefused) -> Response:
    body = {"Type": "User", "Message": error.message}
    return Response(
        json.dumps(body),
        error.status,
        headers={"x-amzn-ErrorType": error.code},
        media_type="application/json",
    )
