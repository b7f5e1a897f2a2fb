"""The zip that `streams build` makes, run by Lambda's own runtime."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.aws_lambda.events import Shape
from streams.dev.nats_server import NatsServer
from streams.keys import Namespace
from tests.browser import Browser
from tests.deploy.built import SECONDS
from tests.faas.lambdas import on_lambda, sent

pytestmark = pytest.mark.timeout(SECONDS)


async def test_a_todo_that_is_posted_to_lambda_is_seen_by_a_client_of_a_gateway_whatever_stands_before_it(
    zipped: Path, nats: NatsServer, provisioned: Namespace, namespace: Namespace, browser: Browser
):
    tab = await browser.join("todo", "inbox")
    async with on_lambda(zipped, nats.url, environment={"STREAMS_NAMESPACE": namespace.name}) as function:
        for shape in Shape:
            response, _ = await sent(
                function, "POST", "/todo", {"description": f"Milk by {shape}"}, shape=shape
            )

            said = json.loads(response.body)
            assert (response.status, said["new_value"]["description"]) == (200, f"Milk by {shape}")
            assert await tab.next_event() == {"type": "create", "data": said["new_value"]}
        assert len(function.environments) == 1


async def test_every_step_answers_as_it_does_elsewhere(
    zipped: Path, nats: NatsServer, provisioned: Namespace
):
    async with on_lambda(zipped, nats.url, environment={"STREAMS_NAMESPACE": provisioned.name}) as function:
        created, _ = await sent(function, "POST", "/todo", {"description": "Milk"})
        id = json.loads(created.body)["new_value"]["id"]

        changed, _ = await sent(function, "PATCH", f"/todo/{id}", {"done": True})
        listed, _ = await sent(function, "GET", "/todos")
        refused, _ = await sent(function, "POST", "/todo", {"description": " "})
        unfit, _ = await sent(function, "POST", "/todo", {"description": 7})
        deleted, _ = await sent(function, "DELETE", f"/todo/{id}")
        gone, _ = await sent(function, "DELETE", f"/todo/{id}")
        nothing, _ = await sent(function, "GET", "/nothing")

    assert json.loads(changed.body)["new_value"]["completed_at"] is not None
    assert [todo["id"] for todo in json.loads(listed.body)] == [id]
    assert [answer.status for answer in (refused, unfit, deleted, gone, nothing)] == [400, 422, 200, 404, 404]


async def test_a_function_of_one_step_runs_that_one_and_no_other(
    zipped: Path, nats: NatsServer, provisioned: Namespace
):
    environment = {"STREAMS_NAMESPACE": provisioned.name, "STREAMS_STEP": "ListTodos"}
    async with on_lambda(zipped, nats.url, environment=environment) as function:
        listed, _ = await sent(function, "GET", "/todos")
        created, _ = await sent(function, "POST", "/todo", {"description": "Milk"})

    assert (listed.status, json.loads(listed.body)) == (200, [])
    assert created.status == 404


async def test_what_a_step_logs_is_in_the_functions_log_with_the_id_of_its_request(
    zipped: Path, nats: NatsServer, provisioned: Namespace
):
    async with on_lambda(zipped, nats.url, environment={"STREAMS_NAMESPACE": provisioned.name}) as function:
        _, answer = await sent(function, "POST", "/todo", {"description": "Milk"})

    (line,) = (line for line in answer.logs.splitlines() if "creating a todo" in line)
    assert line.startswith("[INFO]")
    assert answer.request_id in line
