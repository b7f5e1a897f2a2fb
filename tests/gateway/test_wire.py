"""Whole conversations, as `tests/wire/v1/conversations.json` has them, on a real gateway.

What `hear` says of a frame must be so, and nothing else may be in it but the
fields that differ from run to run, which keep rules of their own here.

A conversation is in the plain dialect, unless it names a `dialect`, and of
nobody, unless it names a `user`. `<ann>` stands for a good token of ann.
`<at>` stands for the last position that was told. `another` is what bob
says, on a connection of his own, and what he says is done before the next
step. Clients may send to every group of `todo` but `quiet`.
"""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from streams import Stream, bound_to
from streams.jetstream.connection import Connection
from streams.keys import Namespace
from tests.browser import Browser, Tab
from tests.conftest import Backend
from tests.guarded import guarded_gateway, provisioned
from tests.tokens import token

CORPUS = json.loads((Path(__file__).parents[1] / "wire/v1/conversations.json").read_text(encoding="utf-8"))


async def can_send(subscription: Any, context: Any) -> bool:
    return subscription.group != "quiet"


todo = Stream("todo", dict, public=True, can_send=can_send)
DIFFERS = ("timestamp", "rev", "at", "time", "session", "expires")


@pytest_asyncio.fixture
async def browser(
    jetstream: Backend, connection: Connection, namespace: Namespace, opened: AsyncExitStack
) -> Browser:
    """Opens sockets on a gateway that takes tokens and events."""
    await provisioned(connection, namespace, [todo])
    gateway = await opened.enter_async_context(guarded_gateway(connection, namespace, [todo]))
    return Browser(gateway.url, opened)


@pytest.mark.parametrize("case", CORPUS["cases"], ids=lambda case: case["name"])
async def test_every_conversation_goes_as_it_is_written(case: Any, jetstream: Backend, browser: Browser):
    tab, stamps = await _opened(browser, case.get("dialect"), case.get("user")), dict[str, float]()
    at = ""
    for step in case["steps"]:
        match step:
            case {"say": message}:
                await tab.say(_with_token(_with_position(message, at)))
            case {"another": message}:
                bob = await _opened(browser, "streams.v2", "bob")
                assert (await bob.next())["type"] == "hello"
                await bob.say(message)
                assert await bob.next() == {"type": "ack", "ref": message["ref"]}
            case {"closed": code}:
                assert (await tab.closed())[0] == code
            case {"do": verb, "args": arguments}:
                with bound_to(jetstream.store):
                    await getattr(todo, verb)(*arguments)
            case {"hear": expected}:
                frame = await tab.next()
                at = frame.get("at", at)
                _check(frame, expected, stamps)
            case {"silence": True}:
                assert await tab.nothing_came()
            case _:
                raise AssertionError(f"{step} is no step")


async def _opened(browser: Browser, dialect: str | None, user: str | None) -> Tab:
    offered = [*filter(None, [dialect]), *(["Authorization", token(user)] if user else [])]
    return await browser.open(subprotocols=offered or None)


def _with_token(message: Any) -> Any:
    match message:
        case {"type": "auth", "token": "<ann>" | "<bob>" as named}:
            return {**message, "token": token(named.strip("<>"))}
    return message


def _with_position(message: Any, at: str) -> Any:
    match message:
        case {"type": "join", "data": {"since": "<at>"} as data}:
            return {**message, "data": {**data, "since": at}}
    return message


def _check(frame: dict[str, Any], expected: dict[str, Any], stamps: dict[str, float]) -> None:
    assert _without_sentence(frame, expected) == expected
    match frame["type"]:
        case "stream":
            _check_order(frame, stamps)
        case "hello" | "auth" as kind:
            assert isinstance(frame["expires"], float) == (frame["sub"] is not None)
            assert ("session" in frame) == (kind == "hello")


def _without_sentence(frame: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """The frame without what differs from run to run, and without sentences for people."""
    left = {key: value for key, value in frame.items() if key not in DIFFERS}
    if "message" not in expected:
        left.pop("message", None)
    if "features" in expected:
        # Later releases have more.
        left["features"] = [each for each in left["features"] if each in expected["features"]]
    if (event := left.get("event")) is not None:
        event.pop("message", None)
        for differs in {"revs", "digest"} - expected.get("event", {}).keys():
            event.pop(differs, None)
        if event["type"] == "event" and event["event"]["type"] == "error":
            assert event["event"]["data"].pop("message")
        if event["type"] == "event" and "from" in event["event"]:
            assert event["event"]["from"].pop("session")
    return left


def _check_order(frame: dict[str, Any], stamps: dict[str, float]) -> None:
    match frame["event"]["type"]:
        case "create" | "update" | "delete":
            assert isinstance(frame["rev"], int)
            assert isinstance(frame["time"], int)
        case "sync" | "resumed" | "ids" | "page" as kind:
            assert ("at" in frame) == (kind != "page")
            if kind != "sync":
                assert "timestamp" not in frame
                return
        case "event":
            assert "timestamp" not in frame
            return
        case "unauthorized":
            return
    room = f"{frame['groupId']}/{frame['id']}"
    assert frame["timestamp"] >= stamps.get(room, 1)
    stamps[room] = frame["timestamp"]


def test_every_case_has_a_name_of_its_own():
    names = [case["name"] for case in CORPUS["cases"]]

    assert len(names) == len(set(names))
    assert len(names) >= 60
