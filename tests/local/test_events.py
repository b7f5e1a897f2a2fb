"""HTTP requests as the events of AWS, read by Mangum as functions read them, and the way back."""

from __future__ import annotations

import base64
import json
from typing import Any, cast
from urllib.parse import quote

import pytest
from fastapi import FastAPI, Request, Response
from mangum import Mangum
from mangum.protocols import HTTPCycle

from local.aws_lambda import HttpRequest, HttpResponse, Shape, to_event, to_response

PAYLOAD_2 = (Shape.HTTP_API, Shape.FUNCTION_URL)
BINARY = bytes(range(256))


def application() -> FastAPI:
    app = FastAPI()

    @app.api_route("/seen/{rest:path}", methods=["GET", "POST"])
    async def seen(request: Request, rest: str) -> dict[str, Any]:
        return {
            "method": request.method,
            "path": request.url.path,
            "rest": rest,
            "query": list(request.query_params.multi_items()),
            "cookies": request.cookies,
            "x-kind": request.headers.get("x-kind"),
            "client": request.client and request.client.host,
            "scheme": request.url.scheme,
            "body": (await request.body()).decode(),
        }

    @app.post("/binary")
    async def binary(request: Request) -> Response:
        body = await request.body()
        assert body == BINARY
        return Response(body[::-1], media_type="image/png")

    @app.get("/cookies")
    async def cookies() -> Response:
        response = Response("text", status_code=201)
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    return app


async def exchanged(request: HttpRequest, shape: Shape) -> HttpResponse:
    """What a client gets from the application behind Mangum, behind this shape."""
    app = application()
    # As it comes to a function: through JSON.
    event = json.loads(json.dumps(to_event(request, shape)))
    handler = Mangum(app, lifespan="off").infer(event, cast(Any, None))
    cycle = HTTPCycle(handler.scope, handler.body)
    await cycle.run(cast(Any, app))
    answer = handler({"status": cycle.status, "headers": cycle.headers, "body": cycle.body})
    return to_response(json.dumps(answer).encode(), shape)


async def seen(request: HttpRequest, shape: Shape) -> dict[str, Any]:
    response = await exchanged(request, shape)
    assert response.status == 200
    return cast(dict[str, Any], json.loads(response.body))


@pytest.mark.parametrize("shape", Shape)
async def test_a_request_arrives_as_it_was_sent(shape):
    request = HttpRequest.of(
        "POST",
        "/seen/inbox?x=1",
        headers={"Content-Type": "application/json", "X-Kind": "new"},
        body='{"text": "Äpfel"}',
    )

    said = await seen(request, shape)

    assert said["method"] == "POST"
    assert said["path"] == "/seen/inbox"
    assert said["query"] == [["x", "1"]]
    assert said["x-kind"] == "new"
    assert said["client"] == "203.0.113.7"
    assert said["body"] == '{"text": "Äpfel"}'
    assert said["scheme"] == ("http" if "alb" in shape else "https")


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("name", ["größe", "a b", "日本/語", "50%", "a+b", "a&b=c"])
async def test_a_name_in_a_path_arrives_in_any_script(shape, name):
    said = await seen(HttpRequest.of("GET", f"/seen/{quote(name)}"), shape)

    assert said["rest"] == name


async def test_an_http_api_decodes_the_path_itself_so_that_a_percent_sign_is_decoded_twice():
    twice = HttpRequest.of("GET", f"/seen/{quote('50%25')}")

    assert to_event(twice, Shape.HTTP_API)["rawPath"] == "/seen/50%25"
    assert to_event(twice, Shape.FUNCTION_URL)["rawPath"] == "/seen/50%2525"
    assert (await seen(twice, Shape.HTTP_API))["rest"] == "50%"
    assert (await seen(twice, Shape.FUNCTION_URL))["rest"] == "50%25"


@pytest.mark.parametrize("shape", [shape for shape in Shape if shape is not Shape.ALB])
async def test_a_query_key_may_come_more_than_once(shape):
    said = await seen(HttpRequest.of("GET", "/seen/x?tag=a%20b&tag=%C3%A4&empty="), shape)

    assert sorted(said["query"]) == [["empty", ""], ["tag", "a b"], ["tag", "ä"]]


async def test_a_load_balancer_leaves_the_last_of_a_repeated_key_unless_multi_values_are_on():
    request = HttpRequest(
        "GET",
        "/seen/x?tag=a%20b&tag=%C3%A4",
        (("x-kind", "one"), ("x-kind", "two")),
    )

    single, multi = to_event(request, Shape.ALB), to_event(request, Shape.ALB_MULTI_VALUE)

    assert single["queryStringParameters"] == {"tag": "%C3%A4"}
    assert single["headers"]["x-kind"] == "two"
    assert multi["multiValueQueryStringParameters"] == {"tag": ["a%20b", "%C3%A4"]}
    assert multi["multiValueHeaders"]["x-kind"] == ["one", "two"]
    assert (await seen(request, Shape.ALB))["query"] == [["tag", "ä"]]


