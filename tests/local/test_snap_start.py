"""SnapStart: what runs before the snapshot, what after it, and who pays for it."""

from __future__ import annotations

import pytest

from local.aws_lambda import InvokeRefused, Lambda, SnapshotFailed
from tests.local.written import state_of, written

HOOKED = """
import os
from snapshot_restore_py import register_after_restore, register_before_snapshot

said = ["init"]
register_before_snapshot(lambda: said.append("before"))
register_after_restore(lambda: said.append("after"))

def handler(event, context):
    if event == "end":
        os._exit(1)
    said.append("call")
    return {"pid": os.getpid(), "said": said, "type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]}
"""


async def test_hooks_run_once_before_the_snapshot_and_once_after_the_restore(tmp_path):
    async with Lambda.running(written(tmp_path, HOOKED), handler="app.handler", snap_start=True) as function:
        first, second = await function.invoke({}), await function.invoke({})

    assert first.payload["said"] == ["init", "before", "after", "call"]
    assert first.payload["type"] == "snap-start"
    assert second.payload["said"] == ["init", "before", "after", "call", "call"]


async def test_the_init_is_behind_it_when_the_first_call_comes_and_costs_that_call_nothing(tmp_path):
    async with Lambda.running(written(tmp_path, HOOKED), handler="app.handler", snap_start=True) as function:
        (snapshot,) = function.environments
        rests, init_ms = state_of(snapshot.pid), snapshot.init_ms
        function.thaw()
        still_rests = state_of(snapshot.pid)
        answer = await function.invoke({})
        warm = await function.invoke({})

    assert rests == still_rests == "T"
    assert init_ms is not None
    assert answer.init_ms is None
    assert answer.restore_ms is not None
    assert answer.restore_ms < init_ms
    assert answer.is_cold
    assert "Restore Duration" in answer.logs
    assert not warm.is_cold


async def test_a_process_that_ended_is_followed_by_one_with_a_restore_of_its_own(tmp_path):
    async with Lambda.running(written(tmp_path, HOOKED), handler="app.handler", snap_start=True) as function:
        ended = await function.invoke("end")
        after = await function.invoke({})

    assert ended.error == "Runtime.ExitError"
    assert after.payload["said"] == ["init", "before", "after", "call"]
    assert after.restore_ms is not None


async def test_a_function_that_does_not_start_has_no_snapshot(tmp_path):
    root = written(tmp_path, "raise LookupError('no milk')")

    with pytest.raises(SnapshotFailed, match=r"app\.handler did not start.*no milk"):
        async with Lambda.running(root, handler="app.handler", snap_start=True):
            pass


async def test_a_restore_that_takes_too_long_is_refused_and_the_next_one_is_tried(tmp_path):
    root = written(
        tmp_path / "task",
        """
        import os, time
        from snapshot_restore_py import register_after_restore

        def dawdle():
            if not os.path.exists(os.environ["MARK"]):
                open(os.environ["MARK"], "w").close()
                time.sleep(60)

        register_after_restore(dawdle)

        def handler(event, context):
            return "ready"
        """,
    )
    mark = {"MARK": str(tmp_path / "mark")}

    async with Lambda.running(
        root, handler="app.handler", snap_start=True, restore_timeout=2, environment=mark
    ) as function:
        with pytest.raises(InvokeRefused) as refused:
            await function.invoke({})
        answer = await function.invoke({})

    assert (refused.value.status, refused.value.code) == (408, "SnapStartTimeoutException")
    assert answer.payload == "ready"


@pytest.mark.parametrize("hook", ["before_snapshot", "after_restore"])
async def test_a_hook_that_fails_is_said_with_its_error(tmp_path, hook):
    root = written(
        tmp_path,
        f"""
        import snapshot_restore_py

        def fail():
            raise LookupError("no milk")

        snapshot_restore_py.register_{hook}(fail)

        def handler(event, context):
            return "never"
        """,
    )

    if hook == "before_snapshot":
        with pytest.raises(SnapshotFailed, match="LookupError"):
            async with Lambda.running(root, handler="app.handler", snap_start=True):
                pass
    else:
        async with Lambda.running(root, handler="app.handler", snap_start=True) as function:
            answer = await function.invoke({})
        assert (answer.error, answer.payload["errorMessage"]) == ("LookupError", "no milk")
