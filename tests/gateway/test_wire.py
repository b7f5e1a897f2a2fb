"""Whole conversations, as `tests/wire/v1/conversations.json` has them, on a real gateway.

What `hear` says of a frame must be so, and nothing else may be in it but the
fields that differ from run to run, which keep rules of their own here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams import Stream, bound_to
from tests.browser import Browser
from tests.conftest import Backend

CORPUS = json.loads((Path(__file__).parents[1] / "wire/v1/conversations.json").read_text(encoding="utf-8"))
todo = Stream("todo", dict)


@pytest.mark.parametrize("case", CORPUS["cases"], ids=lambda case: case["name"])
async def test_every_conversation_goes_as_it_is_written(case: Any, jetstream: Backend, browser: Browser):
    tab, stamps = await browser.open(), dict[str, float]()
    for step in case["steps"]:
        match step:
            case {"say": message}:
                await tab.say(message)
            case {"do": verb, "args": arguments}:
                with bound_to(jetstream.store):
                    await getattr(todo, verb)(*arguments)
            case {"hear": expected}:
                _check(await tab.next(), expected, stamps)
            case {"silence": True}:
                assert await tab.nothing_came()
            case _:
                raise AssertionError(f"{step} is no step")


def _check(frame: dict[str, Any], expected: dict[str, Any], stamps: dict[str, float]) -> None:
    assert _without_sentence(frame, expected) == expected
    if frame["type"] == "stream":
        _check_order(frame, stamps)


def _without_sentence(frame: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """The frame without what differs from run to run, and without sentences for people."""
    left = {key: value for key, value in frame.items() if key not in ("timestamp", "rev", "at", "time")}
    if "message" not in expected:
        left.pop("message", None)
    if (event := left.get("event")) is not None:
        event.pop("message", None)
        if event["type"] == "event" and event["event"]["type"] == "error":
            assert event["event"]["data"].pop("message")
    return left


def _check_order(frame: dict[str, Any], stamps: dict[str, float]) -> None:
    match frame["event"]["type"]:
        case "create" | "update" | "delete":
            assert isinstance(frame["rev"], int)
            assert isinstance(frame["time"], int)
        case "sync":
            assert isinstance(frame["at"], str)
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
