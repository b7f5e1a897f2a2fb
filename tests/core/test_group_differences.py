"""What a group tells whoever had all of it up to some revision."""

from __future__ import annotations

from streams.gateway import group as module
from streams.gateway.group import Difference, Group
from tests.core.changes_made import delta, group_of, item_deleted, item_set


def test_what_was_written_since_is_told_and_nothing_else():
    group = group_of(item_set(1, "a"), item_set(2, "b"), item_set(3, "a", created=1), item_set(4, "c"))

    assert group.since(2) == Difference([item_set(4, "c")], [item_set(3, "a", created=1)], [])
    assert group.since(4) == Difference([], [], [])


def test_items_that_were_made_since_are_in_the_order_of_their_creation():
    group = group_of(item_set(1, "a"), item_set(2, "c"), item_set(3, "b"), item_set(4, "c", created=2))

    assert [item.id for item in group.since(1).created] == ["c", "b"]


def test_an_item_that_went_is_told():
    group = group_of(item_set(1, "a"), item_set(2, "b"), item_deleted(3, "a"))

    assert group.since(2).deleted == ["a"]
    assert group.since(3).deleted == []


def test_an_item_that_went_and_was_made_anew_is_one_that_was_made():
    group = group_of(item_set(1, "a"), item_deleted(2, "a"), item_set(3, "a"))

    assert group.since(1) == Difference([item_set(3, "a")], [], [])


def test_deletes_whose_markers_were_read_are_told_too():
    group = group_of()

    group.catch_up(delta(5, item_set(1, "a"), item_deleted(4, "b")))

    assert group.since(2).deleted == ["b"]


def test_deletes_are_remembered_after_the_group_is_known_to_be_complete():
    group = group_of(item_set(1, "a"), item_deleted(2, "a"))

    group.catch_up(delta(9))

    assert group.since(1).deleted == ["a"]


def test_what_a_comparison_of_all_items_does_not_find_is_told_as_deleted():
    group = group_of(item_set(1, "a"), item_set(2, "b"))

    group.replace(delta(5, item_set(2, "b")))

    assert group.since(2).deleted == ["a"]


def test_of_very_many_deletes_the_newest_are_remembered(monkeypatch):
    monkeypatch.setattr(module, "FEW_DELETES", 2)
    group = group_of(position=0)
    for number in range(4):
        group.apply(item_set(2 * number + 1, str(number)))
        group.apply(item_deleted(2 * number + 2, str(number)))
    group.catch_up(delta(8))

    group.apply(item_deleted(9, "last"))

    assert group.since(0).deleted == ["2", "3", "last"]


def test_no_delete_is_forgotten_that_an_older_write_could_undo(monkeypatch):
    monkeypatch.setattr(module, "FEW_DELETES", 1)
    group = group_of(*(item_deleted(10 + number, str(number)) for number in range(9)))

    assert [group.apply(item_set(number + 1, str(number))) for number in range(9)] == [None] * 9


def test_very_many_deletes_at_once_are_not_gone_through_with_every_one(monkeypatch):
    group, times = group_of(*(item_set(number + 1, str(number)) for number in range(4000))), []
    forget = Group._forget_deletes
    monkeypatch.setattr(Group, "_forget_deletes", lambda group: (times.append(1), forget(group)))

    for number in range(4000):
        group.apply(item_deleted(5000 + number, str(number)))

    assert 0 < len(times) < 10
    assert group.since(4999).deleted == [str(number) for number in range(4000)]


def test_the_newest_items_and_those_before_them():
    group = group_of(*(item_set(number, f"i{number}") for number in range(1, 8)))

    assert [item.id for item in group.last(3)] == ["i5", "i6", "i7"]
    assert [item.id for item in group.before(5, "i5", 3)] == ["i2", "i3", "i4"]
    assert [item.id for item in group.before(2, "i2", 3)] == ["i1"]
    assert group.before(1, "i1", 3) == []
    assert len(group.last(99)) == 7
