"""Something that one task waits for."""

from __future__ import annotations

import asyncio

import pytest

from streams.gateway.wish import Wish
from tests.browser import SECONDS


async def test_one_that_was_made_is_not_waited_for():
    wish = Wish()
    wish.make()

    await asyncio.wait_for(wish.made(), SECONDS)
    await asyncio.wait_for(wish.made(), SECONDS)


async def test_who_waits_is_told_however_often_it_is_made():
    wish = Wish()
    waiting = asyncio.create_task(wish.made())
    await asyncio.sleep(0)
    assert not waiting.done()

    wish.make()
    wish.make()

    await asyncio.wait_for(waiting, SECONDS)


async def test_one_that_is_forgotten_is_waited_for_again():
    wish = Wish()
    wish.make()
    wish.forget()

    waiting = asyncio.create_task(wish.made())
    await asyncio.sleep(0)
    assert not waiting.done()
    wish.make()
    await asyncio.wait_for(waiting, SECONDS)


async def test_who_gives_up_waiting_may_wait_again():
    wish = Wish()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await wish.made()

    wish.make()

    await asyncio.wait_for(wish.made(), SECONDS)
