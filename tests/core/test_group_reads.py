"""What a group makes of reads of its bucket, which overlap with what it hears live."""

from __future__ import annotations

from streams.gateway.group import Group, Shown
from tests.core.changes_made import at, delta, group_of, ids, item_deleted, item_set, shown


def test_a_group_that_was_never_read_has_no_position():
    group = Group()
    group.apply(item_set(7))

    assert group.position is None


def test_a_read_gives_the_group_its_position_also_when_it_is_empty():
    group = Group()

    assert group.catch_up(delta(7)) == []
    assert group.position == at(7)


def test_a_live_change_does_not_move_the_position():
    group = group_of(item_set(9), position=7)

    assert group.position == at(7)


def test_a_position_never_goes_back():
    group = group_of(position=7)

    group.catch_up(delta(5))

    assert group.position == at(7)


def test_a_read_shows_what_the_live_feed_has_missed_and_only_that():
    group = group_of(item_set(1, "a"), item_set(2, "b"))

    missed = group.catch_up(delta(4, item_set(2, "b"), item_set(3, "c"), item_deleted(4, "a")))

    assert missed == [
        shown("create", item_set(3, "c")),
        shown("delete", item_deleted(4, "a"), item_set(1, "a")),
    ]
    assert ids(group) == ["b", "c"]


def test_a_live_change_that_a_read_has_found_already_is_not_shown():
    group = group_of()
    group.catch_up(delta(3, item_set(3)))

    assert group.apply(item_set(3)) is None


def test_a_change_at_or_below_the_position_is_not_shown_even_where_nothing_is_known_of_the_item():
    group = group_of(position=7)

    assert group.apply(item_set(6)) is None
    assert group.apply(item_set(7)) is None
    assert group.apply(item_set(8)) == shown("create", item_set(8))


def test_a_write_below_the_position_does_not_bring_back_an_item_whose_delete_was_read():
    group = group_of(item_set(1), item_deleted(3))
    group.catch_up(delta(3))

    assert group.apply(item_set(2)) is None


def test_a_delete_above_the_position_is_remembered_over_a_read_that_ends_below_it():
    group = group_of(item_deleted(9))

    group.catch_up(delta(5))

    assert group.apply(item_set(8)) is None


def test_a_live_change_above_a_read_stays():
    group = group_of(item_set(9))

    assert group.catch_up(delta(5, item_set(5))) == []
    assert group.items() == [item_set(9)]


def test_a_whole_read_drops_what_it_does_not_hold():
    group = group_of(item_set(1, "ghost"), item_set(2, "b"))

    shown_now = group.replace(delta(5, item_set(2, "b")))

    # Nobody knows when it went.
    assert shown_now == [Shown("delete", "ghost", item_set(1, "ghost").value, 5, 0)]
    assert ids(group) == ["b"]
    assert group.position == at(5)


def test_a_whole_read_keeps_what_was_written_after_it():
    group = group_of(item_set(6, "new"))

    assert group.replace(delta(5)) == []
    assert ids(group) == ["new"]


def test_a_whole_read_shows_what_was_missed_after_what_is_gone():
    group = group_of(item_set(1, "ghost"), item_set(2, "b"))

    shown_now = group.replace(delta(7, item_deleted(6, "b"), item_set(7, "c")))

    assert [(change.kind, change.id) for change in shown_now] == [
        ("delete", "ghost"),
        ("delete", "b"),
        ("create", "c"),
    ]
    assert ids(group) == ["c"]


def test_a_ghost_does_not_come_back_with_an_old_write():
    group = group_of(item_set(1, "ghost"))
    group.replace(delta(5))

    assert group.apply(item_set(4, "ghost")) is None
    assert group.apply(item_set(6, "ghost")) == shown("create", item_set(6, "ghost"))
