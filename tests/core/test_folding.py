"""Several writes of one item as one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import ItemRefused
from streams.folding import Folded, Held, Step, fold
from streams.keys import Address
from streams.store import FOREVER, UNCHANGED, Decide, Lifetime, Present

AT = Address("todo", "inbox", "1")
NOW = 1_700_000_000_000


def text(n: Any) -> bytes:
    return json.dumps({"n": n}).encode()


def held(n: Any = 0, *, expires_ms: int | None = None) -> Held:
    return Held(text(n), 7, 3, NOW - 5000, expires_ms)


def to(n: Any) -> Decide:
    return lambda _: text(n)


def plus(by: int) -> Decide:
    return lambda old: text((json.loads(old.value)["n"] if old else 0) + by)


def failing(_: Present | None) -> bytes:
    raise ZeroDivisionError


def folded(item: Held | None, *decisions: Decide, lifetime: Lifetime = FOREVER) -> Folded:
    return fold(AT, item, [(decide, lifetime) for decide in decisions], NOW)


def test_each_write_replaces_what_the_one_before_it_left():
    result = folded(held(1), plus(1), to(10), plus(5))

    assert result.steps == [
        Step(text(1), text(2), True),
        Step(text(2), text(10), True),
        Step(text(10), text(15), True),
    ]
    assert result.item is not None
    assert (result.item.value, result.is_change) == (text(15), True)


def test_an_item_keeps_its_place_and_time_of_creation():
    result = folded(held(), plus(1))

    assert result.item is not None
    assert (result.item.created, result.item.created_ms) == (3, NOW - 5000)


def test_a_first_write_is_created_now():
    result = folded(None, plus(1), plus(1))

    assert result.item == Held(text(2), None, 0, NOW, None)


def test_only_the_stored_item_has_a_revision_for_those_who_decide():
    seen: list[int | None] = []

    def look(old: Present | None) -> bytes:
        seen.append(old.revision if old else 0)
        return text(len(seen))

    folded(held(), look, look)

    assert seen == [7, None]


def test_one_that_raises_changes_nothing_for_the_others():
    result = folded(held(1), plus(1), failing, plus(1))

    assert isinstance(result.steps[1], ZeroDivisionError)
    assert result.steps[2] == Step(text(2), text(3), True)


def test_one_that_is_too_long_fails_alone():
    result = folded(held(1), to("x" * 600_000), plus(1))

    assert isinstance(result.steps[0], ItemRefused)
    assert result.steps[1] == Step(text(1), text(2), True)


def test_what_changes_nothing_is_no_change():
    result = folded(held(1), lambda _: UNCHANGED, failing)

    assert result.steps[0] == Step(text(1), text(1), False)
    assert not result.is_change


def test_deleting_nothing_is_no_change():
    assert folded(None, lambda _: None).steps == [Step(None, None, False)]


def test_a_delete_waits_until_it_can_be_alone():
    assert folded(held(1), plus(1), lambda _: None).steps == [Step(text(1), text(2), True)]


def test_what_comes_after_a_delete_waits_until_it_is_done():
    result = folded(held(1), lambda _: None, to(2))

    assert result == Folded([Step(text(1), None, True)], None, True)


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_lifetime_counts_from_now_unless_it_is_kept(is_kept: bool):
    result = folded(held(expires_ms=NOW + 500), plus(1), lifetime=Lifetime(60, is_kept))

    assert result.item is not None
    assert result.item.expires_ms == (NOW + 500 if is_kept else NOW + 60_000)


def test_the_last_lifetime_counts():
    wishes = [(plus(1), Lifetime(60)), (plus(1), FOREVER)]

    assert fold(AT, held(), wishes, NOW).item == Held(text(2), None, 3, NOW - 5000, None)


def test_an_item_whose_time_is_over_is_not_there():
    result = folded(held(5, expires_ms=NOW), plus(1), lifetime=Lifetime(60, is_kept=True))

    assert result.steps == [Step(None, text(1), True)]
    assert result.item == Held(text(1), None, 0, NOW, NOW + 60_000)


@given(st.lists(st.sampled_from(["plus", "set", "delete", "fail", "nothing"]), min_size=1, max_size=12))
def test_folds_one_after_the_other_are_the_writes_one_after_the_other(kinds: list[str]):
    decisions: list[Decide] = [
        {
            "plus": plus(1),
            "set": to(100),
            "delete": lambda _: None,
            "fail": failing,
            "nothing": lambda _: UNCHANGED,
        }[kind]
        for kind in kinds
    ]

    together, item, left = [], held(0), list(decisions)
    while left:
        result = folded(item, *left)
        together += result.steps
        item, left = result.item, left[len(result.steps) :]
    alone, now = [], held(0)
    for decide in decisions:
        result = folded(now, decide)
        alone += result.steps
        now = result.item

    assert [repr(step) for step in together] == [repr(step) for step in alone]
    assert item == now or (item is not None and now is not None and item.value == now.value)
