"""The load process: all clients and the writer, apart from every server.

Run with one JSON argument, a `Task`; prints one JSON object: the `Measures`,
and the scenarios that failed, with the reason.
"""

from __future__ import annotations

import gc
import sys
import traceback

import orjson
import uvloop

from tests.benchmarks.load import Measures, Scale, Task
from tests.benchmarks.scenarios import SCENARIOS
from tests.benchmarks.scenarios.crowd import Stand
from tests.benchmarks.targets import TARGETS, Servers


async def run(task: Task) -> tuple[Measures, dict[str, str]]:
    """All scenarios against servers that run already. Keys are `scenario/measure`."""
    stand = Stand(TARGETS[task.target], task.servers, task.scale)
    measures: Measures = {}
    failed: dict[str, str] = {}
    for name in task.scenarios:
        try:
            found = await SCENARIOS[name](stand)
        except Exception as error:
            traceback.print_exception(error)
            # The table names the cause, and not the group around it.
            cause: BaseException = error
            while isinstance(cause, BaseExceptionGroup):
                cause = cause.exceptions[0]
            failed[name] = f"{type(cause).__name__}: {cause}"
        else:
            measures |= {f"{name}/{measure}": value for measure, value in found.items()}
    return measures, failed


def main() -> None:
    fields = orjson.loads(sys.argv[1])
    servers, scale = Servers(**fields.pop("servers")), Scale(**fields.pop("scale"))
    # A collection would stop all clients at once and show as latency; the process is short and small.
    gc.disable()
    measures, failed = uvloop.run(run(Task(servers=servers, scale=scale, **fields)))
    sys.stdout.buffer.write(orjson.dumps({"measures": measures, "failed": failed}))


if __name__ == "__main__":
    main()
