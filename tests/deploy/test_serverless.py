"""`serverless.yml` becomes what AWS is to have, with an empty environment and without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.deploy.functions_list import MAX_NAME, Mode, functions_list
from streams.discovery import discover
from streams.resources.cors import EXPOSED_HEADERS
from streams.step import METHODS, http
from tests.deploy.packaging import BUILT, Template, has_no_network, linted, package, packaged
from tests.deploy.steps import application, step
from tests.dev.commands import REPOSITORY

# Installing osls is part of the first test.
pytestmark = [pytest.mark.node, pytest.mark.timeout(400)]

LIST = REPOSITORY / "infra/functions.json"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/0b1c2d3e-0000-4000-8000-000000000000"
ARN = "arn:${AWS::Partition}:%s:${AWS::Region}:${AWS::AccountId}:%s"

ODD = [
    step("Root", http("GET", "/"), memory_mb=3008),
    step("Files", http("GET", "/files/{name:path}"), http("HEAD", "/files/{name:path}"), seconds=3),
    step("Every", *(http(method, "/every/{id}/v1.0/a-b_c~d:e@f") for method in METHODS), seconds=9),
]
"""Steps with every method, and every kind of path."""


def ours(mode: Mode) -> str:
    """The list of this repository's functions."""
    return functions_list(discover(REPOSITORY / "functions"), mode)


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The stage that nothing was set for: one function, no VPC, no tokens."""
    return packaged(tmp_path_factory.mktemp("dev"), ours("router"))


@pytest.fixture(scope="session")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """A function for every step, in a VPC, with tokens that are signed with a secret."""
    return packaged(tmp_path_factory.mktemp("prod"), ours("per-step"), "--stage", "prod")


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Everything that can be chosen, chosen the other way: one function for odd steps, in a VPC."""
    chosen = {
        "natsLogin": "password",
        "secretStore": "ssm",
        "secretsKey": "own",
        "secretsKeyArn": KEY,
        "tokens": "jwks",
        "jwksUrl": "https://id.example.com/keys",
        "snapStart": "true",
        "allowedHeaders": "x-own",
    }
    options = [word for name, value in chosen.items() for word in ("--param", f"{name}={value}")]
    place = tmp_path_factory.mktemp("other")
    return packaged(
        place,
        functions_list(application(*ODD), "router"),
        "--stage",
        "prod",
        "--region",
        "eu-central-1",
        *options,
    )


@pytest.fixture(params=["dev", "prod", "other"])
def template(request: pytest.FixtureRequest) -> Template:
    """Each of them in turn."""
    found: Template = request.getfixturevalue(request.param)
    return found


def environment(template: Template) -> dict[str, str]:
    """Of the one function there is."""
    (function,) = template.functions.values()
    variables: dict[str, str] = function["Environment"]["Variables"]
    return variables


def values(document: Any, key: str) -> list[Any]:
    """All that stands under a name, anywhere in a document."""
    if isinstance(document, list):
        return [found for each in document for found in values(each, key)]
    if not isinstance(document, dict):
        return []
    own = [document[key]] if key in document else []
    return own + [found for each in document.values() for found in values(each, key)]


def test_nothing_is_asked_of_anybody_on_the_network(dev: Template):
    if not has_no_network():
        pytest.skip("no network namespace can be made here: osls ran with proxies that lead nowhere")

    assert dev.functions


def test_cfn_lint_finds_nothing(template: Template):
    assert linted(template) == ""


def test_every_route_of_the_list_leads_to_the_one_function(dev: Template):
    (function,) = json.loads(LIST.read_text()).values()

    assert dev.routes == {event["httpApi"]: "streams-dev-functions" for event in function["events"]}


def test_every_route_leads_to_the_function_of_its_step(prod: Template):
    assert prod.routes == {
        "POST /todo": "streams-prod-create-todo",
        "PATCH /todo/{id}": "streams-prod-update-todo",
        "DELETE /todo/{id}": "streams-prod-delete-todo",
        "GET /todos": "streams-prod-list-todos",
    }


def test_every_method_and_every_kind_of_path_arrives(other: Template):
    assert set(other.routes) == {
        "GET /",
        "GET /files/{name+}",
        "HEAD /files/{name+}",
        *(f"{method} /every/{{id}}/v1.0/a-b_c~d:e@f" for method in METHODS),
    }


