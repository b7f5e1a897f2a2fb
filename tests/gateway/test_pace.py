"""How often something may be done."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from streams.gateway.pace import Pace

# Exact in a double, and so is what is counted with them.
RATES = st.sampled_from([1, 2, 4, 8, 16, 32, 64])
BURSTS = st.integers(1, 50)
PAUSES = st.lists(st.integers(0, 64).map(lambda parts: parts / 64), min_size=1, max_size=120)


def allowed(pace: Pace, times: list[float]) -> list[float]:
    """When it was allowed, of the times when it was tried."""
    return [now for now in times if pace.allows(now)]


def test_the_burst_may_be_done_at_once_and_no_more():
    pace = Pace(2.0, 5, now=100.0)

    assert allowed(pace, [100.0] * 7) == [100.0] * 5


def test_after_the_burst_it_goes_on_by_the_rate():
    pace = Pace(2.0, 5, now=100.0)
    allowed(pace, [100.0] * 5)

    assert allowed(pace, [100.25, 100.5, 100.75, 101.0, 101.0]) == [100.5, 101.0]


def test_what_was_refused_costs_nothing():
    pace = Pace(1.0, 1, now=0.0)
    allowed(pace, [0.0] * 1000)

    assert pace.allows(1.0)


def test_however_long_nothing_was_done_no_more_than_the_burst_is_saved():
    pace = Pace(20.0, 3, now=0.0)

    assert len(allowed(pace, [1e9] * 10)) == 3


@given(RATES, BURSTS, PAUSES)
def test_in_no_stretch_of_time_is_more_done_than_the_burst_and_the_rate(
    rate: int, burst: int, pauses: list[float]
):
    done = allowed(Pace(rate, burst, now=0.0), list(accumulate(pauses)))

    for first, start in enumerate(done):
        for count, end in enumerate(done[first:], start=1):
            assert count <= burst + rate * (end - start)


@given(RATES, BURSTS, PAUSES)
def test_whoever_keeps_to_the_rate_is_never_refused(rate: int, burst: int, pauses: list[float]):
    kept = list(accumulate(1 / rate + pause for pause in pauses))
    pace = Pace(rate, burst + 1, now=0.0)

    assert allowed(pace, kept) == kept


@given(RATES, BURSTS, PAUSES)
def test_however_often_it_was_tried_the_next_turn_comes_in_time(rate: int, burst: int, pauses: list[float]):
    pace = Pace(rate, burst, now=0.0)
    tried = list(accumulate(pauses))

    assert len(allowed(pace, tried)) >= min(len(tried), burst)
    assert pace.allows(tried[-1] + 1 / rate)
