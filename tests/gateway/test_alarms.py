"""Deadlines that many have, and one timer for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from streams.gateway.alarms import EXACTNESS, Alarms, Moment
from tests.browser import SECONDS


class Somebody:
    """Notes when it was woken."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.woken = asyncio.Event()
        self.at = 0.0
        self._then = then

    def alarm(self) -> None:
        assert not self.woken.is_set()
        self.at = asyncio.get_running_loop().time()
        self.woken.set()
        self._then()

    async def is_woken(self) -> float:
        async with asyncio.timeout(SECONDS):
            await self.woken.wait()
        return self.at


async def test_everybody_is_woken_in_turn_and_never_early():
    alarms, began = Alarms(), asyncio.get_running_loop().time()
    late, soon, sooner = Somebody(), Somebody(), Somebody()
    for who, seconds in ((late, 0.12), (soon, 0.05), (sooner, 0.01)):
        alarms.add(who, seconds)

    times = [await each.is_woken() - began for each in (sooner, soon, late)]

    assert times == sorted(times)
    assert all(time >= seconds for time, seconds in zip(times, (0.01, 0.05, 0.12), strict=True))


async def test_who_has_taken_itself_out_is_not_woken():
    alarms, out, other = Alarms(), Somebody(), Somebody()
    moment = alarms.add(out, 0.01)
    alarms.add(other, 0.02)

    del moment[out]

    await other.is_woken()
    assert not out.woken.is_set()


async def test_who_is_taken_out_by_another_of_the_same_moment_is_not_woken():
    alarms, taken_out = Alarms(), list[Somebody]()
    moment: Moment = {}

    def take_others_out() -> None:
        taken_out.extend(each for each in moment if isinstance(each, Somebody))
        moment.clear()

    while len(moment) < 2:
        moment.clear()
        before = alarms.add(Somebody(take_others_out), 0.05)
        moment = alarms.add(Somebody(take_others_out), 0.05)
        if moment is not before:
            before.clear()
    last = Somebody()
    alarms.add(last, 0.1)

    await last.is_woken()
    assert len(taken_out) == 1
    assert not taken_out[0].woken.is_set()


async def test_who_is_woken_may_have_a_new_deadline_at_once():
    alarms = Alarms()
    second = Somebody()
    first = Somebody(lambda: _ignore(alarms.add(second, 0.01)))
    alarms.add(first, 0.01)

    assert await second.is_woken() > await first.is_woken()


async def test_one_that_fails_keeps_nobody_from_being_woken(caplog: pytest.LogCaptureFixture):
    alarms, others = Alarms(), [Somebody(), Somebody(), Somebody()]
    alarms.add(others[0], 0.01)
    alarms.add(Somebody(_fail), 0.01)
    alarms.add(others[1], 0.01)
    alarms.add(others[2], 0.03)

    for other in others:
        await other.is_woken()

    assert [each.message for each in caplog.records] == ["what was due could not be done"]


@pytest.mark.parametrize("seconds", [0.05, 5.0, 10.0, 12.5, 25.0])
async def test_those_who_come_within_a_part_of_their_time_have_one_moment_and_are_few_moments(seconds: float):
    alarms, began = Alarms(), time.monotonic()

    moments = {id(alarms.add(Somebody(), seconds * part / 10_000)) for part in range(5_000, 10_001)}

    # Time goes on while they come.
    later = (time.monotonic() - began) / (seconds / 2 / EXACTNESS / 2)
    assert len(moments) <= 2 * EXACTNESS + 1 + later


def test_the_alarms_of_a_listener_are_made_once():
    async def made() -> None:
        state: dict[str, object] = {}

        assert Alarms.of(state) is Alarms.of(state)

    asyncio.run(made())


def _ignore(_: object) -> None: ...


def _fail() -> None:
    raise LookupError
