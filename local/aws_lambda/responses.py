"""What a function answers, as the HTTP response that a client gets, in each of the four shapes."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from local.aws_lambda.events import Shape


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response as the client gets it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    """With lower-case names; a name may be there more than once (`set-cookie`)."""
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        return next((value for given, value in self.headers if given == name.lower()), None)


def to_response(answer: bytes, shape: Shape) -> HttpResponse:
    """Read what the handler returned. What cannot be read becomes what AWS says of a function that failed."""
    try:
        said = json.loads(answer)
        if shape in (Shape.HTTP_API, Shape.FUNCTION_URL):
            return _payload_2(said)
        return _multi_value(said, shape)
    except (ValueError, TypeError, KeyError, AttributeError, binascii.Error):
        return failure(shape)


def failure(shape: Shape) -> HttpResponse:
    """The function ended with an error: its client hears only that it did."""
    match shape:
        case Shape.HTTP_API:
            return _message(500, "Internal Server Error")
        case Shape.REST:
            return _message(502, "Internal server error")
        case Shape.FUNCTION_URL:
            return _text(502, "Internal Server Error")
        case Shape.ALB | Shape.ALB_MULTI_VALUE:
            return _text(502, "502 Bad Gateway")


def refusal(status: int, shape: Shape) -> HttpResponse:
    """Lambda did not run the function: too many calls (429), or a request that is too large (413)."""
    if status == 413:
        return _message(413, "Request Entity Too Large")
    match shape:
        case Shape.HTTP_API:
            return _message(503, "Service Unavailable")
        case Shape.REST:
            return _message(500, "Internal server error")
        case Shape.FUNCTION_URL:
            return _text(429, "Too Many Requests") if status == 429 else failure(shape)
        case Shape.ALB | Shape.ALB_MULTI_VALUE:
            return failure(shape)


def _payload_2(said: Any) -> HttpResponse:
    if not isinstance(said, dict) or "statusCode" not in said:
        # Format 2.0 takes anything: it is the body then, as JSON.
        text = said if isinstance(said, str) else json.dumps(said)
        return HttpResponse(200, (("content-type", "application/json"),), text.encode())
    headers = [(name.lower(), _header(value)) for name, value in (said.get("headers") or {}).items()]
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "application/json"))
    headers += [("set-cookie", str(cookie)) for cookie in said.get("cookies") or []]
    return HttpResponse(_status(said), tuple(headers), _body(said))


def _multi_value(said: Any, shape: Shape) -> HttpResponse:
    single, multi = said.get("headers") or {}, said.get("multiValueHeaders") or {}
    if shape is Shape.ALB:
        multi = {}
    elif shape is Shape.ALB_MULTI_VALUE:
        single = {}
    repeated = {name.lower() for name in multi}
    headers = [
        (name.lower(), _header(value)) for name, value in single.items() if name.lower() not in repeated
    ]
    headers += [(name.lower(), _header(value)) for name, values in multi.items() for value in values]
    if shape is Shape.REST and not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "application/json"))
    return HttpResponse(_status(said), tuple(headers), _body(said))


def _status(said: dict[str, Any]) -> int:
    status = int(said["statusCode"])
    if not 100 <= status <= 599:
        raise ValueError(f"{status} is no HTTP status")
    return status


def _header(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise TypeError("a header is a string")


def _body(said: dict[str, Any]) -> bytes:
    body = said.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise TypeError("a body is a string")
    return base64.b64decode(body, validate=True) if said.get("isBase64Encoded") else body.encode()


def _message(status: int, message: str) -> HttpResponse:
    body = json.dumps({"message": message}).encode()
    return HttpResponse(status, (("content-type", "application/json"),), body)


def _text(status: int, text: str) -> HttpResponse:
    return HttpResponse(status, (("content-type", "text/plain"),), text.encode())
