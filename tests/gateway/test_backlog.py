"""What is kept for those who do not read, against a model that keeps everything."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.changes import ItemDeleted, ItemSet
from streams.gateway.backlog import Backlog, Kind
from streams.gateway.catching_up import SINGLE_BYTES, is_most, what_became
from streams.gateway.group import Group
from streams.store import Delta, Epoch, Position

EPOCH = Epoch("e", 0)


class Room:
    """A group, what it showed so far, and clients that are told of it when they read."""

    def __init__(self) -> None:
        self.group, self.backlog = Group(), Backlog()
        self.group.catch_up(Delta([], Position(EPOCH, 0)))
        self.told, self.revision = 0, 0
        self.cursors: dict[str, int] = {}
        self.has: dict[str, dict[str, int]] = {}
        """What each client has: ids in the order in which it shows them, and revisions."""

    def set(self, item_id: str) -> None:
        self.revision += 1
        held = self.group.item(item_id)
        created = self.revision if held is None else held.created
        self._change(ItemSet(item_id, self.revision, b"{}", created, 0, 0))

    def delete(self, item_id: str) -> None:
        self.revision += 1
        self._change(ItemDeleted(item_id, self.revision, 0))

    def enter(self, client: str) -> None:
        """A join, or one who comes back."""
        self._is_not_behind(client)
        self.has[client] = self.state()

    def stop_reading(self, client: str) -> None:
        if client in self.has and client not in self.cursors:
            self.cursors[client] = self.told
            self.backlog.begin(self.told)

    def read(self, client: str) -> list[tuple[Kind, str]]:
        """What a client is told that reads again. It is checked whether it may be told that."""
        if client not in self.cursors:
            return []
        missed = self.backlog.since(self.cursors[client])
        self._is_not_behind(client)
        told: list[tuple[Kind, str]] = []
        what_became(missed, self.group, self._telling(self.has[client], told))
        return told

    def state(self) -> dict[str, int]:
        return {item.id: item.revision for item in self.group.items()}

    def _is_not_behind(self, client: str) -> None:
        self.cursors.pop(client, None)
        if not self.cursors:
            self.backlog.clear()

    def _change(self, change: ItemSet | ItemDeleted) -> None:
        shown = self.group.apply(change)
        if shown is None:
            return
        self.told += 1
        if self.cursors:
            self.backlog.note(self.told, shown.id, shown.kind, shown.revision, 0)
        for client, has in self.has.items():
            if client not in self.cursors:
                self._telling(has, [])(shown.kind, shown.id, b"", shown.revision, 0)

    def _telling(
        self, has: dict[str, int], told: list[tuple[Kind, str]]
    ) -> Callable[[Kind, str, bytes, int, int], bytes]:
        gone: dict[str, int] = {}

        def tell(kind: Kind, item_id: str, item: bytes, revision: int, time_ms: int) -> bytes:
            assert (kind == "create") == (item_id not in has), f"{kind} {item_id} to whom has {list(has)}"
            assert revision > has.get(item_id, gone.get(item_id, 0)), "revisions rise"
            if kind == "delete":
                del has[item_id]
                gone[item_id] = revision
            else:
                has[item_id] = revision
            told.append((kind, item_id))
            return b""

        return tell


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["set", "delete"]), st.sampled_from("abcd")),
        st.tuples(st.sampled_from(["enter", "stop_reading", "read"]), st.sampled_from("xyz")),
    ),
    max_size=60,
)


@given(STEPS)
@settings(max_examples=600, deadline=None)
def test_whoever_reads_again_has_exactly_the_group_in_its_order(steps: list[tuple[str, str]]):
    room = Room()

    for step, subject in steps:
        getattr(room, step)(subject)

    for client in list(room.has):
        room.read(client)
        assert list(room.has[client].items()) == list(room.state().items())
    assert len(room.backlog) == 0


@given(STEPS)
@settings(max_examples=200, deadline=None)
def test_what_is_kept_is_bounded_by_items_and_by_those_who_do_not_read(steps: list[tuple[str, str]]):
    room = Room()
    room.enter("x")
    room.stop_reading("x")

    for step, subject in steps:
        if subject in "abcd":
            getattr(room, step)(subject)

    # With one cursor: each of the four ids once, with one coming and one going at most.
    assert len(room.backlog) <= 4 * 3


def test_items_that_came_and_went_unseen_leave_nothing_behind():
    room = Room()
    room.enter("x")
    room.stop_reading("x")

    for number in range(1000):
        room.set(f"message {number}")
        room.delete(f"message {number}")

    assert len(room.backlog) == 0
    assert room.read("x") == []


def test_a_hundred_changes_of_an_item_are_one():
    room = Room()
    room.set("a")
    room.enter("x")
    room.stop_reading("x")

    for _ in range(100):
        room.set("a")

    assert room.read("x") == [("update", "a")]


def test_an_item_that_was_made_anew_goes_first_and_comes_last():
    room = Room()
    for item_id in "ab":
        room.set(item_id)
    room.enter("x")
    room.stop_reading("x")

    room.delete("a")
    room.set("c")
    room.set("a")
    room.set("c")

    assert room.read("x") == [("delete", "a"), ("create", "c"), ("create", "a")]
    assert list(room.has["x"]) == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("items", "changed", "size", "most"),
    [
        pytest.param(10, 10, SINGLE_BYTES // 10, False, id="all of a small group"),
        pytest.param(10, 10, SINGLE_BYTES // 10 + 1, True, id="all of a larger one"),
        pytest.param(10, 5, SINGLE_BYTES, False, id="half of a larger one"),
        pytest.param(10, 6, SINGLE_BYTES, True, id="more than half"),
    ],
)
def test_the_whole_state_is_sent_where_most_of_it_changed_and_it_is_not_small(
    items: int, changed: int, size: int, most: bool
):
    room = Room()
    for number in range(items):
        room.group.apply(ItemSet(str(number), number + 1, (b'{"id":"%d"}' % number).ljust(size), 1, 0, 0))
    room.stop_reading("x")
    room.backlog.begin(0)

    for number in range(changed):
        room.backlog.note(number + 1, str(number), "update", number + 100, 0)

    assert is_most(room.group, room.backlog.since(0)) is most
