"""Whether a gateway goes through what changed in a bucket, or asks for its groups."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.gateway.cost import FEW_RECORDS, is_scan_cheaper

COUNTS = st.integers(0, 1_000_000)


@given(groups=COUNTS, items=COUNTS)
def test_a_few_records_are_always_gone_through(groups: int, items: int):
    assert is_scan_cheaper(FEW_RECORDS, of_groups=0, groups=groups, items=items)


def test_of_one_group_is_asked_where_much_changed_elsewhere():
    assert not is_scan_cheaper(1_000, of_groups=0, groups=1, items=10)


def test_a_scan_serves_many_groups_for_the_price_of_its_records():
    assert is_scan_cheaper(10_000, of_groups=0, groups=100_000, items=1_000_000)


def test_many_groups_are_asked_for_where_far_more_changed_that_nobody_watches():
    assert not is_scan_cheaper(1_000_000, of_groups=0, groups=1_000, items=10_000)


def test_what_changed_in_the_groups_themselves_comes_either_way():
    assert is_scan_cheaper(10_000, of_groups=10_000, groups=100, items=1_000)
    assert not is_scan_cheaper(10_000, of_groups=0, groups=100, items=1_000)


@given(records=COUNTS, groups=COUNTS, items=COUNTS)
def test_the_more_records_there_are_the_less_a_scan_pays(records: int, groups: int, items: int):
    if is_scan_cheaper(records, of_groups=0, groups=groups, items=items):
        assert is_scan_cheaper(records // 2, of_groups=0, groups=groups, items=items)


@given(records=COUNTS, groups=COUNTS, items=COUNTS)
def test_the_more_groups_are_watched_the_more_a_scan_pays(records: int, groups: int, items: int):
    if is_scan_cheaper(records, of_groups=0, groups=groups, items=items):
        assert is_scan_cheaper(records, of_groups=0, groups=2 * groups, items=2 * items)
