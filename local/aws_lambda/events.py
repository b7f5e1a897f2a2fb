"""HTTP requests as events: what AWS puts before a function makes of a request, in four shapes.

All four hand the query on as it came or take it apart, and differ in nearly
everything else. A path keeps its percent-encoding, except in an HTTP API,
which decodes it. A body is text where its content type is one of a few, and
base64 everywhere else, also without a content type.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, unquote
from uuid import uuid4

from local.aws_lambda.account import ACCOUNT, REGION

TEXT_TYPES = ("application/json", "application/javascript", "application/xml")
"""Besides `text/*`. Forms are not among them."""


class Shape(StrEnum):
    """Who asks the function, and so how a request and its response look."""

    HTTP_API = "http-api"
    """API Gateway, HTTP API with payload format 2.0 and the stage `$default`."""
    FUNCTION_URL = "function-url"
    REST = "rest"
    """API Gateway, REST API: `/{proxy+}` on the stage `dev`; whatever is no text is a binary media type."""
    ALB = "alb"
    """An Application Load Balancer by default: of a repeated header or query key, the last one is left."""
    ALB_MULTI_VALUE = "alb-multi-value"
    """The same, with the target group's multi-value headers."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as a client sends it."""

    method: str
    target: str
    """Path and query as they stand in the request line: percent-encoded."""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    client_ip: str = "203.0.113.7"

    @classmethod
    def of(
        cls, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes | str = b""
    ) -> HttpRequest:
        """A request without repeated headers."""
        encoded = body.encode() if isinstance(body, str) else body
        return cls(method, target, tuple((headers or {}).items()), encoded)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


def to_event(request: HttpRequest, shape: Shape) -> dict[str, Any]:
    """The event that the function is invoked with."""
    match shape:
        case Shape.HTTP_API:
            return _payload_2(
                request,
                host="a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
                path=unquote(request.path),
                account=ACCOUNT,
            )
        case Shape.FUNCTION_URL:
            host = "a1b2c3d4e5.lambda-url.us-east-1.on.aws"
            return _payload_2(request, host=host, path=request.path, account="anonymous")
        case Shape.REST:
            return _rest(request)
        case Shape.ALB:
            return _alb(request, is_multi_value=False)
        case Shape.ALB_MULTI_VALUE:
            return _alb(request, is_multi_value=True)


def _payload_2(request: HttpRequest, *, host: str, path: str, account: str) -> dict[str, Any]:
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in _with_forwarded(request, host, port="443", scheme="https"):
        name = name.lower()
        if name == "cookie":
            cookies += [cookie.strip() for cookie in value.split(";")]
        else:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": {
            "accountId": account,
            "apiId": host.partition(".")[0],
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.client_ip,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": str(uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
            "timeEpoch": round(time.time() * 1000),
        },
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if request.query:
        pairs = _gathered(_pairs(request.query))
        event["queryStringParameters"] = {name: ",".join(values) for name, values in pairs.items()}
    if request.body:
        event["body"], event["isBase64Encoded"] = _body(request)
    return event


def _rest(request: HttpRequest) -> dict[str, Any]:
    host = "f6g7h8i9j0.execute-api.us-east-1.amazonaws.com"
    headers = _gathered(_with_forwarded(request, host, port="443", scheme="https", is_titled=True))
    query = _gathered(_pairs(request.query))
    body, is_base64 = _body(request) if request.body else (None, False)
    user_agent = next((values[-1] for name, values in headers.items() if name.lower() == "user-agent"), None)
    return {
        "resource": "/{proxy+}",
        "path": request.path,
        "httpMethod": request.method,
        "headers": _last(headers),
        "multiValueHeaders": headers,
        "queryStringParameters": _last(query) or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": {"proxy": unquote(request.path.lstrip("/"))},
        "stageVariables": None,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": host.partition(".")[0],
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "extendedRequestId": "JKJaXmPLvHcESHA=",
            "httpMethod": request.method,
            "identity": {"sourceIp": request.client_ip, "userAgent": user_agent},
            "path": f"/dev{request.path}",
            "protocol": "HTTP/1.1",
            "requestId": str(uuid4()),
            "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
            "requestTimeEpoch": round(time.time() * 1000),
            "resourceId": "abc123",
            "resourcePath": "/{proxy+}",
            "stage": "dev",
        },
        "body": body,
        "isBase64Encoded": is_base64,
    }


def _alb(request: HttpRequest, *, is_multi_value: bool) -> dict[str, Any]:
    host = "todo-1234567890.us-east-1.elb.amazonaws.com"
    forwarded = _with_forwarded(request, host, port="80", scheme="http")
    headers = _gathered((name.lower(), value) for name, value in forwarded)
    # A load balancer takes the query apart and decodes nothing in it.
    parts = (part.partition("=") for part in request.query.split("&") if part)
    query = _gathered((name, value) for name, _, value in parts)
    body, is_base64 = _body(request) if request.body else ("", False)
    target_group = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/todo/6d0ecf831eec9f09"
    event: dict[str, Any] = {
        "requestContext": {"elb": {"targetGroupArn": target_group}},
        "httpMethod": request.method,
        "path": request.path,
    }
    if is_multi_value:
        event |= {"multiValueQueryStringParameters": query, "multiValueHeaders": headers}
    else:
        event |= {"queryStringParameters": _last(query), "headers": _last(headers)}
    return {**event, "body": body, "isBase64Encoded": is_base64}


def _with_forwarded(
    request: HttpRequest, host: str, *, port: str, scheme: str, is_titled: bool = False
) -> list[tuple[str, str]]:
    """The request's headers as the function gets them: with where they came from, and without what was
    meant for the connection."""
    given = {name.lower() for name, _ in request.headers}
    earlier = [value for name, value in request.headers if name.lower() == "x-forwarded-for"]
    own = {
        "x-amzn-trace-id": f"Root=1-{int(time.time()):08x}-{uuid4().hex[:24]}",
        "x-forwarded-for": ", ".join([*earlier, request.client_ip]),
        "x-forwarded-port": port,
        "x-forwarded-proto": scheme,
    }
    if "host" not in given:
        own["host"] = host
    if request.body and "content-length" not in given:
        own["content-length"] = str(len(request.body))
    dropped = {*own, "connection", "keep-alive", "transfer-encoding", "upgrade"}
    kept = [(name, value) for name, value in request.headers if name.lower() not in dropped]
    return kept + [(name.title() if is_titled else name, value) for name, value in own.items()]


def _body(request: HttpRequest) -> tuple[str, bool]:
    kinds = [value for name, value in request.headers if name.lower() == "content-type"]
    kind = kinds[-1].partition(";")[0].strip().lower() if kinds else ""
    is_packed = any(name.lower() == "content-encoding" for name, _ in request.headers)
    if not is_packed and (kind.startswith("text/") or kind in TEXT_TYPES):
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(request.body).decode(), True


def _pairs(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)


def _gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    gathered: dict[str, list[str]] = {}
    for name, value in pairs:
        gathered.setdefault(name, []).append(value)
    return gathered


def _last(gathered: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: values[-1] for name, values in gathered.items()}
