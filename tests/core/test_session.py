"""What a client has joined, and what joining and leaving change."""

from __future__ import annotations

import pytest

from streams.gateway.session import MAX_SUBSCRIPTIONS, Session, TooManySubscriptions
from streams.messages import Join, Leave, Room

INBOX = Room("todo", "inbox")
WORK = Room("todo", "work")


def join(subscription: str, room: Room = INBOX) -> Join:
    return Join(subscription, room)


def full_session() -> Session:
    session = Session()
    for number in range(MAX_SUBSCRIPTIONS):
        session.join(join(f"s{number}"))
    return session


def test_a_new_session_watches_nothing():
    session = Session()

    assert session.rooms() == set()
    assert not session.watches(INBOX)


def test_a_room_that_was_joined_is_watched():
    session = Session()

    assert session.join(join("a")) is None
    assert session.watches(INBOX)
    assert session.rooms() == {INBOX}


def test_a_group_an_item_of_it_and_the_same_group_elsewhere_are_different_rooms():
    session = Session()
    session.join(join("a", Room("todo", "inbox")))

    assert not session.watches(Room("todo", "inbox", "1"))
    assert not session.watches(Room("notes", "inbox"))


def test_leaving_the_only_subscription_leaves_the_room():
    session = Session()
    session.join(join("a"))

    assert session.leave(Leave("a")) == INBOX
    assert not session.watches(INBOX)


def test_a_room_is_left_with_its_last_subscription():
    session = Session()
    session.join(join("a"))
    session.join(join("b"))

    assert session.leave(Leave("a")) is None
    assert session.watches(INBOX)
    assert session.leave(Leave("b")) == INBOX


def test_leaving_what_was_never_joined_changes_nothing():
    session = Session()
    session.join(join("a"))

    assert session.leave(Leave("b")) is None
    assert session.rooms() == {INBOX}


def test_leaving_twice_leaves_once():
    session = Session()
    session.join(join("a"))
    session.leave(Leave("a"))

    assert session.leave(Leave("a")) is None


def test_joining_again_with_the_same_subscription_leaves_nothing():
    session = Session()
    session.join(join("a"))

    assert session.join(join("a")) is None
    assert session.leave(Leave("a")) == INBOX


def test_a_subscription_that_moves_to_another_room_leaves_the_first():
    session = Session()
    session.join(join("a", INBOX))

    assert session.join(join("a", WORK)) == INBOX
    assert session.rooms() == {WORK}


def test_a_subscription_that_moves_leaves_no_room_that_another_one_watches():
    session = Session()
    session.join(join("a", INBOX))
    session.join(join("b", INBOX))

    assert session.join(join("a", WORK)) is None
    assert session.rooms() == {INBOX, WORK}


def test_the_subscription_above_the_limit_is_refused_and_changes_nothing():
    session = full_session()

    with pytest.raises(TooManySubscriptions):
        session.join(join("one more", WORK))

    assert session.rooms() == {INBOX}
    assert session.leave(Leave("one more")) is None


def test_at_the_limit_a_subscription_may_still_be_repeated_or_moved():
    session = full_session()

    session.join(join("s0"))
    session.join(join("s1", WORK))

    assert session.rooms() == {INBOX, WORK}


def test_leaving_makes_place_for_another():
    session = full_session()
    session.leave(Leave("s0"))

    session.join(join("one more", WORK))

    assert session.watches(WORK)
