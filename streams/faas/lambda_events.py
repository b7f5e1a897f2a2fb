"""Events of AWS Lambda ⇄ HTTP. Mangum knows their forms; this says which one it is, and what is none.

| form | who makes it |
|---|---|
| HTTP API, payload 2.0 | API Gateway, and function URLs |
| REST API, payload 1.0 | API Gateway |
| ALB | an Application Load Balancer, with or without multi-value headers |
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Mapping
from typing import Any

from mangum.handlers import ALB, APIGateway, HTTPGateway
from mangum.types import LambdaConfig, LambdaHandler
from starlette.types import ASGIApp, Message

from streams.answers import FAULT, Answer
from streams.errors import EventNotTaken

log = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 6_291_556
"""What Lambda takes from a function. Of more, callers would see a 502 without a word."""

MAX_ALB_ANSWER_BYTES = 1_000_000
"""What a load balancer takes."""

_NOT_READABLE = Answer(400, "BAD_REQUEST", "the request cannot be read; check its headers and its body")

_ESCAPES = sys.version_info < (3, 12)
"""Whether Lambda's runtime writes what is not ASCII as `\\u....`: it counts as sent."""

_CONFIG = LambdaConfig(
    api_gateway_base_path="/",
    text_mime_types=[
        "text/", "application/json", "application/javascript", "application/xml", "application/problem+json",
    ],
    exclude_headers=[],
)  # fmt: skip


class Call:
    """One HTTP request that came as an event.

    Raises:
        EventNotTaken: The event is no HTTP request.
    """

    def __init__(self, event: object, context: Any) -> None:
        form, request = _form_of(event)
        self._handler: LambdaHandler = form(request, context, _CONFIG)
        self._is_alb = form is ALB
        self._wants_lists = self._is_alb and "multiValueHeaders" in request
        self._path = _decoded_path(request) if form is HTTPGateway else None

    async def run(self, app: ASGIApp) -> dict[str, Any]:
        """Let an app answer. What it raises is logged, and answered with 500."""
        try:
            scope, body = dict(self._handler.scope), self._handler.body
            if self._path is not None:
                # An HTTP API has decoded it, and Mangum would decode it again.
                scope["path"] = self._path
            if self._is_alb:
                # The load balancer adds who talks to it at the end; what stands before may be made up.
                scope["client"] = (scope["client"][0].rpartition(",")[2].strip(), 0)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            log.info("an event that cannot be read as a request: %r", error)
            return self.refusal(_NOT_READABLE)
        answering = _Answering(body)
        try:
            await app(scope, answering.receive, answering.send)
        except Exception:
            log.exception("the request failed path=%s", scope["path"])
        if answering.status is None or not answering.is_whole:
            return self.refusal(FAULT)
        return self._fitting(answering.status, answering.headers, b"".join(answering.parts))

    def refusal(self, answer: Answer) -> dict[str, Any]:
        """An answer of ours in the event's form."""
        headers = {"content-type": "application/json", **answer.headers}
        form = (
            {"multiValueHeaders": {name: [value] for name, value in headers.items()}}
            if self._wants_lists
            else {"headers": headers}
        )
        body = json.dumps(answer.body, ensure_ascii=False)
        return {"statusCode": answer.status, **form, "body": body, "isBase64Encoded": False}

    def _fitting(self, status: int, headers: list[list[bytes]], body: bytes) -> dict[str, Any]:
        try:
            answer = self._handler({"status": status, "headers": headers, "body": body})
        except UnicodeDecodeError:
            # HTTP has Latin-1 there; Lambda's answer is JSON.
            log.error("a header of the answer is no UTF-8, so it cannot be sent from here")
            return self.refusal(FAULT)
        limit = MAX_ALB_ANSWER_BYTES if self._is_alb else MAX_ANSWER_BYTES
        # A character becomes six bytes at most, so that small answers need not be looked at.
        if 6 * len(body) > limit and (size := _sent_bytes(answer)) > limit:
            sentence = (
                f"the answer has {size} bytes, and {limit} can be sent from here; "
                "ask for less at a time, for example with last= and before="
            )
            log.error("%s", sentence)
            return self.refusal(Answer(500, "ANSWER_TOO_LARGE", sentence))
        return answer


def _sent_bytes(answer: dict[str, Any]) -> int:
    return len(json.dumps(answer, ensure_ascii=_ESCAPES).encode("utf-8", "surrogatepass"))


class _Answering:
    """The two ends of one ASGI call: a body that is there, and an answer that is collected."""

    def __init__(self, body: bytes) -> None:
        self.status: int | None = None
        self.headers: list[list[bytes]] = []
        self.parts: list[bytes] = []
        self.is_whole = False
        """Whether the last part has come. Here, half an answer looks like one."""
        self._body: bytes | None = body

    async def receive(self) -> Message:
        body, self._body = self._body, None
        if body is None:
            # Everything was received, and whoever waits for the answer does not go away before it ends.
            await asyncio.get_running_loop().create_future()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = (
                message["status"],
                [list(header) for header in message.get("headers", ())],
            )
        elif message["type"] == "http.response.body":
            self.parts.append(message.get("body", b""))
            self.is_whole = not message.get("more_body", False)


def _form_of(event: object) -> tuple[type[LambdaHandler], Any]:
    """The form of an event, and the event without the stage in its path."""
    if isinstance(event, Mapping) and isinstance(around := event.get("requestContext"), Mapping):
        if "elb" in around:
            return ALB, event
        if "connectionId" in around:
            raise _not_taken("an event of a WebSocket API", "clients connect to `streams gateway`")
        if event.get("version") == "2.0" and isinstance(around.get("http"), Mapping):
            return HTTPGateway, _without_stage(event, around)
        if "httpMethod" in event:
            return APIGateway, event
    raise _not_taken(_named(event), "let the function be called by an API, a URL or a load balancer alone")


def _without_stage(event: Mapping[str, Any], around: Mapping[str, Any]) -> Mapping[str, Any]:
    """The address that AWS gives to an API names the stage in the path, except for `$default`."""
    prefix, path = f"/{around.get('stage')}", around["http"].get("path")
    is_given_by_aws = ".execute-api." in str(around.get("domainName"))
    if not is_given_by_aws or not isinstance(path, str) or not f"{path}/".startswith(f"{prefix}/"):
        return event
    http = {**around["http"], "path": path[len(prefix) :] or "/"}
    return {**event, "requestContext": {**around, "http": http}}


def _decoded_path(event: Mapping[str, Any]) -> str | None:
    """The path, where it came decoded: from an HTTP API, not from a function URL of the same form."""
    around = event["requestContext"]
    return None if ".lambda-url." in str(around.get("domainName")) else around["http"].get("path") or "/"


def _not_taken(what: str, instead: str) -> EventNotTaken:
    return EventNotTaken(f"this function answers HTTP requests, and was given {what}; {instead}")


def _named(event: object) -> str:
    """What an event is, for whoever has to find out where it came from."""
    match event:
        case {"Records": [{"eventSource": str(source)}, *_]} | {
            "Records": [{"EventSource": str(source)}, *_]
        }:
            return f"records of {source}"
        case {"Records": [{"cf": _}, *_]}:
            return "an event of Lambda@Edge"
        case {"source": str(source), "detail-type": str(kind)}:
            return f"the event {kind!r} of {source} (EventBridge)"
        case Mapping() if event:
            return f"an event with {', '.join(sorted(map(str, event))[:8])}"
        case Mapping():
            return "an empty event"
        case _:
            return f"a {type(event).__name__} for an event"
