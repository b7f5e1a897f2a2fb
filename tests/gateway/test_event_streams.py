"""The same frames as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import quote

import httpx
import orjson
import pytest
import pytest_asyncio

from streams import Stream, bound_to
from streams.changes import EventSent
from streams.client.held import Held, Wanted
from streams.gateway import client_line
from streams.gateway.frames import PING_FRAME, payloads, text_frame
from streams.memory import MemoryStore
from tests.browser import SECONDS
from tests.conftest import Gateway, gateway_on
from tests.gateway.rooms import INBOX
from tests.gateway.sources import ACCEPT, Door

todo = Stream("todo", dict)


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    store = MemoryStore(["todo"])
    async with gateway_on(store) as gateway:
        with bound_to(store):
            yield gateway


@pytest_asyncio.fixture
async def door(gateway: Gateway, opened: AsyncExitStack) -> Door:
    return Door(gateway.url, opened)


async def test_a_group_is_followed(door: Door):
    await todo.set("inbox", "a", {"n": 1})
    source = await door.open("/streams/todo/inbox")

    state = (await source.next()).data
    await todo.set("inbox", "a", {"n": 2})
    await todo.send("inbox", {"type": "said", "data": 7})
    await todo.delete("inbox", "a")

    assert state["event"]["data"] == [{"id": "a", "n": 1}]
    assert [await source.kind() for _ in range(3)] == ["update", "event", "delete"]
    assert source.response.headers["content-type"] == "text/event-stream"
    assert source.response.headers["cache-control"] == "no-store"


async def test_several_rooms_are_followed_on_one_line(door: Door):
    await todo.set("a/b", "x", {"n": 1})
    name = quote("todo/" + quote("a/b", safe=""), safe="")
    source = await door.open(f"/streams?join=todo/inbox&join={name}&join=todo/inbox/42")

    states = [(await source.next()).data for _ in range(3)]
    await todo.set("a/b", "x", {"n": 2})

    rooms = sorted((state["groupId"], state["id"] or "", str(state["event"]["data"])) for state in states)
    assert rooms == [("a/b", "", "[{'id': 'x', 'n': 1}]"), ("inbox", "", "[]"), ("inbox", "42", "None")]
    assert await source.kind() == "update"


async def test_as_many_rooms_as_an_address_may_name_go_with_all_else_that_it_may_say(door: Door):
    rooms = "&".join(f"join=todo/{number}" for number in range(64))
    source = await door.open(f"/streams?{rooms}&last=5&lastEventId={','.join(['x.1'] * 64)}")

    assert len({(await source.next()).data["groupId"] for _ in range(64)}) == 64


async def test_one_item_is_followed(door: Door):
    source = await door.open(f"/streams/todo/{quote('a/b', safe='')}/42")

    assert (await source.next()).data["event"] == {"type": "sync", "data": None}
    await todo.set("a/b", "42", {"n": 1})
    assert await source.kind() == "create"


async def test_a_value_with_line_ends_arrives_as_it_is(gateway: Gateway, door: Door):
    source = await door.open("/streams/todo/inbox")
    await source.next()

    pretty = b'{\r\n  "id": "a",\n  "text": "one\\ntwo"\r}'
    gateway.hub.audiences.get(INBOX)._tell(EventSent(None, pretty))

    assert (await source.next()).data["event"]["event"] == {"id": "a", "text": "one\ntwo"}


async def test_who_comes_back_is_told_what_changed(door: Door):
    await todo.set("inbox", "a", {"n": 1})
    held = Held()
    async with door.at("/streams/todo/inbox") as source:
        held.take((await source.next()).data)
        known = source.last_id
    await todo.set("inbox", "b", {"n": 2})
    await todo.delete("inbox", "a")

    assert known == held.at
    source = await door.open("/streams/todo/inbox", **{"Last-Event-ID": known or ""})
    event = await source.next()

    assert event.data["event"]["type"] == "resumed"
    assert held.take(event.data) is Wanted.NOTHING
    assert held.items == [{"id": "b", "n": 2}]
    assert event.id == held.at


async def test_of_several_rooms_each_has_its_position(door: Door):
    path = "/streams?join=todo/one&join=todo/two"
    await todo.set("one", "a", {"n": 1})
    async with door.at(path) as source:
        for _ in range(2):
            await source.next()
        known = source.last_id or ""
    await todo.set("two", "b", {"n": 2})

    source = await door.open(path, **{"Last-Event-ID": known})

    assert known.count(",") == 1
    events = {(event := (await source.next()).data)["groupId"]: event["event"] for _ in range(2)}
    assert (events["one"]["create"], events["two"]["create"]) == ([], [{"id": "b", "n": 2}])


@pytest.mark.parametrize("known", ["nonsense", "a.1,b.2", "x" * 500, "1.999999999999999999999"])
async def test_whoever_names_no_position_gets_everything(door: Door, known: str):
    await todo.set("inbox", "a", {"n": 1})
    source = await door.open("/streams/todo/inbox", **{"Last-Event-ID": known})

    assert await source.kind() == "sync"


async def test_the_newest_items_alone(door: Door):
    for number in range(5):
        await todo.set("inbox", str(number), {"n": number})
    source = await door.open("/streams/todo/inbox?last=2")

    event = (await source.next()).data["event"]
    assert ([item["n"] for item in event["data"]], event["more"]) == ([3, 4], True)


@pytest.mark.parametrize(
    "path",
    [
        "/streams",
        "/streams/",
        "/streams/todo",
        "/streams/todo//a",
        "/streams/a/b/c/d",
        "/streams?join=",
        "/streams?join=todo",
        "/streams/todo/inbox?last=0",
        "/streams/todo/inbox?last=many",
        "/streams?" + "&".join(["join=todo/inbox"] * 65),
    ],
)
async def test_an_address_that_names_no_room_is_refused(door: Door, path: str):
    response = await door.get(path)

    assert response.status_code == 400
    assert orjson.loads(await response.aread())["code"] == "INVALID_PARAMETER"


async def test_a_request_for_something_else_is_not_taken_for_one(door: Door):
    http = httpx.AsyncClient(trust_env=False)
    async with http:
        assert (await http.get(door.url + "/streams/todo/inbox")).status_code == 404
        assert (await http.get(door.url + "/healthz", headers=ACCEPT)).text == "ok\n"
        assert (await http.post(door.url + "/streams/todo/inbox", headers=ACCEPT)).status_code == 404


async def test_a_kept_connection_becomes_one(gateway: Gateway):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.split(":")[2].strip("/")))
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"200 OK" in await reader.readuntil(b"ok\n")
    request = b"GET /streams/todo/inbox HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
    for part in (request[:30], request[30:]):
        writer.write(part)
        await writer.drain()

    async with asyncio.timeout(SECONDS):
        assert b'"type":"hello"' in await reader.readuntil(b"}\n\n")
    writer.close()


async def test_it_is_pinged_and_told_the_digest(door: Door, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client_line, "PING_SECONDS", 0.1)
    source = await door.open("/streams/todo/inbox")
    await source.next()
    await todo.set("inbox", "a", {"n": 1})

    assert [await source.kind() for _ in range(2)] == ["create", "heartbeat"]
    while (await source.next()).data != {"type": "ping"}:
        pass


async def test_who_ends_it_is_gone(gateway: Gateway, door: Door):
    async with door.at("/streams/todo/inbox") as source:
        await source.next()
        assert len(gateway.hub.guests) == 1

    async with asyncio.timeout(SECONDS):
        while len(gateway.hub.guests):
            await asyncio.sleep(0.01)


async def test_a_gateway_that_ends_says_so(opened: AsyncExitStack):
    async with AsyncExitStack() as end:
        gateway = await end.enter_async_context(gateway_on(MemoryStore(["todo"])))
        source = await Door(gateway.url, opened).open("/streams/todo/inbox")
        await source.next()
        await end.aclose()

    assert (await source.next()).data == {"type": "bye", "after": 0}
    told = (await source.next()).data
    assert (told["type"], told["code"]) == ("close", 1012)


async def test_one_that_does_not_read_is_right_when_it_reads_again(door: Door):
    source = await door.open("/streams/todo/inbox")
    held = Held()
    held.take((await source.next()).data)

    for number in range(400):
        await todo.set("inbox", "a", {"n": number, "filling": "x" * 30_000})
    await todo.set("inbox", "last", {"n": 1})
    async with asyncio.timeout(SECONDS):
        while held.revision("last") == 0 or held.items[0]["n"] != 399:
            event = await source.next()
            if event.data["type"] == "stream":
                held.take(event.data)

    changes = sum(b'"update"' in line.encode() for line in source.text)
    assert changes < 400


def test_frames_are_taken_apart_where_they_end():
    texts = [b"", b"a", b"b" * 125, b"c" * 126, b"d" * 65_535, b"e" * 65_536]

    assert list(payloads(PING_FRAME + b"".join(map(text_frame, texts)))) == texts
