"""Writes whose answers are lost: what became of each is found out, or said not to be known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from streams import OutcomeUnknown, Stream, bound_to, ops
from streams.dev.nats_server import NatsServer
from streams.jetstream.connection import Connection, connected_to
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.store import Store, Written
from tests.browser import SECONDS
from tests.conftest import Backend
from tests.gateway.waiting import until
from tests.store.jetstream.proxy import Line, line_to
from tests.store.writes import address, content, content_of, put, value

counter = Stream("todo", dict)


@pytest_asyncio.fixture
async def line(nats: NatsServer) -> AsyncIterator[Line]:
    async with line_to(nats.url) as line:
        yield line


@pytest_asyncio.fixture
async def ours(line: Line, namespace: Namespace, jetstream: Backend) -> AsyncIterator[KvStore]:
    """A store whose line to the server can be made to lose things."""
    async with connected_to(line.url) as connection:
        store = KvStore(connection, namespace)
        # Both know each other's last write, as processes do that share an item.
        await put(store, "first")
        yield store


@pytest.fixture
def theirs(jetstream: Backend) -> Store:
    """Another process, with a line of its own."""
    return jetstream.store


async def swallowed(line: Line) -> None:
    async with asyncio.timeout(SECONDS):
        await line.swallowed.wait()


async def done_but_unanswered(line: Line, ours: Store, theirs: Store, what: str) -> asyncio.Task[Written]:
    """A write that the server has done, and whose answer has not come."""
    line.swallows_answers = True
    writing = asyncio.create_task(put(ours, what))
    async with asyncio.timeout(SECONDS):
        while content(await theirs.get(address())) != what:
            await asyncio.sleep(0.002)
    await swallowed(line)
    return writing


async def test_a_write_that_was_done_is_answered_as_if_nothing_had_happened(
    line: Line, ours: Store, theirs: Store
):
    writing = await done_but_unanswered(line, ours, theirs, "second")
    line.cut()

    written = await asyncio.wait_for(writing, SECONDS)

    found = await theirs.get(address())
    assert found is not None
    assert content_of(written.old) == "first"
    assert (written.value, written.revision) == (found.value, found.revision)


@pytest.mark.parametrize("others", [1, 2, 20])
async def test_a_write_that_was_done_and_replaced_since_is_answered_with_its_own_revision(
    line: Line, ours: Store, theirs: Store, others: int
):
    writing = await done_but_unanswered(line, ours, theirs, "second")
    over = [await put(theirs, f"over it {number}") for number in range(others)]
    line.cut()

    written = await asyncio.wait_for(writing, SECONDS)

    assert (content_of(written.old), content_of(over[0].old)) == ("first", "second")
    assert written.revision is not None
    assert over[0].revision is not None
    assert written.revision < over[0].revision
    assert content(await ours.get(address())) == f"over it {others - 1}"


async def test_a_write_that_was_done_and_deleted_since_is_answered_too(
    line: Line, ours: Store, theirs: Store
):
    writing = await done_but_unanswered(line, ours, theirs, "second")
    await theirs.write(address(), lambda _: None)
    line.cut()

    assert content_of((await asyncio.wait_for(writing, SECONDS)).old) == "first"
    assert await ours.get(address()) is None


@pytest.mark.parametrize("others", [1, 2, 20])
async def test_a_write_that_was_not_done_is_decided_again_on_what_others_wrote(
    line: Line, ours: Store, theirs: Store, others: int
):
    line.swallows_requests = True
    writing = asyncio.create_task(put(ours, "late"))
    await swallowed(line)
    for number in range(others):
        await put(theirs, f"theirs {number}")
    line.cut()

    written = await asyncio.wait_for(writing, SECONDS)

    assert content_of(written.old) == f"theirs {others - 1}"
    assert content(await theirs.get(address())) == "late"


async def test_increments_whose_answers_are_lost_again_and_again_count_once(
    line: Line, ours: Store, theirs: Store
):
    replaced: dict[Store, list[int]] = {ours: [], theirs: []}

    async def count(store: Store) -> None:
        for _ in range(60):
            with bound_to(store):
                result = await counter.update("inbox", "n", [ops.increment("n")])
            replaced[store].append(result.old_value["n"] if result.old_value else 0)

    async def lose(direction: str) -> None:
        done = len(replaced[ours])
        await until(lambda: len(replaced[ours]) > done)
        line.swallowed.clear()
        setattr(line, direction, True)
        await swallowed(line)
        line.cut()

    counting = asyncio.gather(*(count(store) for store in (ours, ours, ours, theirs, theirs)))
    for direction in ("swallows_answers", "swallows_requests") * 4:
        await lose(direction)
    async with asyncio.timeout(SECONDS):
        await counting

    assert sorted(replaced[ours] + replaced[theirs]) == list(range(300))


async def test_what_another_program_wrote_over_it_hides_what_became_of_it(
    line: Line, ours: Store, theirs: Store, connection: Connection, namespace: Namespace
):
    writing = await done_but_unanswered(line, ours, theirs, "second")
    await connection.request(namespace.item(address()), value("foreign"))
    line.cut()

    with pytest.raises(OutcomeUnknown, match="todo/inbox/1"):
        await asyncio.wait_for(writing, SECONDS)

    assert content_of((await put(ours, "next")).old) == "foreign"


async def test_one_that_is_cancelled_while_its_answer_is_out_leaves_the_others_their_own(
    line: Line, ours: Store, theirs: Store
):
    blocker = await done_but_unanswered(line, ours, theirs, "second")
    # These wait for the blocker, and become one write, led by the first of them.
    together = [asyncio.create_task(put(ours, f"w{number}")) for number in range(4)]
    await asyncio.sleep(0)
    line.cut()
    await asyncio.wait_for(blocker, SECONDS)
    line.swallows_answers = True
    line.swallowed.clear()
    await swallowed(line)
    together[0].cancel()
    await asyncio.wait([together[0]])
    line.cut()

    rest = await asyncio.wait_for(asyncio.gather(*together[1:]), SECONDS)

    assert [content_of(written.old) for written in rest] == ["w0", "w1", "w2"]
    assert len({written.revision for written in rest}) == 1
    assert content(await theirs.get(address())) == "w3"
