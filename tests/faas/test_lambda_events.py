"""What Lambda is given and what it is answered, form by form. The forms as AWS documents them."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from streams.errors import EventNotTaken
from streams.faas import lambda_events
from streams.faas.lambda_events import MAX_ALB_ANSWER_BYTES, MAX_ANSWER_BYTES, Call


def http_api(path: str = "/todo", body: str | None = None, **others: Any) -> dict[str, Any]:
    around = {
        "http": {"method": "POST", "path": path, "sourceIp": "192.0.2.1", "protocol": "HTTP/1.1"},
        "stage": others.pop("stage", "$default"),
        "domainName": others.pop("domain", "abc.execute-api.eu-central-1.amazonaws.com"),
    }
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "a=1&a=2",
        "headers": {"host": "example.com", "content-type": "application/json"},
        "requestContext": around,
        "body": body,
        "isBase64Encoded": False,
        **others,
    }


def rest(path: str = "/todo", **others: Any) -> dict[str, Any]:
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": "POST",
        "headers": {"Host": "example.com"},
        "multiValueHeaders": {"Host": ["example.com"], "X-Two": ["1", "2"]},
        "queryStringParameters": {"a": "2"},
        "multiValueQueryStringParameters": {"a": ["1", "2"]},
        "requestContext": {"identity": {"sourceIp": "192.0.2.1"}, "stage": "prod"},
        "body": None,
        "isBase64Encoded": False,
        **others,
    }


def alb(path: str = "/todo", *, lists: bool = False, **others: Any) -> dict[str, Any]:
    headers = {"host": "example.com", "x-forwarded-for": "198.51.100.7, 192.0.2.1"}
    said: dict[str, Any] = {"headers": headers, "queryStringParameters": {"a": "2"}}
    if lists:
        said = {
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "multiValueQueryStringParameters": {"a": ["1", "2"]},
        }
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:..."}},
        "httpMethod": "POST",
        "path": path,
        "body": "",
        "isBase64Encoded": False,
        **said,
        **others,
    }


FORMS = {"http api": http_api, "rest": rest, "alb": alb, "alb with lists": lambda **o: alb(lists=True, **o)}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    body = await request.body()
    said = {
        "method": request.method,
        "path": scope["path"],
        "a": request.query_params.getlist("a"),
        "ip": request.client.host if request.client else None,
        "body": base64.b64encode(body).decode(),
    }
    await JSONResponse(said)(scope, receive, send)


async def answered(event: object, app: Any = echo) -> dict[str, Any]:
    return await Call(event, None).run(app)


@every_form
async def test_a_request_comes_through(form):
    answer = await answered(form(body='{"description":"Milk"}'))

    said = json.loads(answer["body"])
    assert answer["statusCode"] == 200
    assert (said["method"], said["path"]) == ("POST", "/todo")
    assert base64.b64decode(said["body"]) == b'{"description":"Milk"}'


@every_form
async def test_a_client_is_who_aws_says_it_is_and_not_what_it_says_itself(form):
    assert json.loads((await answered(form()))["body"])["ip"] == "192.0.2.1"


@pytest.mark.parametrize("form", [http_api, rest, FORMS["alb with lists"]])
async def test_a_parameter_that_comes_twice_is_there_twice(form):
    assert json.loads((await answered(form()))["body"])["a"] == ["1", "2"]


@every_form
async def test_bytes_go_both_ways(form):
    sent = bytes(range(256))

    async def back(scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        await Response(body, media_type="application/octet-stream")(scope, receive, send)

    answer = await answered(form(body=base64.b64encode(sent).decode(), isBase64Encoded=True), back)

    assert answer["isBase64Encoded"] is True
    assert base64.b64decode(answer["body"]) == sent


@pytest.mark.parametrize(
    ("path", "stage", "domain", "seen"),
    [
        ("/dev/todo", "dev", "abc.execute-api.eu-central-1.amazonaws.com", "/todo"),
        ("/dev", "dev", "abc.execute-api.eu-central-1.amazonaws.com", "/"),
        ("/device/1", "dev", "abc.execute-api.eu-central-1.amazonaws.com", "/device/1"),
        ("/dev/todo", "dev", "api.example.com", "/dev/todo"),
        ("/todo", "$default", "abc.execute-api.eu-central-1.amazonaws.com", "/todo"),
    ],
)
async def test_the_name_of_a_stage_in_an_address_of_aws_is_no_part_of_the_path(path, stage, domain, seen):
    answer = await answered(http_api(path, stage=stage, domain=domain))

    assert json.loads(answer["body"])["path"] == seen


async def test_two_cookies_are_two_cookies():
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = Response("")
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        await response(scope, receive, send)

    def names(cookies: list[str]) -> list[str]:
        return [cookie.partition("=")[0] for cookie in cookies]

    assert names((await answered(http_api(), app))["cookies"]) == ["a", "b"]
    assert names((await answered(rest(), app))["multiValueHeaders"]["set-cookie"]) == ["a", "b"]
    with_lists = await answered(alb(lists=True), app)
    assert names(with_lists["multiValueHeaders"]["set-cookie"]) == ["a", "b"]


@pytest.mark.parametrize(
    "broken",
    [
        http_api(body="abc", isBase64Encoded=True),
        http_api(headers={"host": "a:b:c"}),
        http_api(headers={"host": "example.com", "x-forwarded-port": "none"}),
        http_api(headers=None),
        http_api(headers={"host": 7}),
        rest(path=None, httpMethod=None, requestContext={}),
        alb(path=7),
        alb(headers=None),
    ],
    ids=repr,
)
async def test_what_cannot_be_read_is_answered_with_400_or_as_far_as_it_can_be(broken):
    answer = await answered(broken)

    assert answer["statusCode"] in (200, 400)


async def test_a_body_that_is_no_base64_is_answered_in_the_form_that_was_asked_in():
    event = alb(lists=True, body="abc", isBase64Encoded=True)

    answer = await answered(event)

    assert answer["statusCode"] == 400
    assert answer["multiValueHeaders"] == {"content-type": ["application/json"]}
    assert json.loads(answer["body"])["code"] == "BAD_REQUEST"


@every_form
async def test_an_app_that_raises_is_answered_with_500_and_says_nothing_of_it(form, caplog):
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("the password is 1234")

    answer = await answered(form(), app)

    assert answer["statusCode"] == 500
    assert json.loads(answer["body"]) == {"error": "Internal Server Error", "code": "INTERNAL_ERROR"}
    assert "the password is 1234" in caplog.text


@every_form
async def test_an_answer_that_breaks_off_is_none(form):
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def parts() -> AsyncIterator[bytes]:
            yield b'{"rows": ['
            raise RuntimeError("no more")

        await StreamingResponse(parts(), media_type="application/json")(scope, receive, send)

    assert (await answered(form(), app))["statusCode"] == 500


async def test_what_fails_after_the_answer_leaves_the_answer_as_it_is():
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("done")(scope, receive, send)
        raise RuntimeError("in a background task")

    answer = await answered(http_api(), app)

    assert (answer["statusCode"], answer["body"]) == (200, "done")


@pytest.mark.parametrize(("path", "id"), [("/todo/50%25", "50%25"), ("/todo/a b/c", "a b/c")])
async def test_a_path_that_an_http_api_has_decoded_is_not_decoded_again(path, id):
    assert json.loads((await answered(http_api(path)))["body"])["path"] == f"/todo/{id}"


async def test_a_path_of_a_function_url_is_decoded_once():
    event = http_api("/todo/50%2525", domain="abc.lambda-url.eu-central-1.on.aws")

    assert json.loads((await answered(event))["body"])["path"] == "/todo/50%25"


@pytest.mark.parametrize(("escapes", "status"), [(True, 500), (False, 200)])
async def test_letters_count_as_the_runtime_writes_them(escapes, status, monkeypatch):
    monkeypatch.setattr(lambda_events, "_ESCAPES", escapes)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("я" * 1_100_000, media_type="text/plain")(scope, receive, send)

    assert (await answered(http_api(), app))["statusCode"] == status


async def test_a_header_that_lambda_cannot_carry_is_answered_with_500():
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("", headers={"x-name": "J\u00f6rg"})(scope, receive, send)

    assert (await answered(http_api(), app))["statusCode"] == 500


@pytest.mark.parametrize(("form", "limit"), [(http_api, MAX_ANSWER_BYTES), (alb, MAX_ALB_ANSWER_BYTES)])
async def test_an_answer_that_is_too_large_to_be_sent_says_what_to_do(form, limit):
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("x" * limit, media_type="text/plain")(scope, receive, send)

    answer = await answered(form(), app)

    said = json.loads(answer["body"])
    assert answer["statusCode"] == 500
    assert said["code"] == "ANSWER_TOO_LARGE"
    assert f"{limit} can be sent from here; ask for less at a time" in said["error"]


async def test_the_largest_answer_that_can_be_sent_is_sent():
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("x" * (MAX_ANSWER_BYTES - 1000), media_type="text/plain")(scope, receive, send)

    assert (await answered(http_api(), app))["statusCode"] == 200


@pytest.mark.parametrize(
    ("event", "named"),
    [
        ({"Records": [{"eventSource": "aws:sqs", "body": "{}"}]}, "records of aws:sqs"),
        ({"Records": [{"EventSource": "aws:sns", "Sns": {}}]}, "records of aws:sns"),
        ({"Records": [{"eventSource": "aws:s3"}]}, "records of aws:s3"),
        ({"Records": [{"cf": {}}]}, "an event of Lambda@Edge"),
        (
            {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}},
            "the event 'Scheduled Event' of aws.events (EventBridge)",
        ),
        (
            {"requestContext": {"connectionId": "x", "eventType": "CONNECT"}},
            "an event of a WebSocket API; clients connect to `streams gateway`",
        ),
        ({"type": "queue", "step": "OnTodo"}, "an event with step, type"),
        ({}, "an empty event"),
        ("ping", "a str for an event"),
        (None, "a NoneType for an event"),
        ([], "a list for an event"),
        ({"requestContext": "elb"}, "an event with requestContext"),
        ({"version": "2.0", "requestContext": {"http": None}}, "an event with requestContext, version"),
    ],
    ids=repr,
)
async def test_what_is_no_request_is_refused_by_its_name(event, named):
    with pytest.raises(EventNotTaken) as refused:
        await answered(event)

    assert f"answers HTTP requests, and was given {named}" in str(refused.value)
