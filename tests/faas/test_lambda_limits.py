"""What goes wrong in a function on Lambda, and what its caller and its log are told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from local.aws_lambda.answers import InvokeRefused
from streams.dev.nats_server import NatsServer
from streams.faas.lambda_host import MARGIN_SECONDS
from streams.keys import Namespace
from tests.browser import Browser
from tests.deploy.built import SECONDS
from tests.faas.lambdas import asked, on_lambda, root_with, sent

pytestmark = pytest.mark.timeout(SECONDS)

DEPLOY = Path(__file__).parents[2] / "docs/deploy.md"

STEPS = {
    "note_stream.py": """
        from streams import Stream

        note = Stream("todo", dict)
    """,
    "waits_step.py": """
        import asyncio

        from streams import StepConfig, http

        config = StepConfig("Waits", [http("POST", "/waits")])

        async def handler() -> None:
            await asyncio.sleep(3600)
    """,
    "blocks_step.py": """
        import time

        from streams import StepConfig, http

        config = StepConfig("Blocks", [http("POST", "/blocks")])

        async def handler() -> None:
            time.sleep(3)
    """,
    "limited_step.py": """
        import time

        from streams import StepConfig, http

        config = StepConfig("Limited", [http("POST", "/limited")], timeout_seconds=0.2)

        def handler() -> None:
            time.sleep(3)
    """,
    "fails_step.py": """
        from streams import StepConfig, http

        config = StepConfig("Fails", [http("POST", "/fails")])

        async def handler() -> None:
            raise RuntimeError("the secret is 1234")
    """,
    "large_step.py": """
        from streams import StepConfig, http

        config = StepConfig("Large", [http("GET", "/large/{size}")])

        async def handler(size: int) -> str:
            return "x" * size
    """,
    "sends_step.py": """
        from streams import StepConfig, http

        from .note_stream import note

        config = StepConfig("Sends", [http("POST", "/sends")])

        async def handler() -> str:
            async with note.writer("inbox", "1", {"text": ""}) as writing:
                for number in range(50):
                    await writing.append("text", f"{number} ")
            await note.send("inbox", {"type": "done", "data": {}})
            return "sent"
    """,
    "fine_step.py": """
        from streams import StepConfig, http

        config = StepConfig("Fine", [http("GET", "/fine")])

        async def handler() -> str:
            return "fine"
    """,
}


@pytest.fixture
def root(unpacked: Path, tmp_path: Path) -> Path:
    return root_with(unpacked, tmp_path, STEPS)


@pytest.mark.parametrize("path", ["/waits", "/blocks"])
async def test_whoever_waits_is_told_before_lambda_ends_the_function_and_the_next_one_is_answered(
    root: Path, nats: NatsServer, path: str
):
    async with on_lambda(root, nats.url, timeout=3.0) as function:
        assert await asked(function, "GET", "/fine") == (200, "fine")
        (environment,) = function.environments

        status, said = await asked(function, "POST", path)

        assert (status, said["code"]) == (504, "FUNCTION_TIMEOUT")
        assert await asked(function, "GET", "/fine") == (200, "fine")
        # Nobody had to begin anew.
        assert [each.pid for each in function.environments] == [environment.pid]


async def test_a_step_that_takes_longer_than_it_may_is_answered_by_its_own_time(root: Path, nats: NatsServer):
    async with on_lambda(root, nats.url) as function:
        status, said = await asked(function, "POST", "/limited")

    assert (status, said["code"]) == (504, "STEP_TIMEOUT")


async def test_what_a_step_raises_is_in_the_log_and_not_in_the_answer(root: Path, nats: NatsServer):
    async with on_lambda(root, nats.url) as function:
        response, answer = await sent(function, "POST", "/fails")

    assert response.status == 500
    assert b"1234" not in response.body
    assert "RuntimeError: the secret is 1234" in answer.logs


async def test_an_answer_that_lambda_would_not_take_is_replaced_by_one_that_says_so(
    root: Path, nats: NatsServer
):
    async with on_lambda(root, nats.url) as function:
        large = await asked(function, "GET", "/large/7000000")
        fits = await asked(function, "GET", "/large/6000000")

    assert (large[0], large[1]["code"]) == (500, "ANSWER_TOO_LARGE")
    assert (fits[0], len(fits[1])) == (200, 6_000_000)


async def test_a_request_that_lambda_does_not_take_comes_to_no_function(root: Path, nats: NatsServer):
    async with on_lambda(root, nats.url) as function:
        with pytest.raises(InvokeRefused, match="RequestTooLargeException"):
            await asked(function, "POST", "/fails", "x" * 6_300_000)

        assert await asked(function, "GET", "/fine") == (200, "fine")


async def test_an_event_that_is_no_request_is_an_error_that_names_it(root: Path, nats: NatsServer):
    async with on_lambda(root, nats.url) as function:
        answer = await function.invoke({"Records": [{"eventSource": "aws:sqs", "body": "{}"}]})

        assert answer.error == "EventNotTaken"
        assert answer.payload["errorMessage"] == (
            "this function answers HTTP requests, and was given records of aws:sqs; "
            "let the function be called by an API, a URL or a load balancer alone"
        )
        assert await asked(function, "GET", "/fine") == (200, "fine")


async def test_when_a_request_is_answered_its_events_are_out(
    root: Path, nats: NatsServer, provisioned: Namespace, browser: Browser
):
    tab = await browser.join("todo", "inbox")
    environment = {"STREAMS_NAMESPACE": provisioned.name}
    # Frozen as soon as it has answered: what is not out then would not come.
    async with on_lambda(root, nats.url, environment=environment, freeze=True) as function:
        assert await asked(function, "POST", "/sends") == (200, "sent")
        assert [each.is_frozen for each in function.environments] == [True]
        events = [await tab.next_event()]
        while events[-1] != {"type": "event", "event": {"type": "done", "data": {}}}:
            events.append(await tab.next_event())

    drafts = [event["event"]["data"]["text"] for event in events[:-1] if event["type"] == "event"]
    stored = [event["data"]["text"] for event in events if event["type"] in ("create", "update")]
    # Those that come together are told as one.
    assert "".join(drafts) == "".join(f"{number} " for number in range(50))
    assert stored[-1] == "".join(drafts)


async def test_while_nats_is_away_requests_get_503_and_are_answered_when_it_is_back(
    root: Path, own_nats: NatsServer
):
    await own_nats.stop()
    async with on_lambda(root, own_nats.url) as function:
        status, said = await asked(function, "POST", "/sends")
        assert (status, said["code"]) == (503, "STORE_UNAVAILABLE")
        assert str(own_nats.url) not in json.dumps(said)
        (environment,) = function.environments

        await own_nats.restart()

        async with asyncio.timeout(60):
            while (await asked(function, "GET", "/fine"))[0] != 200:
                pass
        assert [each.pid for each in function.environments] == [environment.pid]


def test_the_margin_is_what_the_documentation_says():
    assert MARGIN_SECONDS == 0.5
    assert "Half a second before Lambda would end the environment" in DEPLOY.read_text()
