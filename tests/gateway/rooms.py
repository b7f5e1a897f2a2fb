"""Every room of one client, as a strict reader and as Motia's clients see it."""

from __future__ import annotations

from typing import Any, TypeAlias

import orjson

from streams.messages import Room
from tests.gateway.view import View

INBOX = Room("todo", "inbox")

Place: TypeAlias = tuple[str, str | None]
"""A group, and the item of it, if it is the room of one item."""


class Rooms:
    """What one client believes, from frames alone. What breaks a rule of the protocol raises.

    A room is there from its first `sync` on, and until it is refused or
    dropped. A frame that belongs to no room that is there breaks a rule.
    """

    def __init__(self) -> None:
        self.events: list[tuple[str, str | None, Any]] = []
        """Ephemeral events, as (group, item, what was said)."""
        self.refused: list[Place] = []
        """Rooms that were refused or taken away."""
        self.revisions: list[int] = []
        """Of every change that was told, in order."""
        self.kinds: list[tuple[str | None, str]] = []
        """Every frame about a state, as (item, kind)."""
        self.others: list[dict[str, Any]] = []
        """What is about no room."""
        self.newest = 0
        """The highest revision that was told of."""
        self._parts: dict[str, list[Any]] = {}
        """Of states of which not all has come, by group."""
        self._views: dict[Place, View] = {}
        self._values: dict[tuple[str, str], int] = {}
        """The newest `v` of every item that was told, where items have one that grows with every write."""
        self._motias: dict[Place, _MotiaGroup | _MotiaItem] = {}

    def has(self, group: str, item_id: str | None = None) -> bool:
        return (group, item_id) in self._views

    def drop(self, group: str, item_id: str | None = None) -> None:
        """The room was left, and the gateway knows it: nothing of it may come any more."""
        del self._views[group, item_id], self._motias[group, item_id]

    def items(self, group: str) -> list[dict[str, Any]] | None:
        """A group in its order; None: it is not there."""
        view = self._views.get((group, None))
        return None if view is None else list(view.items.values())

    def item(self, group: str, item_id: str) -> dict[str, Any] | None:
        """An item that was joined by itself; None: there is none."""
        found: dict[str, Any] | None = self._views[group, item_id].items.get(item_id)
        return found

    def as_motia_shows_it(self, group: str, item_id: str | None = None) -> Any:
        return self._motias[group, item_id].state

    def kinds_of(self, item_id: str) -> list[str]:
        """What was told of one item, in order."""
        return [kind for told, kind in self.kinds if told == item_id]

    def take(self, frame: bytes) -> None:
        message = orjson.loads(frame)
        if message["type"] != "stream":
            self.others.append(message)
            return
        group, item_id, event = message["groupId"], message["id"], message["event"]
        match event["type"]:
            case "sync" if "part" in event and not self._is_whole(message):
                pass
            case "sync":
                self.kinds.append((item_id, "sync"))
                place, data = (group, item_id), event["data"]
                for item in data if isinstance(data, list) else [] if data is None else [data]:
                    assert self._advance(group, item) >= 0, "a state that is older than what was told before"
                self._views.setdefault(place, View()).take(orjson.dumps(message))
                self._motias.setdefault(place, _MotiaGroup() if item_id is None else _MotiaItem()).take(
                    message
                )
            case "create" | "update" | "delete" as kind:
                self.kinds.append((item_id, kind))
                self.revisions.append(message["rev"])
                self.newest = max(self.newest, message["rev"])
                places = [place for place in ((group, None), (group, item_id)) if place in self._views]
                assert places, f"{kind} of {group}/{item_id}, of which this client has no room"
                if kind != "delete":
                    assert self._advance(group, event["data"]) > 0, f"{item_id} went backwards, or came twice"
                for place in places:
                    self._views[place].take(frame)
                    self._motias[place].take(message)
            case "unauthorized":
                self.refused.append((group, item_id))
                self._views.pop((group, item_id), None)
                self._motias.pop((group, item_id), None)
            case "event" if event["event"]["type"] == "error":
                pass  # What is refused is said in two forms, and the other is looked at.
            case "event":
                self.events.append((group, item_id, event["event"]))

    def _is_whole(self, message: dict[str, Any]) -> bool:
        """Whether this is the last part of a state, and then has all of it in it."""
        event, parts = message["event"], self._parts.setdefault(message["groupId"], [])
        if event["part"] == 1:
            parts.clear()
        assert event["part"] == len(parts) + 1, "a part that does not follow the one before it"
        assert ("at" in message) == (event["part"] == event["parts"])
        parts.append(event["data"])
        event["data"] = [item for part in parts for item in part]
        return len(parts) == event["parts"]

    def _advance(self, group: str, item: dict[str, Any]) -> int:
        """By how much this value of an item is newer than the one before it."""
        known, value = self._values.get((group, item["id"]), 0), item.get("v", 0)
        self._values[group, item["id"]] = value
        return value - known if "v" in item else 1


class _MotiaGroup:
    """What Motia's clients make of frames: they go by `timestamp`, and say nothing of what does not fit."""

    def __init__(self) -> None:
        self.state: list[Any] = []
        self._newest = 0.0
        self._by_item: dict[str, float] = {}

    def take(self, message: dict[str, Any]) -> None:
        data, stamp = message["event"]["data"], message["timestamp"]
        match message["event"]["type"]:
            case "sync":
                if stamp >= self._newest:
                    self.state, self._newest, self._by_item = list(data), stamp, {}
            case "create":
                if all(item["id"] != data["id"] for item in self.state):
                    self.state.append(data)
            case "update":
                if stamp > self._by_item.get(data["id"], 0.0):
                    self._newest = self._by_item[data["id"]] = stamp
                    self.state = [data if item["id"] == data["id"] else item for item in self.state]
            case "delete":
                self._newest = self._by_item[data["id"]] = stamp
                self.state = [item for item in self.state if item["id"] != data["id"]]


class _MotiaItem:
    """The same of an item that was joined by itself."""

    def __init__(self) -> None:
        self.state: Any = None
        self._newest = 0.0

    def take(self, message: dict[str, Any]) -> None:
        if message["timestamp"] > self._newest:
            self._newest = message["timestamp"]
            self.state = None if message["event"]["type"] == "delete" else message["event"]["data"]
