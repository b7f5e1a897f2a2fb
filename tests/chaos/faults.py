"""What goes wrong, by chance."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable

from tests.chaos.world import Gateway, World
from tests.store.jetstream.shipped import Node


async def node_is_killed(world: World, chance: random.Random) -> str:
    """A NATS server ends as in a crash, and starts again."""
    node = chance.choice(world.nodes)
    await node.kill()
    await asyncio.sleep(chance.uniform(0.5, 4.0))
    await node.start()
    await node.is_well()
    return f"{node.name} killed"


async def node_is_restarted(world: World, chance: random.Random) -> str:
    """The same in order."""
    node = chance.choice(world.nodes)
    await _restart(node)
    return f"{node.name} restarted"


async def node_is_frozen(world: World, chance: random.Random) -> str:
    """A NATS server stands still, as on a machine that has no memory left, and goes on where it was."""
    node, seconds = chance.choice(world.nodes), chance.choice([0.5, 3.0, 8.0])
    await _frozen(node.process.pid, seconds)
    return f"{node.name} frozen for {seconds} s"


async def gateway_is_killed(world: World, chance: random.Random) -> str:
    gateway = chance.choice(world.gateways)
    await gateway.end(signal.SIGKILL)
    await asyncio.sleep(chance.uniform(0.0, 1.0))
    await _started(gateway)
    return f"{gateway.name} killed"


async def gateway_is_restarted(world: World, chance: random.Random) -> str:
    gateway = chance.choice(world.gateways)
    await gateway.end(signal.SIGTERM)
    await _started(gateway)
    return f"{gateway.name} restarted"


async def gateway_is_frozen(world: World, chance: random.Random) -> str:
    gateway, seconds = chance.choice(world.gateways), chance.choice([0.5, 3.0, 8.0])
    await _frozen(gateway.process.pid, seconds)
    return f"{gateway.name} frozen for {seconds} s"


async def lines_are_cut(world: World, chance: random.Random) -> str:
    """All clients of a gateway lose their lines."""
    gateway, how = chance.choice(world.gateways), chance.choice(["cut", "reset"])
    getattr(gateway.line, how)()
    return f"lines to {gateway.name} {how}"


async def lines_swallow(world: World, chance: random.Random) -> str:
    """What a gateway says to its clients does not arrive, and then the lines end."""
    gateway, seconds = chance.choice(world.gateways), chance.uniform(0.2, 2.0)
    gateway.line.swallows_answers = True
    await asyncio.sleep(seconds)
    gateway.line.cut()
    return f"lines to {gateway.name} swallowed for {seconds:.1f} s"


FAULTS: list[Callable[[World, random.Random], Awaitable[str]]] = [
    node_is_killed,
    node_is_restarted,
    node_is_frozen,
    gateway_is_killed,
    gateway_is_restarted,
    gateway_is_frozen,
    lines_are_cut,
    lines_swallow,
]


async def rolling_restart(world: World) -> None:
    """Every NATS server and every gateway is restarted in order, one after the other."""
    for node in world.nodes:
        await _restart(node)
    for gateway in world.gateways:
        await gateway.end(signal.SIGTERM)
        await _started(gateway)


async def _restart(node: Node) -> None:
    await node.stop()
    await node.start()
    await node.is_well()


async def _started(gateway: Gateway) -> None:
    while not gateway.is_up:
        try:
            await gateway.start()
        except ConnectionError:
            # NATS has no leader just now: whoever runs gateways starts them again.
            await asyncio.sleep(0.5)


async def _frozen(pid: int, seconds: float) -> None:
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)
