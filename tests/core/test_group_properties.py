"""A group hears changes in any order, twice or not at all, and reads come between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from streams.changes import ItemSet, Stored
from streams.gateway.group import Group, Shown
from streams.store import Delta
from tests.core.changes_made import at, delta, item_deleted, item_set


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
