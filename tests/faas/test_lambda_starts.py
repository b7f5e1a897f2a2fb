"""How a function on Lambda begins: with secrets by name, from a snapshot, or not at all."""

from __future__ import annotations

import asyncio
import json
import os
import traceback
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.aws_lambda.answers import SnapshotFailed
from local.aws_lambda.events import HttpRequest, Shape, to_event
from streams.dev.nats_server import NatsServer, embedded
from streams.errors import DefinitionRefused, DiscoveryFailed
from streams.faas.lambda_secrets import with_secrets
from streams.faas.lambda_settings import lambda_application
from streams.keys import Namespace
from tests.auth import issued
from tests.core.written_app import App
from tests.deploy.built import SECONDS
from tests.faas.lambdas import asked, on_lambda, root_with

pytestmark = pytest.mark.timeout(SECONDS)

WHO = {
    "who_step.py": """
        from streams import Context, StepConfig, http

        config = StepConfig("Who", [http("GET", "/who")])

        async def handler(context: Context) -> dict:
            return {"sub": context.auth and context.auth.sub}
    """
}


async def test_it_logs_in_with_a_secret_that_it_names(unpacked: Path, tmp_path: Path):
    settings = 'authorization { user: functions, password: "from the vault" }'
    async with embedded(tmp_path / "nats", settings=settings) as nats:
        environment = {
            "STREAMS_NATS_USER": "functions",
            "STREAMS_NATS_PASSWORD_FROM": "secretsmanager:streams/nats#password",
        }
        secrets = {"streams/nats": json.dumps({"password": "from the vault"})}
        root = root_with(unpacked, tmp_path, WHO)
        async with on_lambda(root, nats.url, environment=environment, secrets=secrets) as function:
            assert await asked(function, "GET", "/who") == (200, {"sub": None})
            assert "from the vault" not in function.logs


async def test_tokens_are_checked_with_a_secret_that_it_names(
    unpacked: Path, tmp_path: Path, nats: NatsServer, provisioned: Namespace
):
    environment = {
        "STREAMS_NAMESPACE": provisioned.name,
        "STREAMS_JWT_SECRET_FROM": "ssm:/streams/jwt",
        "STREAMS_JWT_ISSUER": issued.ISSUER,
        "STREAMS_JWT_AUDIENCE": issued.AUDIENCE,
    }
    root = root_with(unpacked, tmp_path, WHO)
    parameters = {"/streams/jwt": issued.SECRET}
    async with on_lambda(root, nats.url, environment=environment, parameters=parameters) as function:

        async def who(authorization: str) -> tuple[int, Any]:
            headers = {"authorization": authorization}
            answer = await function.invoke(
                to_event(HttpRequest.of("GET", "/who", headers=headers), Shape.HTTP_API)
            )
            return answer.payload["statusCode"], json.loads(answer.payload["body"])

        assert await who(f"Bearer {issued.token(issued.claims(sub='ann'))}") == (200, {"sub": "ann"})
        assert (await who("Bearer of.bad.news"))[0] == 401


SECRETS = {"here": "from the vault"}


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        (
            {"STREAMS_NATS_TOKEN_FROM": "secretsmanager:nowhere"},
            "STREAMS_NATS_TOKEN_FROM=secretsmanager:nowhere: secretsmanager says ResourceNotFoundException; "
            "check the name, and that the function's role may read it",
        ),
        (
            {"STREAMS_NATS_TOKEN_FROM": "ssm:/nowhere"},
            "STREAMS_NATS_TOKEN_FROM=ssm:/nowhere: ssm says ParameterNotFound; check the name",
        ),
        (
            {"STREAMS_NATS_TOKEN_FROM": "vault:x"},
            "STREAMS_NATS_TOKEN_FROM='vault:x' names no secret; expected secretsmanager:NAME or ssm:NAME",
        ),
        (
            {"STREAMS_NATS_TOKEN_FROM": "secretsmanager:"},
            "STREAMS_NATS_TOKEN_FROM='secretsmanager:' names no secret",
        ),
        (
            {"STREAMS_NATS_TOKEN_FROM": "secretsmanager:here", "STREAMS_NATS_TOKEN": "x"},
            "STREAMS_NATS_TOKEN and STREAMS_NATS_TOKEN_FROM are both set; keep one of them",
        ),
        (
            {"STREAMS_NATS_TOKEN_FROM": "secretsmanager:here#key"},
            "STREAMS_NATS_TOKEN_FROM=secretsmanager:here#key: the secret is no JSON object with a text 'key'",
        ),
        (
            {"STREAMS_NATS_URL_FROM": "secretsmanager:here"},
            "STREAMS_NATS_URL_FROM names a secret, and STREAMS_NATS_URL is none",
        ),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else "",
)
async def test_a_secret_that_cannot_be_had_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], problem: str
):
    async with on_lambda(tmp_path, "", secrets=SECRETS) as aws:
        _let_boto_ask(aws.endpoint_url, monkeypatch)

        with pytest.raises(DefinitionRefused) as refused:
            await asyncio.to_thread(with_secrets, environment)

    assert problem in str(refused.value)
    assert SECRETS["here"] not in "".join(traceback.format_exception(refused.value))


