"""boto3 as the client of the emulator: outside, calling the function, and inside, asking for secrets."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.aws_lambda import Answer, Lambda
from tests.local.written import SECONDS, written

SOURCE = """
def handler(event, context):
    print("called")
    if event == "fail":
        raise ValueError("no milk")
    return event
"""


def client(function: Lambda) -> Any:
    return boto3.client(
        "lambda",
        endpoint_url=function.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"max_attempts": 0}, read_timeout=SECONDS),
    )


async def called(function: Lambda, **arguments: Any) -> Any:
    """Invoke, and the payload read. In a thread: boto3 would stop the loop that the emulator is in."""
    lambdas = await asyncio.to_thread(client, function)

    def invoke() -> Any:
        response = lambdas.invoke(**{"FunctionName": "functions", **arguments})
        return {**response, "Payload": response["Payload"].read()}

    try:
        return await asyncio.to_thread(invoke)
    finally:
        lambdas.close()


async def refused(function: Lambda, **arguments: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as error:
        await called(function, **arguments)
    response: Any = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


async def test_invoke_answers_with_the_payload_the_error_and_the_end_of_the_logs(tmp_path):
    async with Lambda.running(written(tmp_path, SOURCE), handler="app.handler") as function:
        fine = await called(function, Payload=b'{"milk": 1}', LogType="Tail")
        failed = await called(function, Payload=b'"fail"')
        arn = "arn:aws:lambda:us-east-1:123456789012:function:functions:live"
        by_arn = await called(function, FunctionName=arn)

    assert (fine["StatusCode"], json.loads(fine["Payload"])) == (200, {"milk": 1})
    assert fine["ExecutedVersion"] == "$LATEST"
    assert "FunctionError" not in fine
    assert b"called\n" in base64.b64decode(fine["LogResult"])
    assert failed["FunctionError"] == "Unhandled"
    assert json.loads(failed["Payload"])["errorMessage"] == "no milk"
    assert json.loads(by_arn["Payload"]) == {}


async def test_an_event_is_accepted_at_once_and_run_afterwards(tmp_path):
    answers: asyncio.Queue[Answer] = asyncio.Queue()

    async with Lambda.running(
        written(tmp_path, SOURCE), handler="app.handler", max_environments=1, on_answer=answers.put_nowait
    ) as function:
        accepted = [await called(function, InvocationType="Event", Payload=b"%d" % n) for n in range(3)]
        async with asyncio.timeout(SECONDS):
            ran = [await answers.get() for _ in range(3)]

    assert [response["StatusCode"] for response in accepted] == [202, 202, 202]
    assert [answer.payload for answer in ran] == [0, 1, 2]
    assert len({answer.environment for answer in ran}) == 1


async def test_a_dry_run_calls_nothing(tmp_path):
    async with Lambda.running(written(tmp_path, SOURCE), handler="app.handler") as function:
        response = await called(function, InvocationType="DryRun")

    assert response["StatusCode"] == 204
    assert function.environments == []


async def test_what_is_wrong_with_a_call_is_said_with_the_codes_of_lambda(tmp_path):
    async with Lambda.running(
        written(tmp_path, SOURCE), handler="app.handler", max_environments=0
    ) as function:
        assert await refused(function, FunctionName="other") == (404, "ResourceNotFoundException")
        assert await refused(function, Payload=b"{") == (400, "InvalidRequestContentException")
        assert await refused(function) == (429, "TooManyRequestsException")
        large = b'"' + b"x" * 6_291_455 + b'"'
        assert await refused(function, Payload=large) == (413, "RequestTooLargeException")
        large = large[-1_048_578:-1] + b'"'
        kind = {"InvocationType": "Event"}
        assert await refused(function, Payload=b'"' + large[1:], **kind) == (413, "RequestTooLargeException")


ASKING = """
import boto3
from botocore.exceptions import ClientError

def found(ask):
    try:
        return ask()
    except ClientError as error:
        return error.response["Error"]["Code"]

# While the function starts, as those do that connect at once.
secrets, parameters = boto3.client("secretsmanager"), boto3.client("ssm")
secret = found(lambda: secrets.get_secret_value(SecretId="prod/nats")["SecretString"])

def handler(event, context):
    value = lambda name, **more: parameters.get_parameter(Name=name, **more)["Parameter"]["Value"]
    return {
        "secret": secret,
        "by_arn": found(lambda: secrets.get_secret_value(SecretId=event["arn"])["SecretString"]),
        "no secret": found(lambda: secrets.get_secret_value(SecretId="prod/other")),
        "parameter": found(lambda: value("/prod/jwt", WithDecryption=True)),
        "encrypted": found(lambda: value("/prod/jwt")),
        "no parameter": found(lambda: value("/prod/other", WithDecryption=True)),
        "not emulated": found(lambda: secrets.list_secrets()),
    }
"""


@pytest.mark.parametrize("snap_start", [False, True])
async def test_a_function_reads_its_secrets_with_boto3(tmp_path, snap_start):
    async with Lambda.running(
        written(tmp_path, ASKING),
        handler="app.handler",
        timeout=SECONDS,
        init_timeout=SECONDS,
        snap_start=snap_start,
        secrets={"prod/nats": "s3cret"},
        parameters={"/prod/jwt": "k3y"},
    ) as function:
        arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/nats-AbCdEf"
        said = (await function.invoke({"arn": arn})).payload

    assert said.pop("encrypted") != "k3y"
    assert said == {
        "secret": "s3cret",
        "by_arn": "s3cret",
        "no secret": "ResourceNotFoundException",
        "parameter": "k3y",
        "no parameter": "ParameterNotFound",
        "not emulated": "UnknownOperationException",
    }
