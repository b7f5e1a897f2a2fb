"""Our client on real gateways, over lines that are cut: what it holds is what is stored."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams import Stream, bound_to
from tests.browser import SECONDS
from tests.clients.front import Front, front_of
from tests.clients.ours.package import PACKAGE, bundled
from tests.conftest import Backend, gateway_on

pytestmark = pytest.mark.node

PROGRAM = Path(__file__).with_name("watching.mjs")
WRITES, CUTS = 150, 6
ITEMS = "abcdefgh"
SEEDS = range(1, 1 + int(os.environ.get("STREAMS_TEST_SEEDS", "3")))

todo = Stream("todo", dict)


class Watching:
    """A process of Node that watches, and tells what it holds."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def state(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"state\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), SECONDS)
        assert line, "it has ended"
        told: dict[str, Any] = orjson.loads(line)
        return told

    async def until(self, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(2 * SECONDS):
            while not is_so(state := await self.state()):
                await asyncio.sleep(0.02)
        return state


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundled(tmp_path_factory.mktemp("bundle"))


@asynccontextmanager
async def watching(bundle: Path, url: str) -> AsyncIterator[Watching]:
    process = await asyncio.create_subprocess_exec(
        "node",
        str(PROGRAM),
        str(PACKAGE),
        str(bundle),
        url,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Watching(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.wait_for(process.wait(), SECONDS)


async def write(chance: random.Random, front: Front) -> None:
    cuts = set(chance.sample(range(WRITES), CUTS))
    for number in range(WRITES):
        item_id = chance.choice(ITEMS)
        if chance.random() < 0.3:
            await todo.delete("inbox", item_id)
        else:
            await todo.set("inbox", item_id, {"n": number})
        if number in cuts:
            await front.cut()


@pytest.mark.parametrize("seed", SEEDS)
async def test_it_holds_what_is_stored_and_tells_exactly_what_changed(
    jetstream: Backend, opened: AsyncExitStack, bundle: Path, seed: int
):
    chance = random.Random(seed)
    gateways = [await opened.enter_async_context(gateway_on(jetstream.feed)) for _ in range(2)]
    front = await opened.enter_async_context(front_of(*[each.url for each in gateways], chance=chance))
    with bound_to(jetstream.store):
        for item_id in ITEMS[:4]:
            await todo.set("inbox", item_id, {"n": -1})
        client = await opened.enter_async_context(watching(bundle, front.url))
        await client.until(lambda state: state["status"] == "live")
        await write(chance, front)
        stored = [dict(item) for item in await todo.get_group("inbox")]

    def by_id(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return sorted(items, key=lambda item: str(item["id"]))

    # An item that was deleted and made anew unheard may stand where it was before.
    state = await client.until(
        lambda state: state["status"] == "live" and by_id(state["items"]) == by_id(stored)
    )
    assert state["told"] == {item["id"]: item for item in stored}
    assert (state["faults"], state["errors"]) == ([], [])
    of_a = next((item for item in stored if item["id"] == "a"), None)
    await client.until(lambda state: state["item"] == of_a)
    assert sum(gateway.hub.guests.tally.opened for gateway in gateways) > CUTS // 2


async def test_a_gateway_that_starts_again_is_come_back_to(
    jetstream: Backend, opened: AsyncExitStack, bundle: Path
):
    first = AsyncExitStack()
    gateway = await first.enter_async_context(gateway_on(jetstream.feed))
    front = await opened.enter_async_context(front_of(gateway.url))
    client = await opened.enter_async_context(watching(bundle, front.url))
    await client.until(lambda state: state["status"] == "live")

    front.targets.clear()
    await first.aclose()
    await client.until(lambda state: state["status"] == "stale")
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"n": 1})
    second = await opened.enter_async_context(gateway_on(jetstream.feed))
    front.targets.append(second.url)

    state = await client.until(lambda state: state["status"] == "live")
    assert state["items"] == [{"n": 1, "id": "a"}]
    assert state["told"] == {"a": {"n": 1, "id": "a"}}