async def test_a_service_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch):
    _let_boto_ask("http://127.0.0.1:1", monkeypatch)

    with pytest.raises(DefinitionRefused, match="in a VPC, give it an endpoint of that service, or a NAT"):
        await asyncio.to_thread(with_secrets, {"STREAMS_NATS_TOKEN_FROM": "ssm:/streams/token"})


async def test_a_secret_that_is_wanted_as_a_file_is_one_that_is_on_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with on_lambda(tmp_path, "", secrets=SECRETS) as aws:
        _let_boto_ask(aws.endpoint_url, monkeypatch)
        found = await asyncio.to_thread(with_secrets, {"STREAMS_NATS_CREDS_FROM": "secretsmanager:here"})

    file = Path(found["STREAMS_NATS_CREDS"])
    try:
        for _ in range(2):
            assert await asyncio.to_thread(file.read_text) == SECRETS["here"]
        assert os.readlink(file).startswith("/memfd:")
    finally:
        os.close(int(file.name))


def test_a_name_that_is_empty_is_none():
    assert with_secrets({"STREAMS_NATS_TOKEN_FROM": "", "HOME": "/"}) == {"HOME": "/"}


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"STREAMS_STEP": "Whoo"}, "STREAMS_STEP='Whoo': there is no such step; did you mean 'Who'?"),
        ({"STREAMS_FOLDER": "elsewhere"}, "there is no such folder"),
    ],
    ids=repr,
)
def test_an_application_that_is_not_there_is_named(app: App, environment: dict[str, str], problem: str):
    app.write("who_step.py", WHO["who_step.py"])
    place = {"LAMBDA_TASK_ROOT": str(app.folder.parent), "STREAMS_FOLDER": app.folder.name}

    with pytest.raises((DefinitionRefused, DiscoveryFailed)) as refused:
        lambda_application({**place, **environment})

    assert problem in str(refused.value)


def _let_boto_ask(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)


async def test_a_broken_application_ends_the_start_with_every_file_that_is_wrong(
    unpacked: Path, tmp_path: Path, nats: NatsServer
):
    root = root_with(unpacked, tmp_path, {"a_step.py": "import nowhere", "b_step.py": "config = 7"})
    async with on_lambda(root, nats.url) as function:
        answer = await function.invoke({})

    assert "No module named 'nowhere'" in answer.payload["errorMessage"]
    assert "b_step.py" in answer.payload["errorMessage"]


async def test_nothing_of_a_line_to_nats_is_in_a_snapshot(
    zipped: Path, own_nats: NatsServer, own_provisioned: Namespace
):
    environment = {"STREAMS_NAMESPACE": own_provisioned.name}
    async with on_lambda(zipped, own_nats.url, environment=environment, snap_start=True) as function:
        assert await _lines_of(own_nats) == 0

        status, _ = await asked(function, "POST", "/todo", {"description": "Milk"})

        assert status == 200
        assert await _lines_of(own_nats) == 1


async def test_a_snapshot_is_taken_and_restored_while_nats_is_away(zipped: Path, own_nats: NatsServer):
    await own_nats.stop()
    async with on_lambda(zipped, own_nats.url, snap_start=True) as function:
        status, said = await asked(function, "POST", "/todo", {"description": "Milk"})

    assert (status, said["code"]) == (503, "STORE_UNAVAILABLE")


async def test_what_cannot_start_gets_no_snapshot(unpacked: Path, tmp_path: Path, nats: NatsServer):
    root = root_with(unpacked, tmp_path, {"a_step.py": "import nowhere"})

    with pytest.raises(SnapshotFailed):
        async with on_lambda(root, nats.url, snap_start=True):
            pass


async def test_environments_that_run_at_once_count_without_loss(
    unpacked: Path, tmp_path: Path, nats: NatsServer, provisioned: Namespace
):
    steps = {
        "todo_stream.py": """
            from streams import Stream

            todo = Stream("todo", dict)
        """,
        "count_step.py": """
            from streams import StepConfig, http, ops

            from .todo_stream import todo

            config = StepConfig("Count", [http("POST", "/count")])

            async def handler() -> int:
                result = await todo.update("inbox", "count", [ops.increment("n")])
                return result.new_value["n"]
        """,
    }
    root = root_with(unpacked, tmp_path, steps)
    environment = {"STREAMS_NAMESPACE": provisioned.name}
    async with on_lambda(
        root, nats.url, environment=environment, snap_start=True, max_environments=3
    ) as function:
        answers = await asyncio.gather(*(_many(function, 20) for _ in range(3)))
        assert len(function.environments) > 1

    assert sorted(number for numbers in answers for number in numbers) == list(range(1, 61))


async def _many(function: Any, times: int) -> list[int]:
    return [(await asked(function, "POST", "/count"))[1] for _ in range(times)]


async def _lines_of(nats: NatsServer) -> int:
    async with httpx.AsyncClient() as client:
        said = (await client.get(f"{nats.monitoring_url}/connz")).json()
    return len([line for line in said["connections"] if line["name"] == "streams lambda"])
