"""One function, called as on Lambda: what comes back, and what the next call finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.aws_lambda import InvokeRefused, Lambda
from tests.local.written import COUNTER, ECHO, state_of, written


async def test_a_call_gets_what_the_handler_returns(tmp_path):
    async with Lambda.running(written(tmp_path, ECHO), handler="app.handler") as function:
        answer = await function.invoke({"text": "Milch für 3 €"})

    assert answer.payload == {"text": "Milch für 3 €"}
    assert answer.error is None


async def test_the_first_call_waits_for_a_process_and_the_next_finds_it(tmp_path):
    async with Lambda.running(written(tmp_path, COUNTER), handler="app.handler") as function:
        cold, warm = await function.invoke({}), await function.invoke({})

    assert cold.is_cold
    assert cold.init_ms is not None
    assert cold.billed_ms >= cold.init_ms
    assert not warm.is_cold
    assert warm.payload == {"pid": cold.payload["pid"], "calls": 2}


async def test_a_handler_sees_its_context_and_its_variables(tmp_path):
    root = written(
        tmp_path,
        """
        import os

        def handler(event, context):
            return {
                "left": context.get_remaining_time_in_millis(),
                "request": context.aws_request_id,
                "arn": context.invoked_function_arn,
                "memory": context.memory_limit_in_mb,
                "client": context.client_context.custom,
                "own": os.environ["OWN"],
                "cwd": os.getcwd(),
                "root": os.environ["LAMBDA_TASK_ROOT"],
                "ours": sorted(name for name in os.environ if "PYTEST" in name),
            }
        """,
    )

    async with Lambda.running(
        root, handler="app.handler", name="todos", timeout=7, memory_mb=256, environment={"OWN": "yes"}
    ) as function:
        answer = await function.invoke({}, client_context='{"custom": {"user": "ann"}}')

    assert 0 < answer.payload.pop("left") <= 7000
    assert answer.payload | {"left": 0} == {
        "left": 0,
        "request": answer.request_id,
        "arn": "arn:aws:lambda:us-east-1:123456789012:function:todos",
        "memory": "256",
        "client": {"user": "ann"},
        "own": "yes",
        "cwd": str(root),
        "root": str(root),
        "ours": [],
    }


async def test_an_error_is_answered_with_its_type_its_text_and_where_it_was(tmp_path):
    root = written(
        tmp_path,
        """
        def handler(event, context):
            raise ValueError("no milk")
        """,
    )

    async with Lambda.running(root, handler="app.handler") as function:
        answer = await function.invoke({})

    assert answer.error == "ValueError"
    assert answer.payload["errorMessage"] == "no milk"
    assert "app.py" in answer.payload["stackTrace"][0]
    assert "[ERROR] ValueError: no milk" in answer.logs


@pytest.mark.parametrize(
    ("source", "handler", "error"),
    [
        ("import milk", "app.handler", "Runtime.ImportModuleError"),
        ("handler = ", "app.handler", "Runtime.UserCodeSyntaxError"),
        ("", "app.handler", "Runtime.HandlerNotFound"),
        ("raise LookupError('no milk')", "app.handler", "LookupError"),
        ("raise SystemExit(3)", "app.handler", "Runtime.ExitError"),
    ],
)
async def test_a_function_that_does_not_start_says_why_at_each_call(tmp_path, source, handler, error):
    async with Lambda.running(written(tmp_path, source), handler=handler) as function:
        first, second = await function.invoke({}), await function.invoke({})

    assert first.error == second.error == error
    assert first.environment != second.environment
    assert not function.environments


async def test_an_init_that_takes_too_long_is_tried_again_in_the_time_of_the_call(tmp_path):
    root = written(
        tmp_path / "task",
        """
        import os, time

        first_time = os.environ["MARK"]
        if not os.path.exists(first_time):
            open(first_time, "w").close()
            time.sleep(60)

        def handler(event, context):
            return "ready"
        """,
    )

    async with Lambda.running(
        root,
        handler="app.handler",
        init_timeout=2,
        timeout=15,
        environment={"MARK": str(tmp_path / "mark")},
    ) as function:
        answer = await function.invoke({})

    assert answer.payload == "ready"
    assert answer.environment == 2


async def test_a_call_that_takes_too_long_ends_its_process_and_the_next_one_starts_another(tmp_path):
    root = written(
        tmp_path,
        """
        import os, time

        def handler(event, context):
            time.sleep(event)
            return os.getpid()
        """,
    )

    async with Lambda.running(root, handler="app.handler", timeout=1) as function:
        before = await function.invoke(0)
        late = await function.invoke(30)
        after = await function.invoke(0)

    assert late.error == "Sandbox.Timedout"
    expected = f"RequestId: {late.request_id} Error: Task timed out after 1.00 seconds"
    assert late.payload["errorMessage"] == expected
    assert 1000 <= late.duration_ms < 5000
    assert after.is_cold
    assert after.payload != before.payload
    assert state_of(before.payload) == ""


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("os._exit(3)", "exit status 3"),
        ("os.kill(os.getpid(), 9)", "signal: killed"),
        ("raise SystemExit(0)", "without providing a reason"),
    ],
)
async def test_a_process_that_ends_is_replaced_at_the_next_call(tmp_path, ending, reason):
    root = written(
        tmp_path,
        f"""
        import os

        def handler(event, context):
            if event == "end":
                {ending}
            return os.getpid()
        """,
    )

    async with Lambda.running(root, handler="app.handler") as function:
        ended, after = await function.invoke("end"), await function.invoke({})

    assert ended.error == "Runtime.ExitError"
    assert reason in ended.payload["errorMessage"]
    assert after.error is None
    assert after.is_cold


async def test_a_response_above_six_megabytes_is_an_error_and_one_below_is_not(tmp_path):
    root = written(
        tmp_path,
        """
        def handler(event, context):
            return "x" * event
        """,
    )

    async with Lambda.running(root, handler="app.handler", timeout=20) as function:
        largest = await function.invoke(6_291_554)
        too_large = await function.invoke(6_291_555)
        after = await function.invoke(1)

    assert len(largest.body) == 6_291_556
    assert too_large.error == "Function.ResponseSizeTooLarge"
    assert too_large.payload["errorMessage"] == (
        "Response payload size (6291557 bytes) exceeded maximum allowed payload size (6291556 bytes)."
    )
    assert after.payload == "x"


async def test_an_event_above_six_megabytes_is_refused_and_one_below_is_not(tmp_path):
    root = written(
        tmp_path,
        """
        def handler(event, context):
            return len(event)
        """,
    )

    async with Lambda.running(root, handler="app.handler", timeout=20) as function:
        largest = await function.invoke("x" * 6_291_454)
        with pytest.raises(InvokeRefused) as refused:
            await function.invoke("x" * 6_291_455)

    assert largest.payload == 6_291_454
    assert (refused.value.status, refused.value.code) == (413, "RequestTooLargeException")


async def test_what_a_function_prints_and_logs_comes_with_the_answer(tmp_path):
    root = written(
        tmp_path,
        """
        import logging

        print("importing")

        def handler(event, context):
            print("printed", event)
            logging.getLogger().warning("logged")
        """,
    )

    async with Lambda.running(root, handler="app.handler") as function:
        first, second = await function.invoke(1), await function.invoke(2)
        everything = function.logs

    assert first.logs.index("importing") < first.logs.index("START RequestId") < first.logs.index("printed 1")
    assert "[WARNING]" in second.logs
    assert "printed 1" not in second.logs
    assert f"END RequestId: {second.request_id}\nREPORT RequestId: {second.request_id}\t" in second.logs
    assert everything == first.logs + second.logs


async def test_a_module_in_a_package_is_named_with_dots(tmp_path: Path):
    written(tmp_path / "inner", ECHO)

    async with Lambda.running(tmp_path, handler="inner.app.handler") as function:
        answer = await function.invoke([1])

    assert answer.payload == [1]