def test_a_function_is_made_of_our_zip_as_it_was_built(template: Template):
    for function in template.functions.values():
        assert function["Handler"] == "streams.faas.aws_lambda.handler"
        assert function["Code"]["S3Key"].endswith("/functions.zip")
        assert function["Runtime"] == BUILT["runtime"]
        assert function["Architectures"] == [BUILT["architecture"]]


def test_memory_and_time_are_what_the_list_says(dev: Template, prod: Template, other: Template):
    sizes = [
        {(each["MemorySize"], each["Timeout"]) for each in template.functions.values()}
        for template in (dev, prod, other)
    ]

    assert sizes == [{(512, 29)}, {(512, 29)}, {(3008, 29)}]


def test_what_is_not_set_is_not_in_the_environment(dev: Template):
    assert environment(dev) == {
        "STREAMS_FOLDER": "functions",
        "STREAMS_NAMESPACE": "dev",
        "STREAMS_NATS_URL": "tls://nats.example.com:4222",
        "STREAMS_NATS_CREDS_FROM": "secretsmanager:/streams/dev/nats",
    }


def test_what_a_stage_sets_is_in_the_environment_of_every_function(prod: Template):
    steps = set()
    for function in prod.functions.values():
        variables = dict(function["Environment"]["Variables"])
        steps.add(variables.pop("STREAMS_STEP"))
        assert variables == {
            "STREAMS_FOLDER": "functions",
            "STREAMS_NAMESPACE": "prod",
            "STREAMS_NATS_URL": "tls://nats.internal.example.com:4222",
            "STREAMS_NATS_CREDS_FROM": "secretsmanager:/streams/prod/nats",
            "STREAMS_JWT_SECRET_FROM": "secretsmanager:/streams/prod/jwt-secret",
            "STREAMS_JWT_ISSUER": "https://id.example.com",
            "STREAMS_JWT_AUDIENCE": "streams",
        }

    assert steps == {"CreateTodo", "DeleteTodo", "ListTodos", "UpdateTodo"}


def test_secrets_can_be_parameters_and_keys_can_be_published(other: Template):
    found = environment(other)

    assert found["STREAMS_NATS_USER"] == "functions"
    assert found["STREAMS_NATS_PASSWORD_FROM"] == "ssm:/streams/prod/nats"
    assert "STREAMS_NATS_CREDS_FROM" not in found
    assert found["STREAMS_JWT_JWKS_URL"] == "https://id.example.com/keys"
    assert "STREAMS_JWT_SECRET_FROM" not in found


