"""One group from one change after the other: what it holds, and what its watchers are told."""

from __future__ import annotations

from streams.changes import ItemSet
from tests.core.changes_made import group_of, ids, item_deleted, item_set, shown


def test_a_first_write_is_a_create():
    assert group_of().apply(item_set(1)) == shown("create", item_set(1))


def test_a_write_over_an_item_is_an_update():
    group = group_of(item_set(1))

    assert group.apply(item_set(2)) == shown("update", item_set(2))
    assert group.items() == [item_set(2)]


def test_a_delete_shows_the_item_that_went():
    group = group_of(item_set(1))

    assert group.apply(item_deleted(2)) == shown("delete", item_deleted(2), item_set(1))
    assert group.items() == []
    assert len(group) == 0


def test_a_write_after_a_delete_is_a_create():
    group = group_of(item_set(1), item_deleted(2))

    assert group.apply(item_set(3)) == shown("create", item_set(3))


def test_a_delete_of_what_is_not_there_is_not_shown():
    assert group_of().apply(item_deleted(1)) is None


def test_a_second_delete_is_not_shown():
    group = group_of(item_set(1), item_deleted(2))

    assert group.apply(item_deleted(3)) is None


def test_an_older_write_does_not_replace_a_newer_one():
    group = group_of(item_set(2))

    assert group.apply(item_set(1)) is None
    assert group.items() == [item_set(2)]


def test_the_same_write_is_shown_once():
    group = group_of(item_set(1))

    assert group.apply(item_set(1)) is None


def test_an_older_delete_does_not_remove_a_newer_item():
    group = group_of(item_set(2))

    assert group.apply(item_deleted(1)) is None
    assert ids(group) == ["a"]


def test_a_write_older_than_a_delete_does_not_bring_the_item_back():
    group = group_of(item_set(1), item_deleted(3))

    assert group.apply(item_set(2)) is None
    assert group.items() == []


def test_a_write_older_than_a_delete_of_an_unknown_item_is_not_shown():
    group = group_of(item_deleted(3))

    assert group.apply(item_set(2)) is None
    assert group.items() == []


def test_the_newest_of_several_deletes_counts():
    group = group_of(item_deleted(2), item_deleted(5))

    assert group.apply(item_set(4)) is None
    assert group.apply(item_set(6)) == shown("create", item_set(6))


def test_items_do_not_disturb_each_other():
    group = group_of(item_set(5, "a"))

    assert group.apply(item_set(2, "b")) == shown("create", item_set(2, "b"))
    assert group.apply(item_deleted(3, "b")) == shown("delete", item_deleted(3, "b"), item_set(2, "b"))
    assert ids(group) == ["a"]


def test_an_item_is_shown_with_the_id_of_its_key():
    group = group_of()
    written = ItemSet("a", 1, b'{"n":1}', 1, 1001, 1001)

    created = group.apply(written)
    deleted = group.apply(item_deleted(2))

    assert created.item == deleted.item == b'{"id":"a","n":1}'


def test_items_are_in_the_order_of_their_creation():
    group = group_of(item_set(1, "c"), item_set(2, "a"), item_set(3, "b"))

    group.apply(item_set(4, "c", created=1))

    assert ids(group) == ["c", "a", "b"]


def test_an_item_that_was_deleted_and_made_anew_is_the_last():
    group = group_of(item_set(1, "a"), item_set(2, "b"), item_deleted(3, "a"))

    group.apply(item_set(4, "a"))

    assert ids(group) == ["b", "a"]


def test_one_item_is_found_by_its_id():
    group = group_of(item_set(1))

    assert group.item("a") == item_set(1)
    assert group.item("b") is None
