"""How a gateway ends: its clients go one after the other, so that they do not run the others over."""

from __future__ import annotations

import asyncio
import random

from streams.gateway.guests import Guests
from streams.messages import CLOSE_SERVICE_RESTART

CLIENTS_PER_SECOND = 500.0
"""So many go in a second, which another gateway bears beside its own."""

MOST_SECONDS = 5.0
"""In which all of them go, however many there are."""

HEAD_START_SECONDS = 0.5
"""How long a client that was told when to go may take to be elsewhere before its line is closed."""


async def see_off(guests: Guests) -> None:
    """Have all clients go. Nobody may come any more. Returns when they are gone, or were told so."""
    everybody = guests.everybody()
    random.shuffle(everybody)
    seconds = min(MOST_SECONDS, len(everybody) / CLIENTS_PER_SECOND)
    leaves = [(seconds * number / len(everybody), guest) for number, guest in enumerate(everybody)]
    for after, guest in leaves:
        guest.say_bye(after)
    # Motia's clients were told nothing: they learn of it as they are closed.
    ends = [(after + guest.is_extended * HEAD_START_SECONDS, guest) for after, guest in leaves]
    ends.sort(key=lambda each: each[0])
    loop = asyncio.get_running_loop()
    began = loop.time()
    for after, guest in ends:
        if not guest.is_gone:
            await asyncio.sleep(began + after - loop.time())
            guest.close(CLOSE_SERVICE_RESTART, "service restart")