@pytest.mark.parametrize("shape", Shape)
async def test_bytes_that_are_no_text_arrive_and_come_back(shape):
    request = HttpRequest.of("POST", "/binary", headers={"content-type": "image/png"}, body=BINARY)

    event, response = to_event(request, shape), await exchanged(request, shape)

    assert event["isBase64Encoded"] is True
    assert response.body == BINARY[::-1]
    assert response.header("content-type") == "image/png"


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize(
    ("headers", "is_text"),
    [
        ({"content-type": "application/json; charset=utf-8"}, True),
        ({"content-type": "text/csv"}, True),
        ({"content-type": "application/xml"}, True),
        ({"content-type": "application/x-www-form-urlencoded"}, False),
        ({"content-type": "application/json", "content-encoding": "gzip"}, False),
        ({}, False),
    ],
)
def test_a_body_is_text_for_a_few_content_types_only(shape, headers, is_text):
    event = to_event(HttpRequest.of("POST", "/", headers=headers, body="milk"), shape)

    assert event["body"] == ("milk" if is_text else base64.b64encode(b"milk").decode())
    assert event["isBase64Encoded"] is not is_text


@pytest.mark.parametrize("shape", Shape)
async def test_cookies_go_both_ways(shape):
    request = HttpRequest.of("GET", "/seen/x", headers={"Cookie": "theme=dark; lang=en"})

    said, response = await seen(request, shape), await exchanged(HttpRequest.of("GET", "/cookies"), shape)

    assert said["cookies"] == {"theme": "dark", "lang": "en"}
    given = [value.partition(";")[0] for name, value in response.headers if name == "set-cookie"]
    assert given == ["a=1", "b=2"]
    assert (response.status, response.body) == (201, b"text")


@pytest.mark.parametrize("shape", PAYLOAD_2)
def test_format_2_keeps_cookies_apart_and_joins_what_is_repeated(shape):
    request = HttpRequest("GET", "/x?a=1&a=2", (("Cookie", "a=1; b=2"), ("X-Kind", "one"), ("X-Kind", "two")))

    event = to_event(request, shape)

    assert event["cookies"] == ["a=1", "b=2"]
    assert "cookie" not in event["headers"]
    assert event["headers"]["x-kind"] == "one,two"
    assert event["queryStringParameters"] == {"a": "1,2"}
    assert event["rawQueryString"] == "a=1&a=2"
    assert "body" not in event


def test_a_rest_api_keeps_the_stage_out_of_the_path_and_null_where_nothing_is():
    event = to_event(HttpRequest.of("GET", "/todo/1"), Shape.REST)

    assert (event["path"], event["requestContext"]["path"]) == ("/todo/1", "/dev/todo/1")
    assert event["pathParameters"] == {"proxy": "todo/1"}
    assert (event["body"], event["queryStringParameters"]) == (None, None)


@pytest.mark.parametrize("shape", Shape)
def test_the_way_of_a_request_is_written_on_by_who_hands_it_over(shape):
    request = HttpRequest.of("GET", "/", headers={"x-forwarded-for": "10.0.0.1"})

    event = to_event(request, shape)

    headers = event.get("headers") or {k: v[-1] for k, v in event["multiValueHeaders"].items()}
    forwarded = {name.lower(): value for name, value in headers.items()}["x-forwarded-for"]
    assert forwarded == "10.0.0.1, 203.0.113.7"


@pytest.mark.parametrize("shape", PAYLOAD_2)
def test_format_2_takes_anything_for_a_body(shape):
    response = to_response(b'{"milk": 1}', shape)

    assert response == HttpResponse(200, (("content-type", "application/json"),), b'{"milk": 1}')


@pytest.mark.parametrize(
    "answer",
    [
        b"null",
        b'{"body": "no status"}',
        b'{"statusCode": 200, "body": {"an": "object"}}',
        b'{"statusCode": 200, "isBase64Encoded": true, "body": "not base64!"}',
        b'{"statusCode": "many"}',
        b"no json",
    ],
)
@pytest.mark.parametrize("shape", [Shape.REST, Shape.ALB, Shape.ALB_MULTI_VALUE])
def test_an_answer_that_is_no_response_is_a_bad_gateway(shape, answer):
    assert to_response(answer, shape).status == 502
