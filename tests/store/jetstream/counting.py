"""A process that counts: so many callers increment one item at once. Prints the counts that they replaced."""

from __future__ import annotations

import asyncio
import json
import sys

from streams import Stream, connected, ops

counter = Stream("todo", dict)


async def count(url: str, namespace: str, callers: int, times: int) -> list[int]:
    replaced: list[int] = []

    async def call() -> None:
        for _ in range(times):
            result = await counter.update("inbox", "1", [ops.increment("n")])
            replaced.append(result.old_value["n"] if result.old_value else 0)

    async with connected(url, namespace=namespace):
        # All processes begin together: when the last of them is ready.
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        await asyncio.gather(*(call() for _ in range(callers)))
    return replaced


if __name__ == "__main__":
    url, namespace, callers, times = sys.argv[1:]
    print(json.dumps(asyncio.run(count(url, namespace, int(callers), int(times)))))
