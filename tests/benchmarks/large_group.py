"""One group of many items: writing, reading and watching it.

`python -m tests.benchmarks.large_group NATS_URL TASK ...` does one of the
tasks in a process that has done nothing before, and answers with one line.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import orjson
import uvloop
from websockets.asyncio.client import ClientConnection, connect

import streams
from streams.jetstream.bucket import provision
from streams.jetstream.connection import connected_to
from streams.keys import Namespace
from tests.benchmarks.load import Measures, quantile
from tests.benchmarks.processes import answered, free_port, memory_mb, running
from tests.benchmarks.targets import STREAM, Servers, join_message

GROUP = "large"
IN_FLIGHT = 256
CHANGES = 20
"""Changes, and deletes, of which the way to a watching client is timed."""

TASK_SECONDS = 90.0

ITEM_BYTES = 100

bench = streams.Stream(STREAM, dict)


def rounds(servers: Servers, directory: Path, items: int, count: int) -> Iterator[Measures]:
    """Write the group; then, round by round, read it, and join it on a gateway that does not know it."""

    def asked(task: str, *rest: str) -> Measures:
        found: Measures = answered(
            task, ["large_group", servers.nats_url, task, *rest], directory, TASK_SECONDS
        )
        return {f"{task}/{name}": value for name, value in found.items()}

    for number in range(count):
        measures = {} if number else {"items": float(items), **asked("write", str(items))}
        for task in ("read", "kv-read", "list", "kv-list"):
            measures |= asked(task, str(items))
        port = free_port()
        gateway = [
            sys.executable,
            "-m",
            "tests.benchmarks.streams_server",
            "gateway",
            servers.nats_url,
            str(port),
        ]
        with running(f"gateway-{number}", gateway, directory) as server:
            server.wait_for_port(port)
            empty_mb = memory_mb([server.pid])
            measures |= asked("join", str(items), str(port))
            measures["gateway_mb"] = memory_mb([server.pid]) - empty_mb
        yield measures


def item(number: int) -> dict[str, Any]:
    return {"id": f"item-{number:06d}", "text": _FILLING}


_FILLING = ""
_FILLING = "x" * (ITEM_BYTES - len(orjson.dumps(item(0))))


async def write(url: str, items: int) -> Measures:
    async with connected_to(url) as connection:
        await provision(connection, Namespace(), STREAM)
    numbers = iter(range(items))

    async def lane() -> None:
        for number in numbers:
            await bench.set(GROUP, f"item-{number:06d}", item(number))

    async with streams.connected(url):
        began = time.monotonic()
        async with asyncio.TaskGroup() as lanes:
            for number in range(IN_FLIGHT):
                lanes.create_task(lane(), name=f"lane {number}")
        return {"per_second": items / (time.monotonic() - began), "wrong": 0.0}


async def read(url: str, items: int) -> Measures:
    async with streams.connected(url):
        return await _read(lambda: bench.get_group(GROUP), items)


async def kv_read(url: str, items: int) -> Measures:
    """All values at once, as nats-py offers them: a watcher up to the mark that says "this was there"."""
    async with await nats.connect(url) as client:
        kv = await client.jetstream().key_value(Namespace().bucket(STREAM))

        async def all_values() -> list[Any]:
            watcher: Any = await kv.watch(f"{GROUP}.*")  # untyped
            found = []
            while (entry := await watcher.updates(timeout=TASK_SECONDS)) is not None:
                if entry.operation is None:
                    found.append(orjson.loads(entry.value or b""))
            await watcher.stop()
            return found

        return await _read(all_values, items)


async def list_groups(url: str, items: int) -> Measures:
    async with streams.connected(url):
        return await _read(bench.list_groups, 1)


async def kv_list(url: str, items: int) -> Measures:
    async with await nats.connect(url) as client:
        kv = await client.jetstream().key_value(Namespace().bucket(STREAM))

        async def groups() -> list[str]:
            keys = await kv.keys()
            return sorted({key.partition(".")[0] for key in keys if "." in key})

        return await _read(groups, 1)


async def _read(call: Callable[[], Awaitable[list[Any]]], expected: int) -> Measures:
    before, cpu, began = _status_mb("VmRSS"), time.process_time(), time.monotonic()
    found = await call()
    return {
        "seconds": time.monotonic() - began,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": _status_mb("VmHWM") - before,
        "wrong": float(abs(len(found) - expected)),
    }


async def join(url: str, items: int, port: int) -> Measures:
    """From joining to the whole state, cold and warm, and then what changes."""
    address = f"ws://127.0.0.1:{port}/"
    # Without a limit to what waits unread, the second socket could not be closed: nobody reads its changes.
    options: dict[str, Any] = {"max_size": None, "max_queue": None, "compression": None, "proxy": None}
    async with (
        streams.connected(url),
        connect(address, **options) as first,
        connect(address, **options) as second,
    ):
        # A store looks at the bucket before its first write.
        await bench.delete(GROUP, "nothing")
        cold_s, cold = await _joined(first)
        warm_s, warm = await _joined(second)
        wrong = sum(len(orjson.loads(sync)["event"]["data"]) != items for sync in (cold, warm))
        changes, deletes = list[float](), list[float]()
        for number in range(CHANGES):
            item_id = f"item-{number * items // CHANGES:06d}"
            changed = {**item(number * items // CHANGES), "changed": True}
            for latencies, kind, call in (
                (changes, "update", lambda: bench.set(GROUP, item_id, changed)),  # noqa: B023  # called at once
                (deletes, "delete", lambda: bench.delete(GROUP, item_id)),  # noqa: B023
            ):
                began = time.monotonic()
                writing = asyncio.create_task(call(), name=kind)
                frame = await first.recv(decode=False)
                latencies.append((time.monotonic() - began) * 1e3)
                await writing
                shown = orjson.loads(frame)
                wrong += (shown["event"]["type"], shown["id"]) != (kind, item_id)
            # So that the next round finds as many.
            await bench.set(GROUP, item_id, item(number * items // CHANGES))
            wrong += orjson.loads(await first.recv(decode=False))["event"]["type"] != "create"
    return {
        "cold_s": cold_s,
        "warm_s": warm_s,
        "sync_mb": len(cold) / 1e6,
        "change_ms": quantile(sorted(changes), 0.5),
        "delete_ms": quantile(sorted(deletes), 0.5),
        "wrong": float(wrong),
    }


async def _joined(socket: ClientConnection) -> tuple[float, bytes]:
    began = time.monotonic()
    await socket.send(join_message(GROUP).decode())
    sync = await socket.recv(decode=False)
    return time.monotonic() - began, sync


def _status_mb(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"/proc/self/status has no {field}")


async def main(arguments: list[str]) -> Measures:
    match arguments:
        case [url, "write", items]:
            return await write(url, int(items))
        case [url, "read", items]:
            return await read(url, int(items))
        case [url, "kv-read", items]:
            return await kv_read(url, int(items))
        case [url, "list", items]:
            return await list_groups(url, int(items))
        case [url, "kv-list", items]:
            return await kv_list(url, int(items))
        case [url, "join", items, port]:
            return await join(url, int(items), int(port))
        case _:
            sys.exit("usage: python -m tests.benchmarks.large_group NATS_URL TASK ITEMS [PORT]")


if __name__ == "__main__":
    print(orjson.dumps(uvloop.run(main(sys.argv[1:]))).decode())