def test_a_function_may_read_its_own_secrets_and_write_its_log(
    dev: Template, prod: Template, other: Template
):
    def read(action: str, *resources: str) -> dict[str, Any]:
        return {"Effect": "Allow", "Action": [action], "Resource": [{"Fn::Sub": each} for each in resources]}

    def secret(name: str) -> str:
        return ARN % ("secretsmanager", f"secret:{name}-??????")

    own = [template.statements[2:] for template in (dev, prod, other)]

    assert own == [
        [read("secretsmanager:GetSecretValue", secret("/streams/dev/nats"))],
        [
            read(
                "secretsmanager:GetSecretValue",
                secret("/streams/prod/nats"),
                secret("/streams/prod/jwt-secret"),
            )
        ],
        [
            read("ssm:GetParameter", ARN % ("ssm", "parameter/streams/prod/nats")),
            {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": KEY},
        ],
    ]


def test_a_function_may_do_nothing_to_everything(template: Template):
    stage = template.one("ApiGatewayV2::Api")["Name"].partition("-")[0]
    logs = template.statements[:2]

    assert template.statements
    assert "*" not in _flat(values(template.resources, "Resource"))
    assert {action for each in logs for action in each["Action"]} == {
        "logs:CreateLogGroup",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "logs:TagResource",
    }
    assert all(f":log-group:/aws/lambda/streams-{stage}*:" in json.dumps(each["Resource"]) for each in logs)


def _flat(resources: list[Any]) -> list[Any]:
    return [found for each in resources for found in (each if isinstance(each, list) else [each])]


def test_without_a_vpc_there_is_nothing_of_one(dev: Template):
    assert all("VpcConfig" not in function for function in dev.functions.values())
    assert "ManagedPolicyArns" not in dev.one("IAM::Role")
    assert dev.all("EC2::SecurityGroup") == {}


@pytest.mark.parametrize("stage", ["prod", "other"])
def test_in_a_vpc_functions_reach_nats_and_aws_and_nobody_else(stage: str, request: pytest.FixtureRequest):
    template: Template = request.getfixturevalue(stage)

    group = template.one("EC2::SecurityGroup")
    out = [
        (each["IpProtocol"], each["FromPort"], each["ToPort"], each["CidrIp"])
        for each in group["SecurityGroupEgress"]
    ]

    assert out == [("tcp", 4222, 4222, "10.0.0.0/16"), ("tcp", 443, 443, "0.0.0.0/0")]
    assert "SecurityGroupIngress" not in group
    assert group["VpcId"] == "vpc-0123456789abcdef0"
    for function in template.functions.values():
        assert function["VpcConfig"] == {
            "SecurityGroupIds": [{"Fn::GetAtt": ["FunctionsSecurityGroup", "GroupId"]}],
            "SubnetIds": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        }
    (policy,) = template.one("IAM::Role")["ManagedPolicyArns"]
    assert policy["Fn::Join"][1][-1] == ":iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"


def test_logs_are_kept_as_long_as_the_stage_says(dev: Template, prod: Template):
    def kept(template: Template) -> dict[str, int]:
        return {
            log["LogGroupName"]: log["RetentionInDays"] for log in template.all("Logs::LogGroup").values()
        }

    assert kept(dev) == {"/aws/lambda/streams-dev-functions": 14}
    assert kept(prod) == {f"/aws/lambda/{name}": 90 for name in prod.functions}


def test_only_listed_pages_may_call_and_with_the_methods_that_there_are(prod: Template):
    cors = prod.one("ApiGatewayV2::Api")["CorsConfiguration"]

    assert cors["AllowOrigins"] == ["https://app.example.com"]
    assert cors["AllowHeaders"] == ["authorization", "content-type", "if-match", "if-none-match"]
    assert set(cors["AllowMethods"]) == {"OPTIONS", "POST", "PATCH", "DELETE", "GET"}
    assert "AllowCredentials" not in cors


def test_pages_may_read_the_same_headers_as_on_every_other_host(template: Template):
    cors = template.one("ApiGatewayV2::Api")["CorsConfiguration"]

    assert cors["ExposeHeaders"] == [name.lower() for name in EXPOSED_HEADERS]


def test_a_stage_may_say_which_headers_pages_may_send(other: Template):
    assert other.one("ApiGatewayV2::Api")["CorsConfiguration"]["AllowHeaders"] == ["x-own"]


def test_requests_come_in_the_newer_form(template: Template):
    forms = {each["PayloadFormatVersion"] for each in template.all("ApiGatewayV2::Integration").values()}

    assert forms == {"2.0"}


def test_snapshots_are_made_only_where_a_stage_says_so(dev: Template, prod: Template, other: Template):
    (function,) = other.functions.values()

    assert function["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    # One for each: what is called is the version that the snapshot is of.
    assert len(other.all("Lambda::Version")) == len(other.all("Lambda::Alias")) == 1
    for template in (dev, prod):
        assert values(template.resources, "SnapStart") == []
        assert template.all("Lambda::Version") == {}


def test_tracing_is_off_and_the_bucket_of_zips_is_closed(template: Template):
    assert values(template.resources, "TracingConfig") == []
    assert set(template.one("S3::Bucket")["PublicAccessBlockConfiguration"].values()) == {True}


def test_the_longest_name_that_sync_allows_fits_beside_service_and_stage(prod: Template):
    (before,) = {name.removesuffix("create-todo") for name in prod.functions if name.endswith("create-todo")}

    assert len(before) + MAX_NAME <= 64


def test_a_choice_that_does_not_exist_stops_osls(tmp_path: Path):
    done = package(tmp_path, ours("router"), "--param", "network=vcp")

    assert done.returncode == 1
    assert 'Cannot resolve variable at "resources"' in done.stdout + done.stderr
