"""Events that are sent to a group or about an item, and kept nowhere."""

from __future__ import annotations

import pytest

from streams import EventRefused, Stream
from streams.changes import EventSent
from tests.core.todos import Todo, heard

pytestmark = pytest.mark.usefixtures("store")

todo = Stream("todo", Todo)


@pytest.mark.parametrize("channel", ["inbox", {"groupId": "inbox"}, {"groupId": "inbox", "id": None}])
async def test_send_tells_a_group(store, channel):
    changes = await heard(store, "inbox", todo.send(channel, {"type": "typing", "data": {"by": "Ann"}}))

    assert changes == [EventSent(None, b'{"type":"typing","data":{"by":"Ann"}}')]


async def test_send_tells_who_watches_one_item(store):
    changes = await heard(store, "inbox", todo.send({"groupId": "inbox", "id": "1"}, {"type": "typing"}))

    assert changes == [EventSent("1", b'{"type":"typing","data":null}')]


async def test_an_event_is_kept_nowhere(store):
    await todo.send("inbox", {"type": "typing"})

    assert (await store.end("todo")).revision == 0
    assert await todo.get_group("inbox") == []


@pytest.mark.parametrize("event", [None, "typing", {}, {"data": 1}, {"type": 7}, {"type": None}], ids=repr)
async def test_an_event_without_a_type_is_refused(event):
    with pytest.raises(EventRefused, match=r'^an event is {"type": <string>, "data": ...}$'):
        await todo.send("inbox", event)


@pytest.mark.parametrize("content", [..., {1}, "\ud83d", 2**64], ids=repr)
async def test_an_event_that_cannot_become_json_is_refused(content):
    with pytest.raises(EventRefused, match=r"^event 'typing' cannot become JSON"):
        await todo.send("inbox", {"type": "typing", "data": content})


@pytest.mark.parametrize("channel", [{}, {"id": "1"}, None, 7], ids=repr)
async def test_a_channel_without_a_group_is_refused(channel):
    with pytest.raises(EventRefused, match=r"^a channel is a group, or "):
        await todo.send(channel, {"type": "typing"})
