"""A function that was frozen, and lost its line to NATS meanwhile, answers its first request all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from local.aws_lambda.emulator import Lambda
from streams.dev.nats_server import NatsServer
from streams.faas.hosting import PAUSE_SECONDS
from streams.keys import Namespace
from tests.deploy.built import SECONDS
from tests.faas.lambdas import asked, on_lambda
from tests.store.jetstream.proxy import Line, line_to

pytestmark = pytest.mark.timeout(SECONDS)

TIMES = 10


@pytest_asyncio.fixture
async def line(nats: NatsServer) -> AsyncIterator[Line]:
    async with line_to(nats.url) as line:
        yield line


@pytest_asyncio.fixture
async def function(zipped: Path, line: Line, provisioned: Namespace) -> AsyncIterator[Lambda]:
    environment = {"STREAMS_NAMESPACE": provisioned.name}
    async with on_lambda(zipped, line.url, environment=environment, freeze=True) as function:
        await asked(function, "GET", "/todos")
        yield function


@pytest.mark.parametrize("lose", [Line.cut, Line.reset, Line.forget])
async def test_the_first_request_after_a_pause_is_answered_whatever_became_of_the_line(
    function: Lambda, line: Line, lose: Callable[[Line], None]
):
    (environment,) = function.environments
    for number in range(TIMES):
        assert environment.is_frozen
        lose(line)
        # As long as a pause must be for the function to take it for one.
        await asyncio.sleep(PAUSE_SECONDS)

        status, said = await asked(function, "POST", "/todo", {"description": str(number)})

        assert (status, said["new_value"]["description"]) == (200, str(number))
    assert [each.pid for each in function.environments] == [environment.pid]
    status, todos = await asked(function, "GET", "/todos")
    # None is lost, and none is there twice.
    assert [todo["description"] for todo in todos] == [str(number) for number in range(TIMES)]


async def test_a_line_that_is_lost_in_the_middle_of_a_request_is_made_anew_for_it(
    function: Lambda, line: Line
):
    line.swallows_answers = True
    asking = asyncio.ensure_future(asked(function, "POST", "/todo", {"description": "Milk"}))
    await line.swallowed.wait()
    line.cut()

    status, _ = await asking

    assert status == 200
    _, todos = await asked(function, "GET", "/todos")
    assert [todo["description"] for todo in todos] == ["Milk"]
