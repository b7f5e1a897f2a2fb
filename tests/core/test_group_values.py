"""A group whose values are let go, and read again, says and ends as one that has them all the time."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.changes import ItemSet, Stored, just_id
from streams.gateway.group import Shown, ValuesAbsent, values_of
from streams.gateway.values import take_in
from tests.core.changes_made import delta, group_of, item_deleted, item_set

IDS = "abcd"


def test_a_group_knows_what_there_is_without_its_values():
    group = group_of(item_set(1, "a"), item_set(2, "b"), position=0)
    size, digest = group.size, group.digest()

    assert group.let_values_go() == 2
    assert (len(group), group.size, group.absent_bytes, group.digest()) == (2, size, size, digest)
    assert group.let_values_go() == 0
    assert group.are_absent(["a", "c", "b"]) == ["a", "b"]
    with pytest.raises(ValuesAbsent) as absent:
        values_of(group.items())
    assert absent.value.ids == ["a", "b"]


def test_of_an_item_whose_value_was_let_go_it_is_said_only_that_it_went():
    group = group_of(item_set(1, "a"))
    group.let_values_go()

    assert group.apply(item_deleted(2, "a")) == Shown("delete", "a", b'{"id":"a"}', 2, 1002)
    assert (group.size, group.absent_bytes) == (0, 0)


def test_values_are_taken_in_with_the_id_of_the_key():
    foreign = replace(item_set(1, "a"), value=b'{"n":1}')
    group = group_of(foreign)
    group.let_values_go()

    assert group.fill([foreign]) == []
    assert values_of(group.items()) == [b'{"id":"a","n":1}']


@given(
    st.lists(st.sampled_from(["set", "set", "delete", "let go", "fill", "fill all", "late"])), st.integers()
)
def test_whatever_is_let_go_and_filled_it_ends_the_same(happenings: list[str], seed: int):
    chance, newest = random.Random(seed), dict[str, Stored]()
    whole, group, late = group_of(), group_of(), list[Stored]()
    for revision, what in enumerate(happenings, start=1):
        item_id = chance.choice(IDS)
        match what:
            case "set" | "delete" | "late":
                before = newest.get(item_id)
                created = before.created if isinstance(before, ItemSet) else revision
                change: Stored = item_set(revision, item_id, created=created)
                if what == "delete":
                    change = item_deleted(revision, item_id)
                newest[item_id] = change
                if what == "late":
                    # It is not heard of, or only when it is read.
                    late.append(change)
                else:
                    assert without_what_went(whole.apply(change)) == without_what_went(group.apply(change))
            case "let go":
                group.let_values_go()
            case "fill":
                whole.fill([newest[each] for each in (item_id,) if each in newest])
                take_in(group, [newest[each] for each in (item_id,) if each in newest], [item_id])
            case "fill all":
                read = delta(revision, *by_revision(newest))
                whole.catch_up(read)
                take_in(group, read, list(IDS))
                assert group.absent_bytes == 0
        is_here = [item for item in group.items() if item.value]
        assert group.size - group.absent_bytes == sum(len(item.value) for item in is_here)
    take_in(group, delta(len(happenings) + 1, *by_revision(newest)), list(IDS))
    whole.catch_up(delta(len(happenings) + 1, *by_revision(newest)))

    assert group.items() == whole.items()
    assert (group.size, group.absent_bytes, group.digest()) == (whole.size, 0, whole.digest())


def by_revision(newest: dict[str, Stored]) -> list[Stored]:
    return sorted(newest.values(), key=lambda each: each.revision)


def without_what_went(shown: Shown | None) -> Shown | None:
    return replace(shown, item=just_id(shown.id)) if shown and shown.kind == "delete" else shown
