"""What a gateway counts of changes, messages, time and memory."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from streams import Stream, bound_to
from streams.gateway.collector import memory_limit
from streams.gateway.frames import text_frame
from streams.gateway.measures import Histogram
from streams.gateway.metrics import measure_lag
from streams.gateway.server import listening
from streams.memory import MemoryStore
from tests.browser import Browser
from tests.conftest import Backend
from tests.everybody import open_hub
from tests.gateway.house import House, of
from tests.gateway.inside import Inside, Numbers, inside_of
from tests.gateway.inside import inside as inside
from tests.gateway.waiting import until

todo = Stream("todo", dict)


async def test_changes_are_counted_once_and_messages_for_every_client(
    inside: Inside, browser: Browser, jetstream: Backend
):
    tabs = [await browser.join("todo", "inbox") for _ in range(2)]
    with bound_to(jetstream.store):
        for v in range(3):
            await todo.set("inbox", "a", {"v": v})
            for tab in tabs:
                await tab.next_frame()

    found = await inside.numbers()

    assert (found["joins_total"], found["changes_total"], found["events_total"]) == (2, 3, 0)
    assert (found["frames_sent_total"], found["writes_total"]) == (2 + 2 * 3, 2 + 2 * 3)
    assert found["sent_bytes_total"] == sum(len(text_frame(frame)) for tab in tabs for frame in tab.frames)
    assert found["write_to_send_seconds_count"] == 3
    assert found["cached_bytes"] == len(b'{"v":2,"id":"a"}')


async def test_events_are_counted_apart(inside: Inside, browser: Browser, jetstream: Backend):
    tab = await browser.join("todo", "inbox")

    await jetstream.store.send("todo", "inbox", None, b'{"type":"wave"}')
    await tab.next_frame()

    found = await inside.numbers()
    assert (found["events_total"], found["changes_total"], found["frames_sent_total"]) == (1, 0, 2)
    assert found["write_to_send_seconds_count"] == 0


@pytest_asyncio.fixture
async def near(opened: AsyncExitStack) -> AsyncIterator[tuple[MemoryStore, Browser, Inside]]:
    """A gateway whose store is in this process, so that writes of one tick are changes of one tick."""
    memory, sock = MemoryStore(["todo"]), socket.create_server(("127.0.0.1", 0))
    hub = await opened.enter_async_context(open_hub(memory))
    await opened.enter_async_context(listening(hub, sock))
    inside = await opened.enter_async_context(inside_of(hub))
    with bound_to(memory):
        yield memory, Browser(f"ws://127.0.0.1:{sock.getsockname()[1]}/", opened), inside


async def test_messages_of_one_tick_go_out_in_one_write(near: tuple[MemoryStore, Browser, Inside]):
    _, browser, inside = near
    tab = await browser.join("todo", "inbox")
    await tab.join("todo", "other")
    await tab.next_frame()

    await asyncio.gather(*(todo.set(group, "a", {"v": 1}) for group in ("inbox", "other", "inbox")))
    for _ in range(3):
        await tab.next_frame()

    found = await inside.numbers()
    joins = 2
    assert (found["frames_sent_total"], found["writes_total"]) == (joins + 3, joins + 1)
    assert found["frames_coalesced_total"] == 2


async def test_a_client_that_does_not_read_is_counted_with_what_waits_for_it(
    near: tuple[MemoryStore, Browser, Inside],
):
    memory, browser, inside = near
    pipe = socket.socket()
    pipe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    pipe.connect(("127.0.0.1", int(browser.url.rstrip("/").rpartition(":")[2])))
    stalled = await browser.open(sock=pipe, max_queue=1)
    await stalled.join("todo", "inbox")
    await stalled.next_frame()

    found: Numbers = {"clients_behind": 0}
    while not found["clients_behind"]:
        await todo.set("inbox", "a", {"text": "x" * 100_000})
        found = await inside.numbers()
    for text in ("skipped", "newest"):
        await todo.set("inbox", "a", {"text": text})
    await memory.send("todo", "inbox", None, b'{"type":"wave"}')
    assert found["unread_bytes"] > 100_000

    while b'"newest"' not in await stalled.next_frame():
        pass
    found = await inside.numbers()
    assert (found["clients_behind"], found["unread_bytes"], found["events_dropped_total"]) == (0, 0, 1)
    assert found["changes_conflated_total"] + found["resyncs_total slow"] >= 1


async def test_what_was_never_seen_is_told_as_zero(inside: Inside):
    found = await inside.numbers()

    for name in (
        "joins_total",
        "resyncs_total slow",
        "resyncs_total restarted",
        "comparisons_total unmoved",
        "comparisons_total scan",
        "comparisons_total groups",
        "changes_repaired_total",
        "clients_stalled_total",
        "clients_behind",
        "unread_bytes",
        "cached_bytes",
        "comparison_age_seconds",
        "hook_seconds_count",
        "write_to_send_seconds_bucket +Inf",
    ):
        assert found[name] == 0, name


async def test_every_call_of_the_application_is_timed():
    async with House().open() as house, inside_of(house.hub) as inside:
        tab = await house.enters(of(groups="inbox"), "inbox")
        entered = await inside.numbers()
        room = {"streamName": "todo", "groupId": "inbox"}
        await tab.say({"type": "send", "data": {**room, "event": {"type": "wave"}}})
        await until(lambda: house.hub.measures.hook.count == 3)

        # Who it is, and whether it may see the group; then, whether it may send.
        assert entered["hook_seconds_count"] == 2
        assert 0 < entered["hook_seconds_sum"] < 10


async def test_where_the_application_is_not_asked_nothing_is_timed(inside: Inside, browser: Browser):
    await browser.join("todo", "inbox")

    assert (await inside.numbers())["hook_seconds_count"] == 0


async def test_a_loop_that_was_held_up_is_seen():
    lag, loop = Histogram(), asyncio.get_running_loop()
    looking = asyncio.create_task(measure_lag(lag, every_seconds=0.001))
    await until(lambda: lag.count > 0)

    until_then = loop.time() + 0.1
    while loop.time() < until_then:
        pass
    seen = lag.count
    await until(lambda: lag.count > seen)

    looking.cancel()
    late = lag.cumulative()[-1] - lag.cumulative()[lag.bounds.index(0.05)]
    assert late >= 1


async def test_the_loop_is_looked_at_while_metrics_are_served(inside: Inside):
    async with asyncio.timeout(10):
        while not (await inside.numbers())["event_loop_lag_seconds_count"]:
            pass


@pytest.mark.parametrize(
    ("name", "said", "limit"),
    [
        ("memory.max", "536870912\n", 536870912),
        ("memory/memory.limit_in_bytes", "268435456\n", 268435456),
        # Without a limit, by either version: that of the machine.
        ("memory.max", "max\n", None),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", None),
        ("nothing", "", None),
    ],
)
def test_memory_is_what_the_container_has_or_the_machine(
    tmp_path: Path, name: str, said: str, limit: int | None
):
    of_the_machine = memory_limit(tmp_path)
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(said)

    assert memory_limit(tmp_path) == (limit or of_the_machine)
    assert of_the_machine > 2**28
