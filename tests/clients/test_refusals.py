"""Joins that are refused: an application can hear why, and its other subscriptions go on."""

from __future__ import annotations

import pytest

from streams import Stream, bound_to
from streams.jetstream.connection import Connection
from streams.keys import Namespace
from tests.buckets import delete_bucket
from tests.clients.driver import Client, Subscription
from tests.clients.front import Front
from tests.conftest import Backend

todo = Stream("todo", dict)

pytestmark = pytest.mark.node


async def code_heard(subscription: Subscription) -> str:
    await subscription.hears(1)
    (kind, error) = subscription.events[0]
    assert kind == "error"
    assert error["message"]
    code: str = error["code"]
    return code


@pytest.mark.parametrize("kind", ["group", "item"])
async def test_an_unknown_stream_is_refused_in_both_forms(motia: Client, kind: str):
    refused = (
        motia.group("inbox", stream="todos") if kind == "group" else motia.item("inbox", "a", stream="todos")
    )

    assert await code_heard(refused) == "STREAM_NOT_FOUND"
    await motia.gets_frames(2)
    first, second = (frame["event"] for frame in motia.frames)
    assert first["event"]["data"] == refused.events[0][1]
    assert second["type"] == "unauthorized"
    assert {key: second[key] for key in ("code", "message")} == refused.events[0][1]
    assert refused.states == []


@pytest.mark.parametrize("name", ["x" * 257, "a\0b", ""], ids=["long", "nul", "empty"])
async def test_a_group_that_cannot_exist_is_refused(motia: Client, name: str):
    refused = motia.group(name)

    assert await code_heard(refused) == "INVALID_NAME"


async def test_a_name_that_is_half_a_character_is_refused_and_nothing_else_is_disturbed(
    jetstream: Backend, motia: Client
):
    """JavaScript can have half a surrogate pair in a string; UTF-8, and so the name, cannot."""
    inbox, half = motia.group("inbox"), motia.group("\ud800")
    await motia.gets_frames(2)

    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})

    await inbox.shows([{"id": "a", "v": 1}])
    assert half.states == []


async def test_a_refused_subscription_disturbs_no_other(jetstream: Backend, motia: Client):
    refused, inbox = motia.group("inbox", stream="todos"), motia.group("inbox")
    await inbox.shows([])
    assert await code_heard(refused) == "STREAM_NOT_FOUND"

    refused.close()
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})

    await inbox.shows([{"id": "a", "v": 1}])
    assert len(motia.opened) == 1


@pytest.mark.parametrize("kind", ["group", "item"])
async def test_a_subscription_that_had_a_state_hears_that_it_is_refused_now(
    connection: Connection,
    namespace: Namespace,
    jetstream: Backend,
    far_motia: Client,
    front: Front,
    kind: str,
):
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})
    one, many = far_motia.item("inbox", "a"), far_motia.group("inbox")
    await one.shows({"id": "a", "v": 1})
    await many.shows([{"id": "a", "v": 1}])

    await delete_bucket(connection, namespace)
    await front.cut()

    assert await code_heard(many if kind == "group" else one) == "STREAM_NOT_FOUND"


async def test_what_is_no_message_is_answered_with_nothing_that_a_client_trips_over(
    jetstream: Backend, motia: Client
):
    inbox = motia.group("inbox")
    await inbox.shows([])

    no_messages = ["hello", None, 1, [], {"type": "jion"}, {"type": "join", "data": {}}]
    for message in no_messages:
        motia.say(message)
    await motia.settled()
    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})

    await inbox.shows([{"id": "a", "v": 1}])
    assert [frame.get("code") for frame in motia.frames] == [
        None,
        *["BAD_MESSAGE"] * len(no_messages),
        None,
    ]
