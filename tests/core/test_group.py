"""One group from changes in any order: what it holds, and what its watchers are told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from streams.changes import ItemDeleted, ItemSet, Stored
from streams.gateway.group import Group, Shown
from streams.store import Delta, Epoch, Position

EPOCH = Epoch("e", 1_700_000_000_000)


def item_set(revision: int, item_id: str = "a", *, created: int | None = None) -> ItemSet:
    value = json.dumps({"id": item_id, "n": revision}).encode()
    return ItemSet(item_id, revision, value, revision if created is None else created, 1000 + revision)


def item_deleted(revision: int, item_id: str = "a") -> ItemDeleted:
    return ItemDeleted(item_id, revision, 1000 + revision)


def at(revision: int) -> Position:
    return Position(EPOCH, revision)


def delta(position: int, *changes: Stored) -> Delta:
    return Delta(list(changes), at(position))


def group_of(*changes: Stored, position: int = 0) -> Group:
    """A group that was read up to `position` and has heard of `changes` since."""
    group = Group()
    group.catch_up(delta(position))
    for change in changes:
        group.apply(change)
    return group


def shown(kind: str, change: Stored, item: ItemSet | None = None) -> Shown:
    value = (item or change).value
    return Shown(kind, change.id, value, change.revision, change.time_ms)


def ids(group: Group) -> list[str]:
    return [item.id for item in group.items()]


# One change after the other.


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
    written = ItemSet("a", 1, b'{"n":1}', 1, 1001)

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


# Reads of the bucket.


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

    assert shown_now == [Shown("delete", "ghost", item_set(1, "ghost").value, 5, 1001)]
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


# Where ephemeral events stand.


def test_events_are_counted_from_the_last_position():
    group = group_of(position=7)

    assert [group.next_event(), group.next_event()] == [(7, 1), (7, 2)]


def test_events_are_counted_anew_after_every_change():
    group = group_of(position=7)
    group.next_event()

    group.apply(item_set(9))

    assert group.next_event() == (9, 1)


def test_events_are_counted_anew_after_a_read_that_went_further():
    group = group_of(item_set(9), position=7)
    group.next_event()

    group.catch_up(delta(12))

    assert group.next_event() == (12, 1)


def test_a_late_change_of_another_item_does_not_set_events_back():
    group = group_of(item_set(9, "a"), position=7)
    group.next_event()

    group.apply(item_set(8, "b"))

    assert group.next_event() == (9, 2)


# Any order at all.


@dataclass(frozen=True)
class Live:
    """A change heard live."""

    change: Stored


@dataclass(frozen=True)
class Read:
    """A read of what changed since the group's position, complete to `upto`."""

    upto: int


@dataclass(frozen=True)
class Compare:
    """A read of everything, complete to `upto`; markers of deletes may have expired."""

    upto: int
    markers: bool


Arrival: TypeAlias = Live | Read | Compare


class Bucket:
    """A history of writes, and what a read of it finds."""

    def __init__(self, history: list[Stored]) -> None:
        self.history = history

    def newest(self) -> dict[str, Stored]:
        return {change.id: change for change in self.history}

    def items(self) -> list[ItemSet]:
        return sorted(
            (change for change in self.newest().values() if isinstance(change, ItemSet)),
            key=lambda item: item.created,
        )

    def read(self, after: int, upto: int) -> Delta:
        """What a bucket that ends at `upto` holds: of every item the newest version only."""
        newest = Bucket(self.history[:upto]).newest().values()
        changes = [change for change in newest if change.revision > after]
        return delta(upto, *sorted(changes, key=lambda change: change.revision))


@st.composite
def histories(draw: st.DrawFn) -> list[Stored]:
    """Writes and deletes of a few items, in the order in which they were committed."""
    history: list[Stored] = []
    created: dict[str, int] = {}
    writes = draw(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=14))
    for item_id, is_delete in writes:
        revision = len(history) + 1
        if is_delete and item_id in created:
            del created[item_id]
            history.append(item_deleted(revision, item_id))
        else:
            history.append(item_set(revision, item_id, created=created.setdefault(item_id, revision)))
    return history


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[Bucket, list[Arrival]]:
    """A history, and one way in which a group may hear of it.

    Live changes come in any order, twice, or not at all, and reads come
    between them. The last read is complete.
    """
    history = draw(histories())
    heard = draw(st.lists(st.sampled_from(history), max_size=2 * len(history)))
    end = st.integers(0, len(history))
    reads = draw(st.lists(st.builds(Read, end) | st.builds(Compare, end, st.booleans()), max_size=4))
    mixed = draw(st.permutations([*map(Live, heard), *reads]))
    return Bucket(history), [*mixed, Read(len(history))]


def take(group: Group, bucket: Bucket, arrival: Arrival) -> list[Shown]:
    known = 0 if group.position is None else group.position.revision
    match arrival:
        case Live(change):
            seen = group.apply(change)
            return [] if seen is None else [seen]
        case Read(upto):
            return group.catch_up(bucket.read(known, max(upto, known)))
        case Compare(upto, markers):
            # As the follower does it: a read never ends before one that was made earlier.
            whole = bucket.read(0, max(upto, known))
            kept = [change for change in whole.changes if markers or isinstance(change, ItemSet)]
            return group.replace(Delta(kept, whole.position))


@given(arrivals())
def test_changes_in_any_order_twice_or_not_at_all_end_in_the_state_of_the_bucket(arrived):
    bucket, order = arrived
    group = Group()

    for arrival in order:
        take(group, bucket, arrival)

    assert group.items() == bucket.items()
    assert group.position == at(len(bucket.history))


@given(arrivals())
def test_a_watcher_who_follows_what_is_shown_holds_what_the_group_holds(arrived):
    bucket, order = arrived
    group, screen = Group(), {}

    for arrival in order:
        for seen in take(group, bucket, arrival):
            assert (seen.id in screen) == (seen.kind != "create")
            if seen.kind == "delete":
                assert screen.pop(seen.id) == seen.item
            else:
                screen[seen.id] = seen.item

        assert screen == {item.id: item.value for item in group.items()}


@given(arrivals())
def test_what_is_shown_of_an_item_never_goes_back(arrived):
    bucket, order = arrived
    group, newest = Group(), dict.fromkeys("abc", 0)

    for arrival in order:
        for seen in take(group, bucket, arrival):
            assert seen.revision > newest[seen.id]
            newest[seen.id] = seen.revision


@given(arrivals())
def test_events_never_stand_before_what_was_shown_or_told_already(arrived):
    bucket, order = arrived
    group, last = Group(), (0, 0)

    for arrival in order:
        seen = take(group, bucket, arrival)
        event = group.next_event()

        assert event > max([last, *((change.revision, 0) for change in seen)])
        last = event
