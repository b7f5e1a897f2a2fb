"""`make soak SEED=7`: everything goes wrong that can, and in the end every client shows what is stored.

The same seed makes the same faults and writes; when they meet is up to the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.faults import FAULTS, rolling_restart
from tests.chaos.world import World

CALM_SECONDS = 2.0
"""How long all is well before the first fault and after the last one of a part."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--parts", type=int, default=6, help="so often clients are compared with what is stored"
    )
    parser.add_argument("--faults", type=int, default=3, help="in each part, one after the other")
    parser.add_argument("--rolling", action="store_true", help="restart everything in order instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="streams-soak-", ignore_cleanup_errors=True) as folder:
        return asyncio.run(soak(Path(folder), options))


async def soak(folder: Path, options: argparse.Namespace) -> int:
    chance, began = random.Random(options.seed), time.monotonic()
    async with World.running(folder, options.seed) as world:
        await world.settled()
        comings = sum(client.comings for client in world.clients)
        for client in world.clients:
            client.blind.clear()
        for part in range(1 if options.rolling else options.parts):
            async with world.writing():
                await asyncio.sleep(CALM_SECONDS)
                if options.rolling:
                    await rolling_restart(world)
                    happened = ["all NATS servers and gateways restarted, one after the other"]
                else:
                    happened = [await chance.choice(FAULTS)(world, chance) for _ in range(options.faults)]
                await asyncio.sleep(CALM_SECONDS)
            await world.heal()
            seconds = await world.settled()
            print(f"part {part + 1}: {'; '.join(happened)}: all right after {seconds:.1f} s", flush=True)
        return say(world, comings, time.monotonic() - began)


def say(world: World, comings: int, seconds: float) -> int:
    faults = [fault for client in world.clients for fault in client.faults]
    blind = sorted(each for client in world.clients for each in client.blind)
    again = sum(client.comings for client in world.clients) - comings
    print(
        f"{seconds:.0f} s, {world.writes:,} writes, {world.retries:,} tries that failed, {again} times back"
    )
    print(f"clients without a state, seconds: {quantiles(blind)}")
    asked = [client.asked for client in world.clients if hasattr(client, "asked")]
    totals = ", ".join(f"{name} {sum(each[name] for each in asked)}" for name in asked[0])
    print(f"of ours: {totals}")
    print(f"writes that failed in the end: {len(world.lost_writes)}")
    for fault in [*world.lost_writes, *faults][:20]:
        print(" ", fault)
    print(f"clients that were told what cannot be: {len(faults)}")
    return 1 if faults or world.lost_writes else 0


def quantiles(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{len(values)} times"
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return f"p50 {cuts[49]:.2f}, p99 {cuts[98]:.2f}, longest {max(values):.2f}, {len(values)} times"


if __name__ == "__main__":
    raise SystemExit(main())
