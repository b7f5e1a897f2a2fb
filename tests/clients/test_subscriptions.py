"""Several subscriptions of Motia's clients on one connection: what each hears, and what is sent for it."""

from __future__ import annotations

import pytest

from streams import Stream, bound_to
from tests.clients.driver import Client
from tests.conftest import Backend, Gateway
from tests.gateway.waiting import until

todo = Stream("todo", dict)

pytestmark = pytest.mark.node


def a_join(subscription: str, group: str = "inbox", **item: str) -> dict[str, object]:
    room = {"streamName": "todo", "groupId": group, "subscriptionId": subscription}
    return {"type": "join", "data": room | item}


async def test_every_listener_is_called_once_however_many_subscriptions_there_are(
    jetstream: Backend, motia: Client
):
    """F-B15: frames of a room go to all its subscriptions, so a frame for each would multiply them."""
    groups = [motia.group("inbox"), motia.group("inbox")]
    items = [motia.item("inbox", "a"), motia.item("inbox", "a")]
    await motia.gets_frames(4)

    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})
        await todo.send({"groupId": "inbox", "id": "a"}, {"type": "ping", "data": "of a"})
        await todo.send("inbox", {"type": "ping", "data": "of all"})
        await todo.set("inbox", "a", {"v": 2})

    one, two = {"id": "a", "v": 1}, {"id": "a", "v": 2}
    for group in groups:
        await group.shows([two])
        assert group.states[-2:] == [[one], [two]]
        assert group.states.count([one]) == group.states.count([two]) == 1
        assert group.events == [("ping", "of a"), ("ping", "of all")]
    for item in items:
        await item.shows(two)
        assert item.states[-2:] == [one, two]
        assert item.states.count(one) == item.states.count(two) == 1
        assert item.events == [("ping", "of a")]
    kinds = [frame["event"]["type"] for frame in motia.frames]
    assert kinds == ["sync"] * 4 + ["create", "event", "event", "update"]


async def test_items_without_their_group_get_a_frame_of_their_own_each(jetstream: Backend, motia: Client):
    a, b = motia.item("inbox", "a"), motia.item("inbox", "b")
    await motia.gets_frames(2)

    with bound_to(jetstream.store):
        for name in ("c", "a", "b", "c"):
            await todo.set("inbox", name, {"v": 1})

    await b.shows({"id": "b", "v": 1})
    await a.shows({"id": "a", "v": 1})
    assert [frame["id"] for frame in motia.frames[2:]] == ["a", "b"]


async def test_a_subscription_that_joins_again_gets_the_state_again(jetstream: Backend, motia: Client):
    inbox = motia.group("inbox")
    await inbox.shows([])
    motia.say(a_join("mine"))
    await motia.gets_frames(2)
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})

    motia.say(a_join("mine"))

    await motia.gets_frames(4)
    assert motia.frames[-1]["event"] == {"type": "sync", "data": [{"id": "a", "v": 1}]}
    await inbox.shows([{"id": "a", "v": 1}])


async def test_a_subscription_that_is_closed_hears_nothing_more(jetstream: Backend, motia: Client):
    inbox, other = motia.group("inbox"), motia.group("other")
    await motia.gets_frames(2)

    inbox.close()
    await motia.settled()
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})
        await todo.set("other", "a", {"v": 1})

    await other.shows([{"id": "a", "v": 1}])
    assert inbox.states == [[]]
    assert [frame["groupId"] for frame in motia.frames[2:]] == ["other"]


async def test_of_two_subscriptions_of_a_room_one_can_be_closed(jetstream: Backend, motia: Client):
    closed, kept = motia.group("inbox"), motia.group("inbox")
    await motia.gets_frames(2)

    closed.close()
    await motia.settled()
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})

    await kept.shows([{"id": "a", "v": 1}])
    assert [] in closed.states
    assert [{"id": "a", "v": 1}] not in closed.states


@pytest.mark.parametrize("left", ["group", "item"])
async def test_of_a_group_and_its_item_one_can_be_closed(jetstream: Backend, motia: Client, left: str):
    group, item = motia.group("inbox"), motia.item("inbox", "a")
    await motia.gets_frames(2)

    (group if left == "group" else item).close()
    await motia.settled()
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})

    if left == "group":
        await item.shows({"id": "a", "v": 1})
        assert group.states == [[]]
    else:
        await group.shows([{"id": "a", "v": 1}])
        assert item.states == [None]


async def test_a_room_that_was_left_can_be_joined_again(jetstream: Backend, motia: Client):
    first = motia.group("inbox")
    await first.shows([])
    first.close()
    await motia.settled()
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})

    again = motia.group("inbox")

    await again.shows([{"id": "a", "v": 1}])
    assert first.states == [[]]


async def test_who_changes_from_group_to_group_sees_the_last_one_alone(jetstream: Backend, motia: Client):
    with bound_to(jetstream.store):
        for n in range(10):
            await todo.set(f"group {n}", "a", {"v": n})
    await motia.is_open()

    for n in range(9):
        motia.group(f"group {n}").close()
    last = motia.group("group 9")

    await last.shows([{"id": "a", "v": 9}])
    await motia.settled()
    before = len(motia.frames)
    with bound_to(jetstream.store):
        for n in range(10):
            await todo.set(f"group {n}", "a", {"v": -n})
    await last.shows([{"id": "a", "v": -9}])
    assert [frame["groupId"] for frame in motia.frames[before:]] == ["group 9"]


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
async def test_a_join_may_be_text_or_binary(motia: Client, binary: bool):
    await motia.is_open()

    motia.say(a_join("mine", id="a"), binary=binary)

    await motia.gets_frames(1)
    assert motia.frames[0]["event"] == {"type": "sync", "data": None}


async def test_nothing_is_left_of_a_client_that_is_closed(gateway: Gateway, motia: Client):
    await motia.group("inbox").shows([])
    await motia.item("inbox", "a").shows(None)
    (audience,) = gateway.hub.audiences
    assert len(audience.watchers()) == 1

    motia.close()

    await until(lambda: not audience.watchers())
