"""The function behind a port: plain HTTP requests, and the command that developers run."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import httpx
import pytest

from local.aws_lambda import HttpRequest, Lambda, Shape
from tests.local.written import SECONDS, written

REPOSITORY = Path(__file__).parents[2]

PAGE = """
import base64, json, os

def handler(event, context):
    path = event.get("rawPath") or event["path"]
    if path == "/fail":
        raise ValueError("no milk")
    if path == "/picture":
        return {
            "statusCode": 200,
            "headers": {"content-type": "image/png"},
            "body": base64.b64encode(bytes(range(256))).decode(),
            "isBase64Encoded": True,
        }
    said = {"event": event, "own": os.environ.get("OWN")}
    return {
        "statusCode": 201,
        "headers": {"content-type": "application/json"},
        "cookies": ["a=1", "b=2"],
        "body": json.dumps(said),
    }
"""


async def test_a_request_to_the_port_is_an_event_and_its_response_comes_back(tmp_path):
    async with (
        Lambda.running(written(tmp_path, PAGE), handler="app.handler") as function,
        httpx.AsyncClient(base_url=function.endpoint_url, timeout=SECONDS) as http,
    ):
        response = await http.post("/todo/gr%C3%B6%C3%9Fe?x=1&x=2", json={"text": "Milk"})
        picture = await http.get("/picture")
        head = await http.head("/todo")
        failed = await http.get("/fail")

    event = response.json()["event"]
    assert response.status_code == 201
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert (event["rawPath"], event["rawQueryString"]) == ("/todo/größe", "x=1&x=2")
    assert json.loads(event["body"]) == {"text": "Milk"}
    assert event["requestContext"]["http"]["sourceIp"] == "127.0.0.1"
    assert picture.content == bytes(range(256))
    assert (head.status_code, head.content) == (201, b"")
    assert (failed.status_code, failed.json()) == (500, {"message": "Internal Server Error"})


@pytest.mark.parametrize(
    ("shape", "status"),
    [(Shape.HTTP_API, 500), (Shape.FUNCTION_URL, 502), (Shape.REST, 502), (Shape.ALB, 502)],
)
async def test_a_client_hears_of_a_failed_function_only_that_it_failed(tmp_path, shape, status):
    async with Lambda.running(written(tmp_path, PAGE), handler="app.handler") as function:
        response = await function.http(HttpRequest.of("GET", "/fail"), shape)
        too_large = await function.http(HttpRequest.of("POST", "/", body=b"x" * 5_000_000), shape)

    assert response.status == status
    assert b"milk" not in response.body
    assert too_large.status == 413


async def test_the_command_serves_a_folder_and_says_where(tmp_path):
    written(tmp_path, PAGE)
    command = [sys.executable, "-m", "local.aws_lambda", str(tmp_path), "--handler", "app.handler"]
    options = ["--port", "0", "--env", "OWN=yes", "--shape", "alb", "--freeze", "--timeout", "9"]
    process = await asyncio.create_subprocess_exec(
        *command, *options, cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(SECONDS), httpx.AsyncClient(timeout=SECONDS) as http:
            url = (await process.stdout.readline()).decode().split()[0]
            response = await http.get(f"{url}/todo")
        process.terminate()
        async with asyncio.timeout(SECONDS):
            _, logs = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert process.returncode == 0
    assert response.json()["own"] == "yes"
    assert "elb" in response.json()["event"]["requestContext"]
    assert b"REPORT RequestId" in logs


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/nowhere.zip"], "/nowhere.zip is neither a folder nor a zip file"),
        ([".", "--env", "OWN"], "'OWN' is no NAME=VALUE"),
    ],
)
async def test_the_command_says_what_is_wrong_in_one_sentence(arguments, said):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "local.aws_lambda", *arguments, cwd=REPOSITORY, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(SECONDS):
        _, errors = await process.communicate()

    assert process.returncode != 0
    assert said in errors.decode()
    assert "Traceback" not in errors.decode()
