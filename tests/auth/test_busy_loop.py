"""A busy event loop is not held against a rule that has answered, in whatever order the loop comes to it."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
import uvloop

from tests.auth.rules_asked import ANN, INBOX, asking
from tests.browser import SECONDS


@pytest.mark.usefixtures("soon")
def test_an_answer_that_comes_while_its_time_is_looked_at_counts(gate):
    async def main() -> bool:
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        with near, far:
            far.send(b"!")

            def answer() -> None:
                gate.open()
                time.sleep(0.03)

            def busy() -> None:
                # More than the rule's 0.05 s, where uvloop waits for sockets: its timers come next.
                time.sleep(0.08)
                loop.call_soon(answer)

            async with asking(gate) as rules, asyncio.timeout(SECONDS):
                asked = asyncio.create_task(rules.may_see(ANN, INBOX))
                await gate.is_entered()
                loop.add_reader(near, busy)
                try:
                    return await asked
                finally:
                    loop.remove_reader(near)

    assert uvloop.run(main()) is True
