"""What a client sees of the rooms that it watches."""

from __future__ import annotations

from streams import Stream, bound_to
from tests.browser import Browser
from tests.conftest import Backend

todo = Stream("todo", dict)


async def test_an_item_set_in_a_group_appears_in_every_tab_that_watches_it(
    jetstream: Backend, browser: Browser
):
    ann, bob = await browser.join("todo", "inbox"), await browser.join("todo", "inbox")

    with bound_to(jetstream.store):
        result = await todo.set("inbox", "a", {"text": "call mum"})

    first, second = await ann.next(), await bob.next()
    assert first["event"] == {"type": "create", "data": {"id": "a", "text": "call mum"}}
    assert first["rev"] == result.revision
    assert first == second


async def test_all_sockets_get_the_same_bytes(jetstream: Backend, browser: Browser):
    ann, bob = await browser.join("todo", "inbox"), await browser.join("todo", "inbox")

    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})
        await todo.set("inbox", "a", {"v": 2})
        await todo.send("inbox", {"type": "typing", "data": "ann"})
        await todo.delete("inbox", "a")

    for tab in (ann, bob):
        for _ in range(4):
            await tab.next_frame()
    assert ann.frames == bob.frames


async def test_a_joined_group_is_sent_in_the_order_of_creation(jetstream: Backend, browser: Browser):
    with bound_to(jetstream.store):
        for name in ("c", "a", "b"):
            await todo.set("inbox", name, {"v": 1})
        await todo.set("inbox", "c", {"v": 2})

    tab = await browser.open()
    await tab.join("todo", "inbox")

    event = await tab.next_event()
    assert [item["id"] for item in event["data"]] == ["c", "a", "b"]


async def test_an_empty_group_is_an_empty_array_and_a_missing_item_is_null(browser: Browser):
    tab = await browser.open()

    await tab.join("todo", "inbox")
    await tab.join("todo", "inbox", "nothing")

    assert await tab.next_event() == {"type": "sync", "data": []}
    assert await tab.next_event() == {"type": "sync", "data": None}


async def test_create_update_and_delete_follow_from_what_the_watcher_has(
    jetstream: Backend, browser: Browser
):
    tab = await browser.join("todo", "inbox")

    with bound_to(jetstream.store):
        await todo.set("inbox", "a", {"v": 1})
        await todo.set("inbox", "a", {"v": 2})
        await todo.delete("inbox", "a")
        await todo.delete("inbox", "a")
        await todo.set("inbox", "a", {"v": 3})

    events = [await tab.next_event() for _ in range(4)]
    assert [(event["type"], event["data"]["v"]) for event in events] == [
        ("create", 1),
        ("update", 2),
        ("delete", 2),
        ("create", 3),
    ]
    assert await tab.nothing_came()


async def test_timestamps_and_revisions_rise(jetstream: Backend, browser: Browser):
    tab = await browser.join("todo", "inbox")

    with bound_to(jetstream.store):
        for number in range(10):
            await todo.set("inbox", "a", {"v": number})

    frames = [await tab.next() for _ in range(10)]
    stamps = [frame["timestamp"] for frame in frames]
    revisions = [frame["rev"] for frame in frames]
    assert stamps == sorted(set(stamps))
    assert revisions == sorted(set(revisions))


async def test_a_watcher_of_one_item_hears_of_that_item_only(jetstream: Backend, browser: Browser):
    tab = await browser.join("todo", "inbox", "a")

    with bound_to(jetstream.store):
        await todo.set("inbox", "b", {"v": 1})
        await todo.send("inbox", {"type": "for the group"})
        await todo.send({"groupId": "inbox", "id": "a"}, {"type": "for a"})
        await todo.set("inbox", "a", {"v": 1})

    assert (await tab.next_event())["event"] == {"type": "for a", "data": None}
    assert await tab.next_event() == {"type": "create", "data": {"id": "a", "v": 1}}
    assert await tab.nothing_came()


async def test_an_event_reaches_the_group_and_is_kept_nowhere(jetstream: Backend, browser: Browser):
    early = await browser.join("todo", "inbox")

    with bound_to(jetstream.store):
        await todo.send("inbox", {"type": "typing", "data": {"user": "ann"}})
    await early.next_frame()
    late = await browser.join("todo", "inbox")

    assert b'"event":{"type":"typing","data":{"user":"ann"}}' in early.frames[-1]
    assert b'"data":[]' in late.frames[0]
