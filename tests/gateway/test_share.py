"""A share of the processor, for work that may take its time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.gateway.pace import Share

SECONDS = st.floats(0.0001, 1.0)


def test_after_work_there_is_as_much_rest_as_the_share_asks_for():
    share = Share(0.25)

    assert share.spend(2.0, now=100.0) == 106.0


def test_those_who_have_a_share_together_rest_for_each_other():
    share = Share(0.5)

    assert share.spend(1.0, now=10.0) == 11.0
    assert share.spend(1.0, now=10.5) == 12.0


def test_rest_that_was_not_asked_for_is_not_saved_up():
    share = Share(0.5)
    share.spend(1.0, now=10.0)

    assert share.spend(1.0, now=500.0) == 501.0


@given(st.lists(SECONDS, min_size=1, max_size=50))
def test_whoever_rests_as_told_takes_no_more_than_the_share(works: list[float]):
    share, now = Share(0.1), 0.0

    for seconds in works:
        now = share.spend(seconds, now + seconds)

    assert sum(works) <= 0.1 * now + 1e-6
