"""What a change costs on its way in: from the socket until it is delivered to whoever follows its group.

`python -m tests.benchmarks.ingest` listens in this process and writes in another one. Beside it, by turns,
nats-py's own subscriptions hear the same subjects with a callback that only counts.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import nats
import orjson
import uvloop
from nats.aio.client import Client
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streams.dev.nats_server import embedded
from streams.folding import Held
from streams.jetstream.bucket import provision
from streams.jetstream.connection import connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.records import write_headers
from streams.keys import Address, Namespace
from streams.messages import Room
from tests.benchmarks.processes import ServerFailed, Worker, working
from tests.benchmarks.tables import cell

GROUPS = [1, 500]
"""How many are followed at once."""

CHANGES, QUICK_CHANGES, ITEMS = 20_000, 2_000, 32
"""Changes in one turn, and items of a group, which change by turns. Each is 200 bytes long."""

CONFIRMED = 1000
"""Every so many writes, an answer is waited for. The server drops what it has more than 10,000 of."""

TURN_SECONDS = 30.0
"""How long one turn may take."""

NAMESPACE, STREAM = Namespace("ingest"), "todo"


def run(rounds: int, *, is_quick: bool) -> tuple[Table, bool]:
    """The table, and whether every change came."""
    measured = defaultdict[tuple[int, str], list[float]](list)
    shown = Table(title="CPU µs of a change, from the socket until it is delivered")
    for name in ("groups followed", "streams", "nats-py's own callback"):
        shown.add_column(name, justify="right")
    try:
        uvloop.run(_measure(rounds, QUICK_CHANGES if is_quick else CHANGES, measured))
    except ServerFailed as failure:
        shown.add_row(escape(str(failure)))
        return shown, False
    for groups in GROUPS:
        shown.add_row(str(groups), *[cell(measured[groups, name], ".1f") for name in ("streams", "nats-py")])
    return shown, True


async def _measure(rounds: int, changes: int, measured: dict[tuple[int, str], list[float]]) -> None:
    with tempfile.TemporaryDirectory(prefix="streams-benchmark-") as directory:
        async with (
            embedded(Path(directory, "nats")) as server,
            connected_to(server.url) as connection,
            await nats.connect(server.url) as client,
        ):
            await provision(connection, NAMESPACE, STREAM)
            feed = JetStreamFeed(connection, NAMESPACE)
            with working("writer", ["ingest", server.url], Path(directory)) as worker:
                for groups in GROUPS * rounds:
                    for name, listeners in (("streams", feed), ("nats-py", client)):
                        measured[groups, name].append(await _turn(listeners, worker, groups, changes))


async def _turn(listeners: JetStreamFeed | Client, worker: Worker, groups: int, changes: int) -> float:
    """CPU microseconds of this process for each change."""
    done, came = asyncio.Event(), 0

    def heard(_: object) -> None:
        nonlocal came
        came += 1
        if came == changes:
            done.set()

    async with _listening(listeners, [f"{groups}-{number}" for number in range(groups)], heard):
        cpu = time.process_time()
        worker.tell([groups, changes])
        with suppress(TimeoutError):
            async with asyncio.timeout(TURN_SECONDS):
                await done.wait()
        cpu = time.process_time() - cpu
    worker.answer(TURN_SECONDS)
    if came < changes:
        raise ServerFailed(f"{changes - came} of {changes} changes did not come")
    return cpu * 1e6 / changes


@asynccontextmanager
async def _listening(
    by: JetStreamFeed | Client, groups: list[str], heard: Callable[[object], None]
) -> AsyncIterator[None]:
    async def callback(message: object) -> None:
        heard(message)

    async with AsyncExitStack() as all_of_them:
        for group in groups:
            if isinstance(by, Client):
                subscription = await by.subscribe(NAMESPACE.live_group(STREAM, group), cb=callback)
                all_of_them.push_async_callback(subscription.unsubscribe)
            else:
                await all_of_them.enter_async_context(by.listening(Room(STREAM, group), heard, lambda: None))
        # An answer of the server: it knows all of them.
        await (by.rtt() if isinstance(by, Client) else by.end(STREAM))
        yield


async def _write(url: str) -> None:
    """For every `[groups, changes]` that is read, write so many changes to these groups, and say so."""
    revision, revisions = 1, defaultdict[str, int](int)  # The first is the bucket's own record.
    async with await nats.connect(url) as client:
        while line := await asyncio.to_thread(sys.stdin.buffer.readline):
            groups, changes = orjson.loads(line)
            for number in range(changes):
                item = f"item-{number // groups % ITEMS:02d}"
                value = b'{"id":"%s","text":"%s"}' % (item.encode(), b"x" * 173)
                subject = NAMESPACE.item(Address(STREAM, f"{groups}-{number % groups}", item))
                revision, replaced = revision + 1, revisions[subject]
                held = Held(value, replaced, replaced, time.time_ns() // 1_000_000, None)
                headers = write_headers(held, operation=f"writer.{revision}", expected=replaced, now_ms=0)
                send = client.publish if revision % CONFIRMED else partial(client.request, timeout=30)
                await send(subject, value, headers=headers)
                revisions[subject] = revision
            print(changes, flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        uvloop.run(_write(sys.argv[1]))
    else:
        Console().print(run(5, is_quick=False)[0])
